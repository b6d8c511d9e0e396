"""Reading the JSON that was asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, JsonValue

from agents.models.output import MAX_ERRORS, checked, correction, read_output
from agents.models.strict import strict_schema
from tests.model_server.checks import check_strict


class Part(BaseModel):
    """A part of the whole."""

    name: str = Field(min_length=2)
    weight: float = 1.0


class Whole(BaseModel, extra="forbid"):
    """Something like a plan."""

    title: str
    parts: list[Part]
    first: Part | None = None
    kind: str = Field("a", pattern="^[ab]$")
    note: str | None = None


SCHEMA: dict[str, Any] = Whole.model_json_schema()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text",
    [
        '{"title": "t", "parts": []}',
        '```json\n{"title": "t", "parts": []}\n```',
        "{'title': 't', 'parts': [],}",
        '{"title": "t", "parts": []',
    ],
)
def test_slips_are_mended(text: str) -> None:
    """Fences, quotes, commas and a missing bracket do not need another call."""
    assert read_output(text, SCHEMA).value == {"title": "t", "parts": []}


@pytest.mark.parametrize("text", ["", "I would say: a deploy.", "[1, 2]", "3", "null"])
def test_everything_else_is_a_fault(text: str) -> None:
    """Prose and other shapes are not taken for the value."""
    assert read_output(text, SCHEMA).errors


def test_text_that_was_cut_is_not_mended() -> None:
    """Half a list would pass for a whole one."""
    reading = read_output('{"title": "t", "parts": [', SCHEMA, is_cut=True)

    assert reading.errors == ("the reply was cut off at its length limit; make it shorter",)


def test_faults_say_where() -> None:
    """A model can act on the path and the reason."""
    reading = checked({"title": 3, "parts": [{"name": "x"}]}, SCHEMA)

    assert len(reading.errors) == 2
    assert "$.parts[0].name" in reading.errors[0]
    assert "$.title" in reading.errors[1]


def test_faults_are_few() -> None:
    """Hundreds of faults would be a prompt of their own."""
    reading = checked({"title": "t", "parts": [1] * 100}, SCHEMA)

    assert len(reading.errors) == MAX_ERRORS


def test_correction_lists_the_faults() -> None:
    """The model is told all of them, and to give the whole value again."""
    told = correction(("$.a: wrong <b>", "$.c: missing"))

    assert "- $.a: wrong <b>\n- $.c: missing\n" in told
    assert "whole value" in told


def test_needless_nulls_are_left_out_everywhere() -> None:
    """Where null is allowed it stays; where the field may be missing it goes."""
    value: JsonValue = {
        "title": "t",
        "parts": [{"name": "one", "weight": None}],
        "first": {"name": "two", "weight": None},
        "kind": None,
        "note": None,
    }

    reading = checked(value, SCHEMA)

    assert reading.errors == ()
    assert reading.value == {
        "title": "t",
        "parts": [{"name": "one"}],
        "first": {"name": "two"},
        "note": None,
    }


@given(JSON)
def test_valid_values_are_not_touched(value: JsonValue) -> None:
    """Whatever a schema allows comes out as it went in."""
    assert checked(value, {}).value == value
    assert read_output(json.dumps({"x": value}), {"type": "object"}).value == {"x": value}


def test_strict_form_is_what_providers_take() -> None:
    """Closed objects, all fields required, no keywords that strict mode refuses."""
    strict = strict_schema(SCHEMA)

    assert strict is not None
    check_strict(strict, "test")
    assert set(strict["required"]) == set(SCHEMA["properties"])
    assert {"type": "null"} in strict["properties"]["kind"]["anyOf"]


@given(st.booleans(), st.booleans())
def test_what_fits_the_strict_form_fits_the_schema(has_kind: bool, has_first: bool) -> None:
    """A model that keeps to the strict form passes the check of the whole schema."""
    value: JsonValue = {
        "title": "t",
        "parts": [{"name": "one", "weight": None}],
        "first": {"name": "two", "weight": 2.0} if has_first else None,
        "kind": "b" if has_kind else None,
        "note": None,
    }
    strict = strict_schema(SCHEMA)

    assert strict is not None
    assert checked(value, strict).errors == ()
    assert checked(value, SCHEMA).errors == ()


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"m": {"type": "object", "additionalProperties": {}}}},
        {"type": "object", "properties": {"any": {}}},
        {"type": "object", "properties": {"list": {"type": "array"}}},
        {"type": "object", "properties": {"x": {"oneOf": [{"type": "string"}]}}},
        {"type": "array", "items": {"type": "string"}},
        {"anyOf": [{"type": "object", "properties": {}}]},
    ],
)
def test_some_schemas_have_no_strict_form(schema: dict[str, Any]) -> None:
    """Maps of anything and the like: the model is asked without enforcement, and checked."""
    assert strict_schema(schema) is None
