"""A conversation on the wire."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.models.naming import breaker_name, litellm_name, provider_name
from agents.models.port import Message, ModelTool, Role, ToolRequest
from agents.models.wire import (
    MAX_WIRE_NAME,
    WireCall,
    read_args,
    read_requests,
    wire_messages,
    wire_name,
    wire_tools,
)
from config.specs import ModelSpec
from tests.model_server.checks import TOOL_NAME

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,40}\.[a-z][a-z0-9_]{0,40}", fullmatch=True)


@given(st.sets(NAMES, max_size=20))
def test_names_are_accepted_and_found_again(names: set[str]) -> None:
    """Every tool has a name that providers take, and its calls come back under its own."""
    tools = [ModelTool(name, "", {"properties": {}}) for name in sorted(names)]
    wire = [tool["function"]["name"] for tool in wire_tools(tools)]

    found = read_requests([WireCall("", name, "{}") for name in wire], tools)

    assert all(TOOL_NAME.fullmatch(name) for name in wire)
    assert [one.name for one in found] == sorted(names)


def test_long_names_stay_apart() -> None:
    """Cutting a name leaves what tells it from others."""
    names = {wire_name("a." + "b" * 80 + end) for end in "xy"}

    assert len(names) == 2
    assert max(len(name) for name in names) <= MAX_WIRE_NAME


def test_unknown_tool_keeps_its_name() -> None:
    """Whoever runs the calls tells the model that there is no such tool."""
    (request,) = read_requests([WireCall("1", "made_up", "{}")], [])

    assert request.name == "made_up"


def test_missing_and_double_ids_are_made_up_for() -> None:
    """Results are matched by id, and some servers are careless with them."""
    found = read_requests([WireCall(id_, "x", "{}") for id_ in ("", "a", "a")], [])

    assert found[1].id == "a"
    assert len({one.id for one in found}) == 3


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("  ", {}),
        ("[1]", None),
        ('{"a": 1', None),
        ("{'a': 1}", None),
    ],
)
def test_arguments_are_read_but_never_repaired(text: str, args: dict[str, int] | None) -> None:
    """Half a call may be worse than none."""
    assert read_args(text) == args


def test_unreadable_arguments_travel_as_json() -> None:
    """Some providers refuse a history whose arguments are no JSON."""
    broken = Message(Role.ASSISTANT, requests=(ToolRequest("1", "a.b", None, "{oops"),))

    (wire,) = wire_messages([broken])

    assert json.loads(wire["tool_calls"][0]["function"]["arguments"]) == {
        "unreadable_arguments": "{oops"
    }
    assert wire["content"] is None


def test_marks_stand_where_turns_share_words() -> None:
    """The end of the system message and the end of the conversation, however it ends."""
    system, user = Message(Role.SYSTEM, "s"), Message(Role.USER, "u")
    called = Message(Role.ASSISTANT, requests=(ToolRequest("1", "a.b", {}),))
    result = Message(Role.TOOL, "r", call_id="1")

    short = wire_messages([system, user], is_marked=True)
    long = wire_messages([system, user, called, result], is_marked=True)

    assert [isinstance(one["content"], list) for one in short] == [True, True]
    assert [isinstance(one["content"], list) for one in long] == [True, False, False, False]
    assert "cache_control" in long[-1]
    assert "cache_control" not in json.dumps(wire_messages([system, user]))


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (ModelSpec(model="gpt-x"), ("openai", "gpt-x", "gpt-x")),
        (
            ModelSpec(model="anthropic/claude-x"),
            ("anthropic", "anthropic/claude-x", "anthropic/claude-x"),
        ),
        (
            ModelSpec(model="qwen3", base_url="http://u:p@box:1/v1"),
            ("openai", "qwen3@box:1", "openai/qwen3"),
        ),
        (
            ModelSpec(model="openai/qwen3", base_url="http://box/v1"),
            ("openai", "openai/qwen3@box", "openai/qwen3"),
        ),
        (
            ModelSpec(model="meta/llama", base_url="http://box/v1"),
            ("meta", "meta/llama@box", "openai/meta/llama"),
        ),
    ],
)
def test_models_have_three_names(spec: ModelSpec, names: tuple[str, str, str]) -> None:
    """For limits, for breakers (without credentials of an address), and for litellm."""
    assert (provider_name(spec), breaker_name(spec), litellm_name(spec)) == names
