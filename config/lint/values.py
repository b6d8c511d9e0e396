"""Checks of values that hold expressions, against the schema of what receives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import JsonValue

from config.expressions import (
    ExpressionError,
    bare_path,
    check,
    expressions,
    paths,
    sole_expression,
)
from config.lint.remark import Path, Remark
from config.nearest import hint
from config.shapes import (
    TEXT,
    UNKNOWN,
    NoSuchPathError,
    Shape,
    is_closed,
    mismatch,
    types_of,
    under,
    variants,
)

Resolve = Callable[[tuple[str, ...]], Shape]
"""Returns the shape of the value at a path; raises UnknownReferenceError."""


class UnknownReferenceError(LookupError):
    """An expression that reads what is not there."""

    def __init__(self, message: str, advice: str = "") -> None:
        self.message = message
        self.advice = advice
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class ValueCheck:
    """Checks the values of one step or call; `kind` and `name` say whose file it is."""

    kind: str
    name: str
    resolve: Resolve

    def expression(self, source: str, at: Path) -> Iterator[Remark]:
        """Check that a bare expression can be read and reads only what is there."""
        try:
            check(source)
        except ExpressionError as error:
            yield self._remark(at, f"the expression {source!r} {_verb(error.reason)}")
            return
        for path in sorted(paths(source)):
            try:
                self.resolve(path)
            except UnknownReferenceError as error:
                yield self._remark(at, error.message, error.advice)

    def shape(self, source: str) -> Shape:
        """Return what is known of a bare expression's value."""
        try:
            path = bare_path(source)
            return UNKNOWN if path is None else self.resolve(path)
        except (ExpressionError, UnknownReferenceError):
            return UNKNOWN

    def value(self, value: JsonValue, target: Shape, at: Path) -> Iterator[Remark]:
        """Check a value and every expression in it against what it is given to."""
        if isinstance(value, str) and "{{" in value:
            yield from self._text(value, target, at)
        elif isinstance(value, dict) and _holds_expressions(value):
            yield from self._object(value, target, at)
        elif isinstance(value, list) and _holds_expressions(value):
            yield from self._list(value, target, at)
        else:
            yield from self._plain(value, target, at)

    def arguments(
        self, given: Mapping[str, JsonValue], target: Shape, at: Path, receiver: str
    ) -> Iterator[Remark]:
        """Check named arguments: none missing, none unknown, each of the right type."""
        options = variants(target)
        schema: Mapping[str, Any] = options[0].schema if len(options) == 1 else {}
        properties: Mapping[str, Any] = schema.get("properties") or {}
        for name in schema.get("required") or ():
            if name not in given:
                yield self._remark(at, f'{receiver} needs "{name}"', f'add "{name}:" here')
        for name, value in given.items():
            place = (*at, name)
            if name in properties:
                yield from self.value(value, options[0].inner(properties[name]), place)
                continue
            if is_closed(schema):
                yield self._remark(place, f'{receiver} takes no "{name}"', hint(name, properties))
            yield from self.value(value, UNKNOWN, place)

    def _text(self, text: str, target: Shape, at: Path) -> Iterator[Remark]:
        try:
            sources = expressions(text)
            sole = sole_expression(text)
        except ExpressionError as error:
            yield self._remark(at, f"{text!r} {_verb(error.reason)}")
            return
        faults = [fault for source in sources for fault in self.expression(source, at)]
        yield from faults
        if faults:
            return
        source = Shape.of(TEXT) if sole is None else self.shape(sole)
        reason = mismatch(source, target)
        if reason:
            what = "the text" if sole is None else sole
            yield self._remark(at, f"{what} {reason}")

    def _object(self, value: Mapping[str, JsonValue], target: Shape, at: Path) -> Iterator[Remark]:
        types = types_of(target)
        if types is not None and "object" not in types:
            yield self._remark(at, f"gives object where {' or '.join(sorted(types))} is needed")
            return
        yield from self.arguments(value, target, at, "the value")

    def _list(self, value: list[JsonValue], target: Shape, at: Path) -> Iterator[Remark]:
        types = types_of(target)
        if types is not None and "array" not in types:
            yield self._remark(at, f"gives array where {' or '.join(sorted(types))} is needed")
            return
        options = variants(target)
        item = options[0].inner(options[0].schema.get("items")) if len(options) == 1 else UNKNOWN
        for index, element in enumerate(value):
            yield from self.value(element, item, (*at, index))

    def _plain(self, value: JsonValue, target: Shape, at: Path) -> Iterator[Remark]:
        """Check a constant with the whole schema, patterns and limits too."""
        schema = {**target.schema}
        if "$defs" in target.root:
            schema["$defs"] = target.root["$defs"]
        if not schema:
            return
        for error in Draft202012Validator(schema).iter_errors(value):
            yield self._remark((*at, *error.absolute_path), error.message)

    def _remark(self, at: Path, message: str, advice: str = "") -> Remark:
        return Remark(self.kind, self.name, at, message, advice)


def schema_fault(schema: Mapping[str, Any]) -> str:
    """Return why this is no JSON Schema; empty when it is one."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path))
        return f"is no valid JSON Schema: {place + ': ' if place else ''}{error.message}"
    return ""


def _holds_expressions(value: JsonValue) -> bool:
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, dict):
        return any(map(_holds_expressions, value.values()))
    return isinstance(value, list) and any(map(_holds_expressions, value))


def _verb(reason: str) -> str:
    return reason if reason.startswith(("is ", "calls ")) else f"cannot be read: {reason}"


def look_up(shape: Shape, path: tuple[str, ...], whole: str) -> Shape:
    """Return what lies under a shape; UnknownReferenceError names the path that does not exist."""
    try:
        return under(shape, path)
    except NoSuchPathError as error:
        raise UnknownReferenceError(f"{whole}: {error}", error.hint) from error
