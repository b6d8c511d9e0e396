"""What schemas say: paths, types and fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from config.shapes import (
    NoSuchPathError,
    Shape,
    mismatch,
    types_of,
    under,
)


class Leaf(BaseModel):
    """A part that is referred to."""

    size: int
    kind: str | None = None


class Tree(BaseModel):
    """A model with references, lists, unions and free mappings."""

    leaf: Leaf
    maybe: Leaf | None = None
    leaves: list[Leaf] = []
    either: int | str = 1
    free: dict[str, Any] = {}
    by_name: dict[str, Leaf] = {}


TREE = Shape.of(Tree.model_json_schema())
SCHEMAS = st.recursive(
    st.sampled_from([{}, *({"type": t} for t in ("string", "integer", "number", "null"))]),
    lambda inner: st.one_of(
        st.builds(lambda s: {"type": "array", "items": s}, inner),
        st.builds(lambda s: {"anyOf": [s, {"type": "null"}]}, inner),
        st.dictionaries(st.sampled_from("abc"), inner).map(
            lambda properties: {"type": "object", "properties": properties}
        ),
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("path", "types"),
    [
        ("leaf.size", {"integer"}),
        ("maybe.kind", {"string"}),
        ("leaves.0.size", {"integer"}),
        ("either", {"integer", "string"}),
        ("free.anything.at.all", None),
        ("by_name.x.size", {"integer"}),
    ],
)
def test_types_along_a_path(path: str, types: set[str] | None) -> None:
    """References, lists, optional parts and mappings are followed."""
    assert types_of(under(TREE, path.split("."))) == types


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("laef", 'did you mean "leaf"?'),
        ("leaf.sise", 'did you mean "size"?'),
        ("maybe.knd", 'did you mean "kind"?'),
        ("leaves.size", ""),
        ("leaf.size.more", ""),
    ],
)
def test_path_that_cannot_exist(path: str, hint: str) -> None:
    """A path that the schema rules out is refused with the nearest name."""
    with pytest.raises(NoSuchPathError) as caught:
        under(TREE, path.split("."))

    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ({"type": "integer"}, {"type": "number"}, ""),
        ({"type": "number"}, {"type": "integer"}, ""),
        ({"type": "string"}, {"type": "number"}, "gives string where number is needed"),
        ({"type": ["string", "null"]}, {"type": "string"}, ""),
        ({"enum": ["a", "b"]}, {"type": "string"}, ""),
        ({"const": 1}, {"type": "string"}, "gives integer where string is needed"),
        ({}, {"type": "string"}, ""),
        ({"type": "string"}, {}, ""),
        ({"anyOf": [{"type": "string"}, {"type": "array"}]}, {"type": "array"}, ""),
        (
            {"type": "object", "properties": {"a": {}}},
            {"type": "object", "required": ["b"]},
            'gives an object without "b", which is needed',
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}},
            {"type": "object", "properties": {"a": {"type": "array"}}},
            'has "a", which gives string where array is needed',
        ),
        ({"type": "object"}, {"type": "object", "required": ["b"]}, ""),
    ],
)
def test_fit(source: Mapping[str, Any], target: Mapping[str, Any], reason: str) -> None:
    """Only what can never fit is a mismatch; silence fits everything."""
    assert mismatch(Shape.of(source), Shape.of(target)) == reason


@given(SCHEMAS)
def test_every_schema_fits_itself(schema: dict[str, Any]) -> None:
    """A value of a shape always fits that shape."""
    assert mismatch(Shape.of(schema), Shape.of(schema)) == ""


def test_recursive_schema_ends() -> None:
    """A schema that refers to itself is followed as far as the path leads, no further."""
    node = {"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}}
    shape = Shape.of({**node, "$ref": "#/$defs/n"})
    loop = Shape.of({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"})

    assert types_of(under(shape, ["next"] * 5)) == frozenset(["object"])
    assert mismatch(shape, shape) == ""
    assert types_of(loop) is None
