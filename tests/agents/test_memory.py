"""Memory is told in short, and its levels hold one another."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from agents.conversation import MAX_CHARS, Leg, conversation
from agents.domain import Answer, Cite, Claim
from agents.memory import MAX_SUMMARY_CHARS, earlier_run, reaches, summary


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("some\n text", "some text"),
        ({"headline": "h", "summary": "s", "x": 1}, "h s"),
        ({"x": 1}, '{"x": 1}'),
        (None, "null"),
    ],
)
def test_output_is_told_in_a_paragraph(output: JsonValue, said: str) -> None:
    """In its own words if it has any."""
    assert summary(output) == said
    assert len(summary("word " * 1_000)) <= MAX_SUMMARY_CHARS


def test_levels_hold_one_another() -> None:
    """Who remembers the thread remembers the run and the step."""
    assert [reaches("run", level) for level in ("step", "run", "thread")] == [True, True, False]
    assert not reaches("none", "step")


def test_struck_claims_are_forgotten() -> None:
    """What code found unsupported does not come back as knowledge."""
    answer = Answer(
        headline="h",
        claims=(Claim("true", (Cite("ev-1", "q"), Cite("run-0/ev-2", "q"))), Claim("no", (), True)),
    )

    run = earlier_run("run-1", "goal", answer)

    assert run.claims == ("true [run-1/ev-1, run-0/ev-2]",)


LEG = Leg("triage", "triage", "#0", "billing", "money")


def test_conversation_tells_turns_and_calls_of_its_legs() -> None:
    """Only those of the agents that had it, in this try."""
    entries: dict[str, dict[str, JsonValue]] = {
        "triage/turn-1#0": {"kind": "turn", "reply": {"text": "let me look"}},
        "triage/t1-0#0": {"tool": "sql.query", "args": {"a": 1}, "evidence_id": "ev-1"},
        "triage/t1-1#0": {"tool": "sql.query", "args": {}, "error": "no table"},
        "triage/opening#0": {"kind": "note", "value": "secret prompt"},
        "billing~1/turn-1#0": {"kind": "turn", "reply": {"text": "me now"}},
        "triage/turn-1#1": {"kind": "turn", "reply": {"text": "another try"}},
    }

    assert conversation([LEG], entries, ["service.restart: succeeded"]).splitlines() == [
        "triage: let me look",
        'triage called sql.query {"a": 1}: evidence ev-1',
        "triage called sql.query {}: no table",
        "triage handed over to billing: money",
        "service.restart: succeeded",
    ]


def test_long_conversation_keeps_its_end() -> None:
    """What was said last matters most."""
    entries = {
        f"triage/turn-{n}#0": {"kind": "turn", "reply": {"text": f"{n} " + "word " * 100}}
        for n in range(50)
    }

    text = conversation([LEG], entries)  # type: ignore[arg-type]

    assert len(text) < MAX_CHARS + 100
    assert text.startswith("… what was said before is left out")
    assert text.endswith("triage handed over to billing: money")
