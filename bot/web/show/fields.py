"""The form for a call's arguments, made from their JSON Schema, and back again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

MAX_FIELD_CHARS = 8_000


class FieldError(ValueError):
    """A field's text is not of its type; `field` names it."""

    def __init__(self, field: str, sentence: str) -> None:
        self.field = field
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class Field:
    """One argument to fill in. `kind` is text, number, integer, choice, boolean or json."""

    name: str
    label: str
    kind: str
    text: str
    description: str = ""
    options: tuple[str, ...] = ()
    is_required: bool = False


def form(schema: Mapping[str, Any], args: Mapping[str, JsonValue]) -> list[Field]:
    """Return the fields of the arguments, in the schema's order, with what they hold now."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    required = set(schema.get("required", ()))
    fields = [
        _field(name, _resolve(spec, schema), args.get(name), name in required)
        for name, spec in properties.items()
    ]
    unknown = [name for name in args if name not in properties]
    return fields + [_field(name, {}, args[name], is_required=False) for name in unknown]


def read(
    schema: Mapping[str, Any], args: Mapping[str, JsonValue], filled: Mapping[str, str]
) -> dict[str, JsonValue]:
    """Return the arguments a form gives; FieldError when a text does not fit its kind.

    An optional field left empty is left out; one that the form did not have keeps its value.
    """
    result: dict[str, JsonValue] = {}
    for field in form(schema, args):
        if field.kind != "boolean" and field.name not in filled:
            if field.name in args:
                result[field.name] = args[field.name]
            continue
        text = filled.get(field.name, "")[:MAX_FIELD_CHARS]
        if not text.strip() and field.kind not in {"boolean", "text"}:
            continue
        if not text and field.kind == "text" and not field.is_required:
            continue
        result[field.name] = _value(field, text)
    return result


def _resolve(spec: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a $ref into the schema's own definitions, and drop `or null`."""
    if "$ref" in spec:
        name = str(spec["$ref"]).rsplit("/", 1)[-1]
        found = schema.get("$defs", {}).get(name, {})
        return {**found, **{key: value for key, value in spec.items() if key != "$ref"}}
    choices = [choice for choice in spec.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        rest = {key: value for key, value in spec.items() if key != "anyOf"}
        return {**_resolve(choices[0], schema), **rest}
    return spec


def _field(name: str, spec: Mapping[str, Any], value: JsonValue, is_required: bool) -> Field:
    shown = spec.get("default") if value is None else value
    options = tuple(str(option) for option in spec.get("enum", ()))
    kind = "choice" if options else _kind(spec, shown)
    label = name.replace("_", " ")
    return Field(
        name=name,
        label=label[:1].upper() + label[1:],
        kind=kind,
        text=_text(kind, shown),
        description=str(spec.get("description", "")),
        options=options,
        is_required=is_required,
    )


def _kind(spec: Mapping[str, Any], value: JsonValue) -> str:
    kinds = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean"}
    if spec.get("type") in kinds:
        return kinds[spec["type"]]
    if not spec and isinstance(value, str):
        return "text"
    return "json"


def _text(kind: str, value: JsonValue) -> str:
    if value is None:
        return ""
    if kind == "boolean":
        return "true" if value else ""
    return value if isinstance(value, str) and kind != "json" else json.dumps(value, indent=2)


def _value(field: Field, text: str) -> JsonValue:
    if field.kind == "boolean":
        return text == "true"
    try:
        if field.kind == "integer":
            return int(text)
        if field.kind == "number":
            return float(text)
        if field.kind == "json":
            value: JsonValue = json.loads(text)
            return value
    except ValueError:
        words = {"integer": "a whole number", "number": "a number", "json": "valid JSON"}
        raise FieldError(field.name, f"This has to be {words[field.kind]}.") from None
    return text
