"""The stand-in for providers: it has to be as strict as they are, or it proves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.model_server import (
    Asked,
    ModelServer,
    Reply,
    after,
    by_rules,
    call,
    cycle,
    endless,
    output,
    say,
)
from tests.model_server.checks import Refused, check
from tests.model_server.rules import Rule

USER = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "look-up", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "found"}
TOOL = {"type": "function", "function": {"name": "look-up", "parameters": {"type": "object"}}}
MARKED = {"type": "text", "text": "", "cache_control": {"type": "ephemeral"}}
CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


def body(**more: Any) -> dict[str, Any]:
    """Return a request that is right, but for what is given."""
    return {"model": "m", "messages": [USER], **more}


def shaped(schema: dict[str, Any], *, strict: bool = True) -> dict[str, Any]:
    """Return a request for JSON of this schema."""
    wanted = {"name": "reply", "schema": schema, "strict": strict}
    return body(response_format={"type": "json_schema", "json_schema": wanted})


@pytest.mark.parametrize(
    "right",
    [
        body(),
        body(messages=[{"role": "system", "content": [{"type": "text", "text": "s"}]}, USER]),
        body(messages=[USER, CALLED, RESULT], tools=[TOOL]),
        body(tools=[TOOL], tool_choice="required", max_tokens=1),
        body(stream=True, stream_options={"include_usage": True}),
        shaped(CLOSED),
        shaped({"type": "object"}, strict=False),
    ],
)
def test_right_requests_pass(right: dict[str, Any]) -> None:
    """What OpenAI takes is taken."""
    assert check(right) == right


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ([], "JSON object"),
        (body(model=""), "model"),
        (body(tolls=[]), "tolls"),
        (body(messages=[]), "too short"),
        (body(messages=[{"role": "robot", "content": "hi"}]), "robot"),
        (body(messages=[{"role": "user", "content": None}]), "content"),
        (body(messages=[RESULT]), "preceding"),
        (body(messages=[USER, CALLED]), "c1"),
        (body(messages=[USER, CALLED, USER]), "c1"),
        (body(messages=[USER, CALLED, RESULT, RESULT]), "preceding"),
        (
            body(
                messages=[{**USER, "content": [{"type": "text", "text": "", "cache_control": 1}]}]
            ),
            "cache_control",
        ),
        (body(tools=[]), "tools"),
        (body(tools=[TOOL, TOOL]), "twice"),
        (body(tools=[{"type": "function", "function": {"name": "a.b"}}]), r"a\.b"),
        (body(tool_choice="required"), "tool_choice"),
        (
            body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "made-up"}}),
            "tool_choice",
        ),
        (body(max_tokens=0), "max_tokens"),
        (body(max_tokens=1, max_completion_tokens=1), "same time"),
        (body(stream_options={}), "stream"),
        (body(temperature=3), "temperature"),
        (shaped({"type": "array"}), "object"),
        (shaped({"type": "object", "properties": {}}), "additionalProperties"),
        (shaped({**CLOSED, "properties": {"a": {"type": "string"}}}), "required"),
        (shaped({**CLOSED, "default": {}}), "default"),
        (shaped({**CLOSED, "properties": {"a": {}}, "required": ["a"]}), "type"),
    ],
)
def test_wrong_requests_are_refused(wrong: Any, sentence: str) -> None:
    """What OpenAI answers with 400 is answered with 400, and the sentence says why."""
    with pytest.raises(Refused, match=sentence):
        check(wrong)


def post(server: ModelServer, asked: dict[str, Any]) -> httpx.Response:
    """Make one call."""
    return httpx.post(f"{server.base_url}/chat/completions", json=asked)


def texts(rule: Rule, times: int) -> list[str]:
    """Return what a rule says to the same call, again and again."""
    return [rule(Asked(body(), number, "")).text for number in range(times)]


def test_refused_requests_are_remembered() -> None:
    """A test may insist on there being none."""
    with ModelServer([say("hello")]) as server:
        response = post(server, body(messages=[]))

        assert response.status_code == 400
        assert "too short" in response.json()["error"]["message"]
        assert len(server.ledger.refused) == 1
        assert server.calls == []


def test_script_that_ended_says_so() -> None:
    """One call too many is a wrong request, so that nobody retries it."""
    with ModelServer([say("hello")]) as server:
        assert post(server, body()).status_code == 200
        assert "no reply" in post(server, body()).json()["error"]["message"]


def test_repeated_calls_are_noticed() -> None:
    """Asking again what was answered is counted; asking again what failed is not."""
    with ModelServer([Reply(status=500), say("hello"), say("again"), say("else")]) as server:
        for asked in (body(), body(), body(), body(model="other")):
            post(server, asked)

        assert [one.number for one in server.ledger.repeated] == [2]
        assert server.ledger.statuses == [500, 200, 200, 200]
        assert sum(server.ledger.finished.values()) == 3


def test_models_are_listed() -> None:
    """As people's tools ask for them."""
    with ModelServer() as server:
        found = httpx.get(f"{server.base_url}/models").json()

        assert [one["id"] for one in found["data"]] == ["test-model"]


def test_answer_follows_how_json_is_asked_for() -> None:
    """One rule serves both: content for a schema, arguments for a forced call."""
    forced = {"type": "function", "function": {"name": "look-up"}}
    with ModelServer(lambda _: output({"a": 1})) as server:
        by_schema = post(server, shaped(CLOSED)).json()["choices"][0]["message"]
        by_tool = post(server, body(tools=[TOOL], tool_choice=forced)).json()["choices"][0]

        assert json.loads(by_schema["content"]) == {"a": 1}
        assert by_tool["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'


def test_rules_see_the_conversation() -> None:
    """What a rule usually decides by has a name."""
    asked = Asked(body(messages=[USER, CALLED, RESULT], tools=[TOOL]), 0, "")

    assert (asked.turn, asked.results, asked.tools) == (1, ("found",), ("look.up",))
    assert asked.text == "found"
    assert "hi" in asked.transcript


def test_rules_can_be_combined() -> None:
    """By condition, in order, in a circle, and one after the other."""
    rule = by_rules(
        (lambda asked: asked.number == 0, say("first")),
        (lambda asked: asked.number == 1, cycle(say("second"))),
    )

    assert texts(rule, 2) == ["first", "second"]
    assert rule(Asked(body(), 2, "")).status == 400
    assert texts(cycle(say("a"), say("b")), 3) == ["a", "b", "a"]
    assert texts(after([say("a")], lambda _: say("b")), 3) == ["a", "b", "b"]
    assert endless("look.up") == call("look.up")


def test_rules_come_from_a_file(tmp_path: Path) -> None:
    """By hand, the server follows the function `answer` of a file."""
    rules = tmp_path / "rules.py"
    rules.write_text(
        "from tests.model_server import say\ndef answer(asked): return say(asked.text.upper())\n"
    )
    command = [sys.executable, "-m", "tests.model_server", "--port", "0", "--rules", str(rules)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            address = running.stdout.readline().strip().partition("=")[2]
            answer = httpx.post(f"{address}/chat/completions", json=body(), timeout=10).json()
        finally:
            running.terminate()

    assert answer["choices"][0]["message"]["content"] == "HI"
