"""What JSON Schemas say about a value: what lies under a path, and whether one fits another.

Only what a schema states is judged. A part it is silent about is unknown and fits everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.nearest import hint

JsonSchema = Mapping[str, Any]

ANYTHING: JsonSchema = {}
TEXT: JsonSchema = {"type": "string"}
MAX_REFS = 20
MAX_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """A part of a schema together with the schema it stands in, where `$ref` points."""

    schema: JsonSchema
    root: JsonSchema

    @classmethod
    def of(cls, schema: JsonSchema) -> Shape:
        """Return the shape of a whole schema."""
        return cls(schema, schema)

    def inner(self, schema: Any) -> Shape:
        """Return the shape of a part of this one."""
        return Shape(schema if isinstance(schema, Mapping) else ANYTHING, self.root)


UNKNOWN = Shape.of(ANYTHING)


class NoSuchPathError(LookupError):
    """A schema that says a path cannot exist; `known` are the names it does have there."""

    def __init__(self, key: str, known: Iterable[str], kind: str = "") -> None:
        self.key = key
        self.known = tuple(known)
        self.kind = kind
        super().__init__(f'nothing called "{key}"' if not kind else f'{kind} has no "{key}"')

    @property
    def hint(self) -> str:
        """What the person may have meant."""
        return hint(self.key, self.known)


def variants(shape: Shape) -> list[Shape]:
    """Return the alternatives of a shape without null, references followed."""
    for _ in range(MAX_REFS):
        ref = shape.schema.get("$ref")
        if not isinstance(ref, str):
            break
        target = _pointed(shape.root, ref)
        if target is None:
            return [UNKNOWN]
        shape = shape.inner(target)
    for word in ("anyOf", "oneOf"):
        options = shape.schema.get(word)
        if isinstance(options, list):
            found = [part for option in options for part in variants(shape.inner(option))]
            return [part for part in found if part.schema.get("type") != "null"] or [UNKNOWN]
    parts = shape.schema.get("allOf")
    if isinstance(parts, list):
        return variants(shape.inner(parts[0])) if len(parts) == 1 else [UNKNOWN]
    return [shape]


def _pointed(root: JsonSchema, ref: str) -> Any:
    if not ref.startswith("#"):
        return None
    found: Any = root
    for key in ref.lstrip("#").strip("/").split("/"):
        if key and not (isinstance(found, Mapping) and key in found):
            return None
        found = found[key] if key else found
    return found


def under(shape: Shape, path: Sequence[str]) -> Shape:
    """Return the shape at a path; NoSuchPathError when the schema rules the path out."""
    for key in path:
        shape = _child(shape, key)
    return shape


def _child(shape: Shape, key: str) -> Shape:
    refusals: list[NoSuchPathError] = []
    found: list[Shape] = []
    for option in variants(shape):
        try:
            found.append(_child_of_one(option, key))
        except NoSuchPathError as error:
            refusals.append(error)
    if not found:
        names = [name for refusal in refusals for name in refusal.known]
        raise NoSuchPathError(key, names, refusals[0].kind if len(refusals) == 1 else "")
    if len(found) == 1:
        return found[0]
    return found[0] if all(part == found[0] for part in found) else UNKNOWN


def _child_of_one(shape: Shape, key: str) -> Shape:
    schema = shape.schema
    types = types_of(shape)
    if types is not None and not types & {"object", "array"}:
        raise NoSuchPathError(key, (), f"a value of type {' or '.join(sorted(types))}")
    properties = schema.get("properties")
    if isinstance(properties, Mapping) and key in properties:
        return shape.inner(properties[key])
    if types == frozenset(["array"]):
        if key.lstrip("-").isdigit():
            return shape.inner(schema.get("items"))
        raise NoSuchPathError(key, (), "a list")
    if is_closed(schema):
        raise NoSuchPathError(key, properties if isinstance(properties, Mapping) else ())
    return shape.inner(schema.get("additionalProperties"))


def is_closed(schema: JsonSchema) -> bool:
    """Say whether an object has only the properties that are listed.

    A schema that lists properties and is silent about others is taken as complete: what is not
    declared cannot be relied on.
    """
    if "additionalProperties" in schema:
        return schema["additionalProperties"] is False
    return "properties" in schema


def types_of(shape: Shape) -> frozenset[str] | None:
    """Return the JSON types a value may have, null aside; None when the schema does not say."""
    found: set[str] = set()
    for option in variants(shape):
        types = _types_of_one(option.schema)
        if types is None:
            return None
        found |= types
    return frozenset(found)


def _types_of_one(schema: JsonSchema) -> set[str] | None:
    declared = schema.get("type")
    if isinstance(declared, str):
        return {declared} - {"null"}
    if isinstance(declared, list):
        return set(declared) - {"null"}
    if "const" in schema:
        return {json_type(schema["const"])} - {"null"}
    if isinstance(schema.get("enum"), list):
        return {json_type(value) for value in schema["enum"]} - {"null"}
    return {"object"} if "properties" in schema else None


def json_type(value: object) -> str:
    """Name the JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
        case _:
            return "array"


def mismatch(source: Shape, target: Shape, depth: int = 0) -> str:
    """Return why no value of the source's shape fits the target; empty when one may."""
    have, want = types_of(source), types_of(target)
    # Null alone says nothing: what is not there is left out when the step runs.
    if not have or not want or depth > MAX_DEPTH:
        return ""
    if not any(_fits(one, want) for one in have):
        return f"gives {_or(have)} where {_or(want)} is needed"
    if have == {"array"} and want == {"array"}:
        inner = mismatch(_only_item(source), _only_item(target), depth + 1)
        return f"gives a list that {inner}" if inner else ""
    if have == {"object"} and want == {"object"}:
        return _object_mismatch(source, target, depth + 1)
    return ""


def _fits(one: str, want: frozenset[str]) -> bool:
    # A number may happen to be whole, so only the run can tell.
    return one in want or (one in ("integer", "number") and bool(want & {"integer", "number"}))


def _or(types: Iterable[str]) -> str:
    return " or ".join(sorted(types)) or "null"


def _only_item(shape: Shape) -> Shape:
    options = variants(shape)
    return options[0].inner(options[0].schema.get("items")) if len(options) == 1 else UNKNOWN


def _object_mismatch(source: Shape, target: Shape, depth: int) -> str:
    haves, wants = variants(source), variants(target)
    if len(haves) != 1 or len(wants) != 1:
        return ""
    have, want = haves[0].schema, wants[0].schema
    if not is_closed(have):
        return ""
    for name in want.get("required", ()):
        if name not in have.get("properties", {}):
            return f'gives an object without "{name}", which is needed'
    for name, part in want.get("properties", {}).items():
        if name in have.get("properties", {}):
            inner = mismatch(haves[0].inner(have["properties"][name]), wants[0].inner(part), depth)
            if inner:
                return f'has "{name}", which {inner}'
    return ""
