"""Dialogs: what is filled in comes back as arguments, or as errors at their fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.slack.blocks import MAX_INPUT, Block, view_problems
from bot.platforms.slack.modals import (
    ANSWER_BLOCK,
    FIELD,
    block_id,
    edit_modal,
    field_errors,
    read_context,
    read_edit,
    read_reply,
    reply_modal,
)
from bot.preview.samples import APPROVAL, CALL, QUESTION
from bot.views import CallView

SCHEMA: dict[str, Any] = {
    "type": "object",
    "$defs": {"Mode": {"enum": ["fast", "safe"], "type": "string"}},
    "required": ["service", "count", "mode", "tags", "force"],
    "properties": {
        "service": {"type": "string", "maxLength": 40},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "ratio": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "mode": {"$ref": "#/$defs/Mode"},
        "force": {"type": "boolean"},
        "at": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "limits": {"type": "object"},
        "note": {"type": ["string", "null"]},
    },
}
ARGS: dict[str, Any] = {
    "service": "checkout",
    "count": 3,
    "ratio": 0.5,
    "mode": "fast",
    "force": False,
    "at": "2026-11-20T21:30:05+01:00",
    "day": "2026-11-20",
    "tags": ["a", "b c"],
    "limits": {"cpu": 2},
    "note": "",
    "unknown": "kept",
}
EDITED = replace(CALL, args=ARGS, schema=SCHEMA)


def state_of(view: Block, **changes: Any) -> dict[str, Any]:
    """Return what Slack sends when a dialog is submitted as it was opened, but for changes."""
    changed = {block_id(name): value for name, value in changes.items()}
    values = {
        block["block_id"]: {FIELD: changed.get(block["block_id"], submitted(block["element"]))}
        for block in view["blocks"]
        if block["type"] == "input"
    }
    return {"values": values}


def submitted(element: Block) -> dict[str, Any]:
    """Return a field as Slack sends it when nobody touched it."""
    match element["type"]:
        case "static_select" | "radio_buttons":
            return {"type": element["type"], "selected_option": element.get("initial_option")}
        case "datetimepicker":
            return {"selected_date_time": element.get("initial_date_time")}
        case "datepicker":
            return {"selected_date": element.get("initial_date")}
        case _:
            return {"type": element["type"], "value": element.get("initial_value")}


def edited(call: CallView = EDITED, /, **changes: Any) -> Any:
    """Return what a dialog gives."""
    return read_edit(call, state_of(edit_modal(APPROVAL, call), **changes))


def test_each_type_has_its_field() -> None:
    """Numbers, choices, dates and texts are entered as what they are."""
    view = edit_modal(APPROVAL, EDITED)
    kinds = [block["element"]["type"] for block in view["blocks"] if block["type"] == "input"]

    assert kinds == [
        *("plain_text_input", "number_input", "number_input", "static_select", "radio_buttons"),
        *("datetimepicker", "datepicker", "plain_text_input", "plain_text_input"),
        *("plain_text_input", "plain_text_input"),
    ]
    assert view_problems(view) == []


def test_a_dialog_says_what_it_is_about() -> None:
    """The approval, its revision and the call come back with it, also after a restart."""
    click = read_context(edit_modal(APPROVAL, EDITED))

    assert click is not None
    assert (click.id, click.revision, click.call_key) == (APPROVAL.id, 1, CALL.key)


def test_nothing_touched_changes_nothing() -> None:
    """A dialog that is saved as it was opened gives the same arguments."""
    filled = edited()

    assert filled.args == ARGS
    assert list(filled.args) == list(ARGS)
    assert filled.errors == {}


def test_changes_come_back_typed() -> None:
    """What people enter becomes what the schema wants."""
    filled = edited(
        service={"value": "payments"},
        count={"value": "4"},
        ratio={"value": None},
        mode={"selected_option": {"value": "safe"}},
        force={"selected_option": {"value": "true"}},
        at={"selected_date_time": 1_795_210_200},
        tags={"value": " x \n\n y"},
        limits={"value": '{"cpu": 4}'},
    )

    assert filled.errors == {}
    assert filled.args == {
        "service": "payments",
        "count": 4,
        "mode": "safe",
        "force": True,
        "at": "2026-11-20T21:30:00Z",
        "day": "2026-11-20",
        "tags": ["x", "y"],
        "limits": {"cpu": 4},
        "note": "",
        "unknown": "kept",
    }


@pytest.mark.parametrize(
    ("name", "entered", "sentence"),
    [
        ("count", "many", "a whole number"),
        ("count", "12", "at most 9"),
        ("count", "0", "at least 1"),
        ("ratio", "nan", "a number"),
        ("limits", "{cpu: 1}", "valid JSON"),
        ("limits", "NaN", "valid JSON"),
        ("service", None, "filled in"),
        ("service", "x" * 41, "at most 40"),
    ],
)
def test_what_does_not_fit_is_said_at_its_field(
    name: str, entered: str | None, sentence: str
) -> None:
    """Each field has its own error, so that all can be mended at once."""
    filled = edited(**{name: {"value": entered}})

    assert list(filled.errors) == [block_id(name)]
    assert sentence in filled.errors[block_id(name)]


def test_errors_of_the_tool_stand_at_their_fields() -> None:
    """What only the tool knows is shown in the dialog as well."""
    errors = field_errors(EDITED, {"tags.0": "no such tag", "": "Both cannot be."})

    assert errors == {
        block_id("tags"): "no such tag",
        block_id("service"): "Both cannot be.",
    }


def test_what_is_too_long_for_slack_stays_as_it_is() -> None:
    """An argument without a field keeps its value, and the dialog says so."""
    long = {**ARGS, "service": "s" * (MAX_INPUT + 1)}
    call = replace(EDITED, args=long)
    view = edit_modal(APPROVAL, call)

    assert edited(call).args == long
    assert "Stay as they are" in str(view["blocks"])
    assert view_problems(view) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*SCHEMA["properties"], "other"]), JSON, max_size=8),
    st.booleans(),
)
def test_any_arguments_survive_a_dialog(args: dict[str, Any], with_schema: bool) -> None:
    """Whatever stands there, fitting its schema or not: saved untouched, it is the same."""
    schema = {**SCHEMA, "required": []} if with_schema else {}
    call = replace(CALL, args=args, schema=schema)
    view = edit_modal(APPROVAL, call)
    filled = read_edit(call, state_of(view))

    assert view_problems(view) == []
    assert not filled.errors or with_schema
    if not filled.errors:
        assert {name: filled.args.get(name) for name in args} == args


def test_an_answer_is_read_without_its_spaces() -> None:
    """A question's dialog gives what was written."""
    view = reply_modal(QUESTION)
    click = read_context(view)

    assert click is not None
    assert (click.id, click.run_id) == (QUESTION.id, QUESTION.run_id)
    assert read_reply({"values": {ANSWER_BLOCK: {FIELD: {"value": " the EU \n"}}}}) == "the EU"
    assert read_reply({"values": {}}) == ""
