"""What pydantic says of a value, as sentences for the person who wrote the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.nearest import hint

Path = tuple[str | int, ...]

_RULES = {
    "string_pattern_mismatch": "does not have the form {pattern}",
    "int_parsing": "is no whole number",
    "int_from_float": "is no whole number",
    "int_type": "is no whole number",
    "float_parsing": "is no number",
    "float_type": "is no number",
    "bool_parsing": "is neither true nor false",
    "bool_type": "is neither true nor false",
    "string_type": "is no text",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "must not be empty",
    "too_long": "holds more than {max_length} entries",
    "too_short": "must not be empty",
    "tuple_type": "is no list; put a dash before each entry",
    "list_type": "is no list; put a dash before each entry",
    "dict_type": "is no mapping of keys to values",
    "model_type": "is no mapping of keys to values",
    "model_attributes_type": "is no mapping of keys to values",
}
_FORMS = {
    r"^[a-z][a-z0-9_-]{0,47}$": "is no name: use up to 48 of a-z, 0-9, _ and -, a letter first",
    r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$": "is no tool name such as metrics.range",
    r"^[0-9a-f]{64}$": "is no SHA-256 in 64 lower-case hexadecimal digits",
}
SHOWN_CHARS = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a value, and where in it."""

    path: Path
    message: str
    hint: str = ""


def faults(error: ValidationError, model: type[BaseModel], data: object) -> list[Fault]:
    """Return every fault of a validation error once, in the order of the data."""
    found = [_fault(details, model, data) for details in error.errors(include_url=False)]
    return list({(fault.path, fault.message): fault for fault in found}.values())


def _fault(details: ErrorDetails, model: type[BaseModel], data: object) -> Fault:
    kind = details["type"]
    path = _in_data(details["loc"], data, keep_last=kind in ("missing", "extra_forbidden"))
    last = str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return Fault(path, f'unknown key "{last}"', hint(last, keys_at(model, path[:-1])))
    if kind == "missing":
        return Fault(path[:-1], f'needs "{last}"', f'add "{last}:" here')
    if kind in ("value_error", "assertion_error"):
        return Fault(path, str(details["msg"]).partition(", ")[2] or str(details["msg"]))
    shown = _shown(details["input"])
    if kind in ("literal_error", "enum"):
        options = _options(details)
        return Fault(path, f"{shown} is not one of {', '.join(options)}", _close(shown, options))
    context = details.get("ctx", {})
    rule = _RULES.get(kind)
    if kind == "string_pattern_mismatch":
        rule = _FORMS.get(str(context.get("pattern")), rule)
    if rule is None:
        return Fault(path, f"{shown}: {details['msg'][:1].lower()}{details['msg'][1:]}")
    said = rule.format_map({key: _brief(value) for key, value in context.items()})
    return Fault(path, f"{shown} {said}")


def _brief(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _in_data(loc: tuple[str | int, ...], data: object, *, keep_last: bool) -> Path:
    """Drop what pydantic puts into a location that is no key of the data (names of unions)."""
    path: list[str | int] = []
    for index, part in enumerate(loc):
        held = _held(data, part)
        if held:
            data = held[0]
        if held or (keep_last and index == len(loc) - 1):
            path.append(part)
    return tuple(path)


def _held(data: object, part: str | int) -> tuple[object] | None:
    """Return the value at a key or an index, in a tuple to tell none from nothing."""
    if isinstance(data, Mapping):
        return (data[part],) if part in data else None
    if isinstance(data, list) and isinstance(part, int):
        return (data[part],) if part < len(data) else None
    return None


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    text = text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
    return f'"{text}"' if isinstance(value, str) else text


def _options(details: ErrorDetails) -> list[str]:
    expected = str(details.get("ctx", {}).get("expected", ""))
    return [word.strip("'\" ") for word in expected.replace(" or ", ", ").split(",") if word]


def _close(shown: str, options: list[str]) -> str:
    said = hint(shown.strip('"'), options)
    return said if said.startswith("did you mean") else ""


def keys_at(model: Any, path: Path) -> list[str]:
    """Return the keys that a model takes at a path inside its data."""
    kinds = [model]
    for part in path:
        kinds = [inner for kind in kinds for inner in _inner(kind, part)]
    return sorted({name for kind in kinds for name in _fields(kind)})


def _fields(kind: Any) -> list[str]:
    return [
        name
        for option in _unions(kind)
        if isinstance(option, type) and issubclass(option, BaseModel)
        for name in option.model_fields
    ]


def _inner(kind: Any, part: str | int) -> list[Any]:
    found: list[Any] = []
    for option in _unions(kind):
        origin = get_origin(option)
        if isinstance(option, type) and not origin and issubclass(option, BaseModel):
            field = option.model_fields.get(str(part))
            found += [field.annotation] if field else []
        elif origin in (tuple, list):
            found.append(get_args(option)[0])
        elif origin is dict:
            found.append(get_args(option)[1])
    return found


def _unions(kind: Any) -> list[Any]:
    origin = get_origin(kind)
    if origin in (None, tuple, list, dict, Literal) or isinstance(kind, Enum):
        return [kind]
    return [inner for option in get_args(kind) for inner in _unions(option)]
