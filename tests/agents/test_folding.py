"""A conversation stays within its size."""

from __future__ import annotations

from dataclasses import replace

from agents.folding import ROOM, Folding, as_text
from agents.models.port import Message, Role, ToolRequest, estimated_tokens

LONG = "word " * 400  # 500 tokens


def conversation(turns: int) -> list[Message]:
    """Return a conversation with one long result a turn."""
    messages = [Message(Role.SYSTEM, "s"), Message(Role.USER, "u")]
    for turn in range(turns):
        request = ToolRequest(f"c{turn}", "look", {"n": turn})
        messages.append(Message(Role.ASSISTANT, "", (request,)))
        messages.append(Message(Role.TOOL, LONG, call_id=f"c{turn}"))
    return messages


def test_short_conversation_stays_as_it_is() -> None:
    """Nothing is folded that fits."""
    messages = conversation(3)

    assert Folding(2_000).view(messages, {}) == tuple(messages)


def test_oldest_results_become_a_line() -> None:
    """Until there is room for the next turns; the newest result stays, nothing else changes."""
    messages = conversation(5)

    view = Folding(2_000).view(messages, {3: "[ev-0]"})

    assert view[3] == replace(messages[3], text="[ev-0]")
    assert view[-1] == messages[-1]
    assert estimated_tokens(view) <= 2_000 * ROOM
    assert [one.call_id for one in view] == [one.call_id for one in messages]


def test_folding_stays_as_it_was_until_it_is_full_again() -> None:
    """A request begins like the one before it, so that providers' caches hold."""
    folding = Folding(2_000)
    first = folding.view(conversation(5), {})

    second = folding.view(conversation(6), {})

    assert second[: len(first)] == first


def test_result_nobody_has_seen_is_not_folded() -> None:
    """Then it does not fit, and the agent is stopped."""
    folding = Folding(100)
    view = folding.view(conversation(1), {})

    assert view[-1].text == LONG
    assert not folding.fits(view)


def test_conversation_as_text_leaves_its_middle_out() -> None:
    """Calls are told in words."""
    text = as_text(conversation(3), 10_000)
    assert '[called] look({"n": 0})' in text
    assert f"[tool] {LONG}" in text

    short = as_text(conversation(3), 50)
    assert len(short) < 300
    assert "characters left out" in short
