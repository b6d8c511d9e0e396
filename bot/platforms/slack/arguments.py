"""A call's arguments as fields to fill in, made from their JSON Schema, and read back again."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

from pydantic import JsonValue

TEXT: Final = "text"
INTEGER: Final = "integer"
NUMBER: Final = "number"
BOOLEAN: Final = "boolean"
CHOICE: Final = "choice"
MOMENT: Final = "moment"
DAY: Final = "day"
LINES: Final = "lines"
JSON: Final = "json"

MAX_DEPTH: Final = 16
"""How far a definition may lead to others."""
EARLIEST: Final = 1_000_000_000
LATEST: Final = 9_999_999_999
"""What Slack's pickers take: times of ten digits."""

_SCALARS: Final[Mapping[str, str]] = {
    "string": TEXT,
    "integer": INTEGER,
    "number": NUMBER,
    "boolean": BOOLEAN,
}
_WORDS: Final = {
    INTEGER: "a whole number",
    NUMBER: "a number",
    JSON: "valid JSON",
    MOMENT: "a date and time",
    DAY: "a date",
}
TRUE: Final = "true"
FALSE: Final = "false"


class ArgumentError(ValueError):
    """What was filled in does not fit its field; the message says what has to be there."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument to fill in. `text` is what it holds now, as it is written into its field."""

    name: str
    kind: str
    text: str
    description: str = ""
    options: tuple[JsonValue, ...] = ()
    is_required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    min_chars: int = 0
    max_chars: int | None = None

    @property
    def label(self) -> str:
        """What the field is called."""
        words = self.name.replace("_", " ").strip() or self.name
        return words[:1].upper() + words[1:]


def arguments(schema: Mapping[str, Any], args: Mapping[str, JsonValue]) -> list[Argument]:
    """Return the arguments in the schema's order, then those that it does not know."""
    properties = schema.get("properties", {})
    required = set(schema.get("required", ()))
    known = [
        _argument(name, _resolved(spec, schema), args.get(name), name in required)
        for name, spec in properties.items()
    ]
    unknown = [name for name in args if name not in properties]
    return known + [_argument(name, {}, args[name], is_required=False) for name in unknown]


def read(argument: Argument, text: str) -> JsonValue:
    """Return the value that a text stands for; ArgumentError when it stands for none."""
    value = _value(argument, text)
    _check(argument, value)
    return value


def option_text(value: JsonValue) -> str:
    """Return an option as it is shown."""
    return value if isinstance(value, str) else json.dumps(value)


def _resolved(
    spec: Mapping[str, Any], schema: Mapping[str, Any], depth: int = MAX_DEPTH
) -> Mapping[str, Any]:
    """Follow a $ref into the schema's own definitions, and drop `or null`."""
    if not depth:
        return {}
    if "$ref" in spec:
        name = str(spec["$ref"]).rpartition("/")[2]
        found = schema.get("$defs", {}).get(name, {})
        rest = {key: value for key, value in spec.items() if key != "$ref"}
        return _resolved({**found, **rest}, schema, depth - 1)
    choices = [one for one in spec.get("anyOf", ()) if one.get("type") != "null"]
    if len(choices) == 1:
        rest = {key: value for key, value in spec.items() if key != "anyOf"}
        return {**_resolved(choices[0], schema, depth - 1), **rest}
    return spec


def _argument(name: str, spec: Mapping[str, Any], value: JsonValue, is_required: bool) -> Argument:
    shown = spec.get("default") if value is None else value
    kind = _kind(spec, shown)
    return Argument(
        name=name,
        kind=kind,
        text=_written(kind, shown),
        description=str(spec.get("description", "")),
        options=tuple(spec.get("enum", ())) if kind == CHOICE else (),
        is_required=is_required,
        minimum=_number(spec, "minimum"),
        maximum=_number(spec, "maximum"),
        min_chars=int(_number(spec, "minLength") or 0),
        max_chars=None if (most := _number(spec, "maxLength")) is None else int(most),
    )


def _kind(spec: Mapping[str, Any], value: JsonValue) -> str:
    """Return the field that fits both the schema and what stands there now."""
    if spec.get("enum"):
        return CHOICE if value is None or value in spec["enum"] else _kind_of(value)
    type_ = _type(spec)
    if type_ == "string" and isinstance(value, str | None):
        return _kind_of_text(str(spec.get("format", "")), value or "")
    if type_ in _SCALARS and (value is None or _is_of(value, type_)):
        return _SCALARS[type_]
    is_list = type_ == "array" and spec.get("items", {}).get("type") == "string"
    if is_list and _is_lines([] if value is None else value):
        return LINES
    return _kind_of(value) if not spec else JSON


