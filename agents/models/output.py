"""Reading the JSON that a model was asked for: parse, mend slips of syntax, check, complain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from json_repair import repair_json
from jsonschema import Draft202012Validator
from pydantic import JsonValue

from agents import prompting

MAX_ERRORS = 20
MAX_ERROR_CHARS = 300


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text amounts to; the value counts only when there are no errors."""

    value: JsonValue = None
    errors: tuple[str, ...] = ()


def read_output(text: str, schema: Mapping[str, Any], *, is_cut: bool = False) -> Reading:
    """Return the value in a text, checked against its schema.

    A text that was cut is not mended: half a list would pass for a whole one.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        if is_cut:
            return Reading(errors=("the reply was cut off at its length limit; make it shorter",))
        value = repair_json(text, return_objects=True)
        if value == "":
            return Reading(errors=(f"there is no JSON in it ({error})",))
    return checked(value, schema)


def checked(value: JsonValue, schema: Mapping[str, Any]) -> Reading:
    """Return the value without needless nulls, and every way in which it breaks the schema."""
    validator = Draft202012Validator(dict(schema))
    value = _without_nulls(value, schema, validator)
    faults = sorted(validator.iter_errors(value), key=lambda fault: fault.json_path)
    errors = [f"{fault.json_path}: {fault.message[:MAX_ERROR_CHARS]}" for fault in faults]
    return Reading(value, tuple(errors[:MAX_ERRORS]))


def correction(errors: tuple[str, ...]) -> str:
    """Return what to tell a model about its faults."""
    return prompting.render("correct_output", errors=errors)


def _without_nulls(value: JsonValue, schema: object, validator: Draft202012Validator) -> JsonValue:
    """Leave out optional fields that are null where null is not allowed.

    Strict modes make every field required, and models then write null for "not there".
    """
    if not isinstance(schema, Mapping):
        return value
    if "$ref" in schema:
        target = _target(str(schema["$ref"]), validator.schema)
        return _without_nulls(value, target, validator)
    for branch in schema.get("anyOf", ()):
        tried = _without_nulls(value, branch, validator)
        if validator.evolve(schema=_rooted(branch, validator.schema)).is_valid(tried):
            return tried
    if isinstance(value, list):
        return [_without_nulls(item, schema.get("items"), validator) for item in value]
    if isinstance(value, dict):
        return _object_without_nulls(value, schema, validator)
    return value


def _object_without_nulls(
    value: dict[str, JsonValue], schema: Mapping[str, Any], validator: Draft202012Validator
) -> JsonValue:
    properties = schema.get("properties", {})
    required = schema.get("required", ())
    kept: dict[str, JsonValue] = {}
    for key, item in value.items():
        wanted = properties.get(key)
        if item is None and wanted is not None and key not in required:
            rooted = _rooted(wanted, validator.schema)
            if not validator.evolve(schema=rooted).is_valid(None):
                continue
        kept[key] = _without_nulls(item, wanted, validator)
    return kept


def _rooted(schema: object, root: object) -> object:
    """Return a part of a schema that still finds the definitions of the whole."""
    if not isinstance(schema, Mapping) or not isinstance(root, Mapping):
        return schema
    return {**{key: root[key] for key in ("$defs", "definitions") if key in root}, **schema}


def _target(ref: str, root: object) -> object:
    """Return what a local reference names; None when it names nothing."""
    found: object = root
    for key in ref.removeprefix("#").strip("/").split("/"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found
