"""Outputs of any shape fit a form, and come out of it as they are."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import JsonValue

from agents.submission import Form

OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
LIST = {"type": "array", "items": {"$ref": "#/$defs/one"}, "$defs": {"one": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "filled", "value"),
    [
        (OBJECT, {"a": 1}, {"a": 1}),
        (LIST, {"output": ["x"]}, ["x"]),
        ({"enum": ["a", "b"]}, {"output": "a"}, "a"),
        ({"anyOf": [{"type": "null"}, OBJECT]}, {"output": None}, None),
        ({"type": "string"}, {"output": "x"}, "x"),
    ],
)
def test_filled_form_gives_the_value(
    schema: dict[str, Any], filled: JsonValue, value: JsonValue
) -> None:
    """An object is its own form; anything else stands in a field."""
    form = Form(schema)

    assert form.parameters["type"] == "object"
    assert form.read(filled).value == value
    assert form.read(filled).errors == ()


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (OBJECT, '{"a": 1}', {"a": 1}),
        (LIST, '["x", "y"]', ["x", "y"]),
        (LIST, '{"output": ["x"]}', ["x"]),
        ({"type": "string"}, "just words", "just words"),
    ],
)
def test_text_gives_the_value(schema: dict[str, Any], text: str, value: JsonValue) -> None:
    """With the field or without it."""
    assert Form(schema).read_text(text).value == value


def test_errors_say_what_is_wrong() -> None:
    """Each with its place."""
    assert Form(OBJECT).read({"a": "x"}).errors == ("$.a: 'x' is not of type 'integer'",)
    assert Form(LIST).read_text("[1]").errors == ("$[0]: 1 is not of type 'string'",)
    assert "cut off" in Form(OBJECT).read_text('{"a"', is_cut=True).errors[0]


def test_output_that_is_too_long_is_an_error() -> None:
    """The agent is told to summarise."""
    (error,) = Form({"type": "string"}, max_bytes=10).read({"output": "x" * 20}).errors

    assert error.startswith("it is 22 bytes, 10 is the most: summarise")
