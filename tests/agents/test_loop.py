"""Whatever a model says, the loop ends, its conversation is well formed, and it can be replayed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agents.domain import Evidence, JsonObject
from agents.loop import (
    MAX_CALLS_PER_TURN,
    HandedOff,
    Offer,
    Solved,
    Task,
    UnsolvedError,
    reserve_of,
    solve,
)
from agents.models.port import Finish, Message, ModelReply, ModelRequest, Role, ToolRequest
from agents.outcome import CallOutcome
from agents.submission import Form
from config.specs import AgentSpec

MAX_TURNS = 6
AGENT = AgentSpec(name="a", title="A", description="Works.", model="smart", max_turns=MAX_TURNS)
OPENING = (Message(Role.SYSTEM, "s"), Message(Role.USER, "u"))
FORM = Form({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]})
PARAMETERS: JsonObject = {"type": "object", "properties": {"text": {"type": "string"}}}
OFFERS = (
    Offer("look.at", "Look at something.", PARAMETERS),
    Offer("act.on", "Change something.", PARAMETERS, is_writing=True),
)


class Killed(Exception):
    """The worker died here."""


class Desk:
    """Ports that record what they gave, as the journal does, and die at a given call."""

    def __init__(self, replies: Sequence[ModelReply], dies_at: int = 0) -> None:
        self.replies = iter(replies)
        self.dies_at = dies_at
        self.asked: dict[str, ModelRequest] = {}
        self.made: list[str] = []
        self._record: dict[str, object] = {}

    def _once(self, key: str, make: Callable[[], object]) -> object:
        if key not in self._record:
            if len(self.made) + 1 == self.dies_at:
                self.dies_at = 0
                raise Killed
            self._record[key] = make()
            self.made.append(key)
        return self._record[key]

    async def think(self, key: str, request: ModelRequest) -> ModelReply:
        """Return the next reply; the same key must ask the same."""
        reply = self._once(key, lambda: next(self.replies, ModelReply("m", '{"x": 0}')))
        assert self.asked.setdefault(key, request) == request
        assert isinstance(reply, ModelReply)
        return reply

    async def call_tool(self, call_id: str, tool: str, args: JsonObject) -> CallOutcome:
        """Fail now and then, by the arguments."""
        text = json.dumps(args, sort_keys=True)
        outcome = CallOutcome({"t": text}, f"ev-{call_id}", f"{tool} {text}", "")
        if "fail" in text:
            outcome = CallOutcome(None, "", "", "it failed")
        found = self._once(call_id, lambda: outcome)
        assert isinstance(found, CallOutcome)
        return found

    async def ask(self, call_id: str, text: str, options: Sequence[str], kind: str) -> str:
        """Answer the first option."""
        return str(self._once(call_id, lambda: options[0] if options else "yes"))

    async def once(self, key: str, make: Callable[[], Awaitable[JsonValue]]) -> JsonValue:
        """Return what was made first."""
        if key not in self._record:
            self._record[key] = await make()
        value = self._record[key]
        assert isinstance(value, str)
        return value

    async def evidence(self) -> Mapping[str, Evidence]:
        """Return one piece."""
        return {"ev-1": Evidence("ev-1", "r", "s", "t", "t", "one\ntwo", 0.0)}

    def objection_to_hand_off(self, to: str) -> str:
        """Refuse one of the two."""
        return "no" if to == "no" else ""

    def seconds_left(self) -> float:
        """Return plenty."""
        return 600.0


CHOICES: list[JsonObject | None] = [
    None,
    {},
    {"text": "a"},
    {"text": "fail"},
    {"x": 1},
    {"x": "wrong"},
    {"evidence_id": "ev-1"},
    {"evidence_id": "ev-1", "text": "two"},
    {"question": "?"},
    {"to": "no", "reason": "r"},
    {"to": "person", "reason": "r"},
    {"query": "look"},
]
ARGS = st.sampled_from(CHOICES)
NAMES = st.sampled_from(
    [
        "look__at",
        "look.at",
        "act__on",
        "evidence__read",
        "evidence__search",
        "ask_person",
        "hand_off",
        "submit",
        "nonsense",
    ]
)


@st.composite
def replies(draw: st.DrawFn) -> list[ModelReply]:
    """Return what an erratic model says."""
    said: list[ModelReply] = []
    for turn in range(draw(st.integers(0, MAX_TURNS + 2))):
        count = draw(st.integers(0, 4))
        requests = tuple(
            ToolRequest(f"c{turn}-{n}", draw(NAMES), draw(ARGS), "{}") for n in range(count)
        )
        text = draw(st.sampled_from(["", "hm", '{"x": 1}', '{"x": "y"}']))
        finish = Finish.TOOLS if requests else draw(st.sampled_from([Finish.STOP, Finish.LENGTH]))
        said.append(ModelReply("m", text, requests, finish=finish))
    return said


TASK = Task(
    agent=AGENT,
    opening=OPENING,
    nonce="n0nce",
    offers=OFFERS,
    handoffs={"no": "Nobody.", "peer": "A peer.", "person": "People."},
    form=FORM,
)


async def outcome_of(desk: Desk) -> object:
    """Return how the loop ends."""
    try:
        return await solve(TASK, desk)
    except (UnsolvedError, HandedOff) as error:
        return str(error)


@given(replies())
@settings(max_examples=150, deadline=None)
def test_loop_ends_and_its_conversation_is_well_formed(said: list[ModelReply]) -> None:
    """After its turns come last words, and every tool request has exactly one answer."""
    desk = Desk(said)

    ended = asyncio.run(outcome_of(desk))

    assert isinstance(ended, Solved | str)
    assert len(desk.asked) <= MAX_TURNS + 2
    for request in desk.asked.values():
        assert_well_formed(request.messages)
    if isinstance(ended, Solved):
        assert FORM.read(ended.output).errors == ()


def assert_well_formed(messages: Sequence[Message]) -> None:
    """Check what providers check: calls are answered at once, in order, and nothing else is."""
    waiting: list[str] = []
    for message in messages:
        if message.role is Role.TOOL:
            assert waiting.pop(0) == message.call_id
            continue
        assert waiting == []
        assert message.text or message.requests
        waiting = [request.id for request in message.requests]
    assert waiting == []


@given(replies(), st.integers(1, 20))
@settings(max_examples=150, deadline=None)
def test_takeover_recalls_everything_and_ends_the_same(said: list[ModelReply], at: int) -> None:
    """A worker that dies anywhere costs nothing: each call is made once, the end is the same."""
    whole, killed = Desk(said), Desk(said, dies_at=at)
    expected = asyncio.run(outcome_of(whole))

    try:
        ended = asyncio.run(outcome_of(killed))
    except Killed:
        ended = asyncio.run(outcome_of(killed))

    assert ended == expected
    assert sorted(killed.made) == sorted(whole.made)
    assert len(set(killed.made)) == len(killed.made)


async def test_too_many_calls_of_one_turn_are_not_made() -> None:
    """The first are; the others are told how many are allowed."""
    requests = tuple(
        ToolRequest(f"c{n}", "look__at", {"text": str(n)}, "{}")
        for n in range(MAX_CALLS_PER_TURN + 2)
    )
    desk = Desk([ModelReply("m", "", requests), ModelReply("m", '{"x": 1}')])

    await solve(TASK, desk)

    assert len([key for key in desk.made if key.startswith("t1-")]) == MAX_CALLS_PER_TURN
    assert "are the most" in desk.asked["turn-2"].messages[-1].text


@pytest.mark.parametrize(("timeout_s", "kept"), [(120.0, 20.0), (10.0, 2.5)])
def test_time_for_last_words_is_a_share_of_the_steps(timeout_s: float, kept: float) -> None:
    """Short steps keep less."""
    assert reserve_of(timeout_s) == kept
