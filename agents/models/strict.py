"""JSON Schemas in the narrow form that providers can enforce while a model writes.

There every object is closed and every field required; a field that may be missing may be null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KEPT = frozenset({"type", "title", "description", "enum", "const", "items", "anyOf"}) | {
    "properties",
    "required",
    "additionalProperties",
    "$ref",
    "$defs",
    "definitions",
}
"""Other keywords only narrow a value; the reply is checked against the whole schema anyway."""
UNFIT = frozenset({"oneOf", "not", "if", "patternProperties", "prefixItems", "dependentSchemas"})
NULL = {"type": "null"}


class _UnfitError(Exception):
    """The schema says something that the narrow form cannot."""


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema in the narrow form, None when it has none (such as a map of anything)."""
    try:
        strict = _strict(schema)
    except _UnfitError:
        return None
    return strict if strict.get("type") == "object" else None


def _strict(schema: object) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or set(schema) & UNFIT:
        raise _UnfitError
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    if "allOf" in schema:
        if len(schema["allOf"]) != 1:
            raise _UnfitError
        return _strict({**schema["allOf"][0], **{k: v for k, v in schema.items() if k != "allOf"}})
    if not set(schema) & {"type", "anyOf", "enum", "const"}:
        raise _UnfitError
    found = {key: value for key, value in schema.items() if key in KEPT}
    for key in ("$defs", "definitions"):
        if key in found:
            found[key] = {name: _strict(one) for name, one in found[key].items()}
    if "anyOf" in found:
        found["anyOf"] = [_strict(one) for one in found["anyOf"]]
    return _object(_array(found))


def _types(schema: Mapping[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _array(schema: dict[str, Any]) -> dict[str, Any]:
    if "array" in _types(schema):
        schema["items"] = _strict(schema.get("items"))
    return schema


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    if "object" not in _types(schema):
        return schema
    if "properties" not in schema or schema.get("additionalProperties") not in (None, False):
        raise _UnfitError
    required = schema.get("required", ())
    schema["properties"] = {
        name: _strict(one) if name in required else _nullable(_strict(one))
        for name, one in schema["properties"].items()
    }
    schema["required"] = list(schema["properties"])
    schema["additionalProperties"] = False
    return schema


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "null" in _types(schema) or NULL in schema.get("anyOf", ()):
        return schema
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], NULL]}
    return {"anyOf": [schema, NULL]}
