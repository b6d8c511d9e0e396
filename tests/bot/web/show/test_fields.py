"""Forms are made from argument schemas, and read back into arguments."""

from __future__ import annotations

from enum import StrEnum

import pytest
from pydantic import BaseModel, Field, JsonValue

from bot.web.show.fields import FieldError, form, read


class Size(StrEnum):
    """A choice."""

    SMALL = "small"
    LARGE = "large"


class Args(BaseModel):
    """One argument of every kind."""

    name: str
    count: int = Field(3, description="How many.")
    ratio: float | None = None
    size: Size = Size.SMALL
    is_forced: bool = False
    tags: list[str] = Field(default_factory=list)


SCHEMA = Args.model_json_schema()
ARGS: dict[str, JsonValue] = {"name": "checkout", "count": 3, "tags": ["a"], "extra": "kept"}


def test_kinds_follow_the_schema() -> None:
    """Each argument gets the control that fits it, filled with what it is now."""
    fields = {field.name: field for field in form(SCHEMA, ARGS)}

    assert {name: field.kind for name, field in fields.items()} == {
        "name": "text",
        "count": "integer",
        "ratio": "number",
        "size": "choice",
        "is_forced": "boolean",
        "tags": "json",
        "extra": "text",
    }
    assert fields["name"].is_required
    assert fields["count"].description == "How many."
    assert fields["size"].options == ("small", "large")
    assert fields["size"].text == "small"


def test_what_is_filled_in_becomes_arguments() -> None:
    """Texts become values of their kinds; empty optional ones are left out."""
    filled = {
        "name": "payments",
        "count": "5",
        "ratio": "",
        "size": "large",
        "is_forced": "true",
        "tags": '["b"]',
    }

    assert read(SCHEMA, ARGS, filled) == {
        "name": "payments",
        "count": 5,
        "size": "large",
        "is_forced": True,
        "tags": ["b"],
        "extra": "kept",
    }


@pytest.mark.parametrize(
    ("name", "text"), [("count", "many"), ("ratio", "half"), ("tags", "[not json")]
)
def test_a_text_of_the_wrong_kind_is_named(name: str, text: str) -> None:
    """The error says which field it is about."""
    with pytest.raises(FieldError) as caught:
        read(SCHEMA, ARGS, {"name": "x", name: text})

    assert caught.value.field == name