def _type(spec: Mapping[str, Any]) -> str:
    """Return the only type besides null; empty when there are several, or none."""
    given = spec.get("type", "")
    types = [one for one in ([given] if isinstance(given, str) else given) if one != "null"]
    return str(types[0]) if len(types) == 1 else ""


def _kind_of(value: JsonValue) -> str:
    return TEXT if isinstance(value, str) else JSON


def _kind_of_text(form: str, text: str) -> str:
    kind = {"date-time": MOMENT, "date": DAY}.get(form, TEXT)
    is_readable = not text or (kind != TEXT and _is_moment(kind, text))
    return kind if is_readable else TEXT


def _is_moment(kind: str, text: str) -> bool:
    try:
        if kind == MOMENT:
            return EARLIEST <= moment_of(text) <= LATEST
        return date.fromisoformat(text).isoformat() == text
    except (ValueError, OverflowError):
        return False


def moment_of(text: str) -> float:
    """Return the Unix seconds of a time as JSON Schema writes it; without a zone it is UTC."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def moment_text(at: float) -> str:
    """Return Unix seconds as JSON Schema writes a time."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


def _is_of(value: JsonValue, type_: str) -> bool:
    if type_ == "boolean" or isinstance(value, bool):
        return type_ == "boolean" and isinstance(value, bool)
    if type_ == "number":
        return isinstance(value, int | float)
    return type_ == "integer" and isinstance(value, int)


def _is_lines(value: JsonValue) -> bool:
    """Whether a list comes back the same from one line for each."""
    return isinstance(value, list) and all(
        isinstance(one, str) and one == one.strip() and one and len(one.splitlines()) == 1
        for one in value
    )


def _written(kind: str, value: JsonValue) -> str:
    if value is None:
        return ""
    if kind == BOOLEAN:
        return TRUE if value else FALSE
    if kind == CHOICE:
        return option_text(value)
    if kind == LINES and isinstance(value, list):
        return "\n".join(str(one) for one in value)
    if isinstance(value, str) and kind != JSON:
        return value
    return json.dumps(value, indent=2, ensure_ascii=False)


def _value(argument: Argument, text: str) -> JsonValue:
    try:
        match argument.kind:
            case "boolean":
                return text == TRUE
            case "integer":
                return int(text)
            case "number":
                return _finite(float(text))
            case "json":
                parsed: JsonValue = json.loads(text, parse_constant=_refuse)
                return parsed
            case "lines":
                return [line.strip() for line in text.splitlines() if line.strip()]
            case "moment":
                moment_of(text)
                return text
            case "day":
                return date.fromisoformat(text).isoformat()
            case "choice":
                return _chosen(argument, text)
            case _:
                return text
    except (ValueError, OverflowError, RecursionError):
        raise ArgumentError(f"This has to be {_WORDS.get(argument.kind, 'one of them')}.") from None


def _chosen(argument: Argument, text: str) -> JsonValue:
    for option in argument.options:
        if option_text(option) == text:
            return option
    raise ValueError(text)


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(number)
    return number


def _refuse(name: str) -> None:
    raise ValueError(name)


def _check(argument: Argument, value: JsonValue) -> None:
    """Say at once what the schema does not allow; the tool itself checks the rest."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if argument.minimum is not None and value < argument.minimum:
            raise ArgumentError(f"This has to be at least {argument.minimum:g}.")
        if argument.maximum is not None and value > argument.maximum:
            raise ArgumentError(f"This may be at most {argument.maximum:g}.")
    if isinstance(value, str) and argument.kind == TEXT:
        _check_text(argument, value)


def _check_text(argument: Argument, value: str) -> None:
    if len(value) < argument.min_chars:
        raise ArgumentError(f"This has to have at least {argument.min_chars} characters.")
    if argument.max_chars is not None and len(value) > argument.max_chars:
        raise ArgumentError(f"This may have at most {argument.max_chars} characters.")


def _number(spec: Mapping[str, Any], name: str) -> float | None:
    value = spec.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
