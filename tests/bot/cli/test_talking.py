"""Answering and replying from a terminal, and what a planned run looks like there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from agents.domain import Moment
from bot.cli import terminal
from bot.cli.app import app
from bot.cli.narrate import line
from jobs import commands as c
from jobs.run import apply_all, decide
from jobs.state import Question, Run
from tests.bot.planned import ALICE, NOW, ROOT, child, planned, revise, take

RUN = {
    "run_id": "run-1",
    "title": "why?",
    "headline": "Reviewing what failed",
    "status": "running",
    "started_at": NOW,
    "planner": {
        "status": "running",
        "title": "The goal",
        "worker_name": "Supervisor",
        "note": "two places to look at",
        "started_at": NOW,
        "ended_at": None,
    },
    "steps": [
        {
            "status": "running",
            "title": "Word it",
            "worker_name": "Billing",
            "note": "",
            "started_at": None,
            "ended_at": None,
            "depth": 1,
            "handoffs": [{"source": "Triage", "to": "Billing", "reason": "an invoice\x1b[2J"}],
        }
    ],
    "approvals": [],
    "questions": [
        {"id": "q-1", "text": "Which region?", "options": ["EU", "US"], "answer": None},
        {"id": "q-2", "text": "Since when?", "options": [], "answer": None},
    ],
    "revisions": [
        {"number": 1, "planner": "", "reason": "to begin"},
        {"number": 2, "planner": "", "reason": "payments is slow"},
    ],
    "late": {"at": 0.0},
    "spent": {"text": "$0.0123, 14,210 tokens, 9 model calls", "models": ["big"]},
}
ANSWER = {
    "answer": {
        "headline": "It was payments",
        "summary": "",
        "finding": "report",
        "confidence": None,
        "claims": [],
        "timeline": [],
        "actions": [],
        "recommendations": [],
        "missing": [],
        "used_model": True,
    },
    "spent": RUN["spent"],
    "took_s": 64.0,
}


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Return what was printed so far."""
    console = Console(highlight=False, record=True, width=140, force_terminal=False)
    monkeypatch.setattr(terminal, "_out", console)
    return lambda: console.export_text(clear=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """Return the requests made; a bot answers each of them."""
    made: list[tuple[str, str, Any]] = []

    def answer(method: str, url: str, **options: Any) -> httpx.Response:
        made.append((method, url.removeprefix("http://bot"), options.get("json")))
        if method == "GET":
            return httpx.Response(200, json={"run": {"thread": {"id": "t1"}}})
        body = {"sentence": "Taken.", "outcome": "started", "run_id": "run-2", "url": "/runs/run-2"}
        return httpx.Response(200, json=body)

    monkeypatch.setattr("bot.cli.client.httpx.request", answer)
    monkeypatch.setenv("MUSTER_SERVER_URL", "http://bot")
    monkeypatch.setenv("MUSTER_TOKEN", "t")
    return made


def told(run: Run, command: c.Command) -> list[str]:
    """Return the lines of what the command makes happen."""
    happened = decide(run, command, NOW + 3)
    after = apply_all(run, happened)
    return [said for event in happened if (said := line(after, event))]


def test_answer_is_sent_to_the_question(asked: list[tuple[str, str, Any]]) -> None:
    """The run, the question and the words; then what came of it."""
    result = CliRunner().invoke(app, ["answer", "run-1", "q-1", "EU"])

    assert (result.exit_code, result.output) == (0, "Taken.\n")
    assert asked == [("POST", "/api/questions/q-1", {"answer": "EU", "run_id": "run-1"})]


def test_reply_goes_to_the_thread_of_the_run(asked: list[tuple[str, str, Any]]) -> None:
    """A follow-up says where its run is."""
    result = CliRunner().invoke(app, ["reply", "run-1", "and payments?"])

    assert result.exit_code == 0
    assert "run-2: http://bot/runs/run-2" in result.output
    assert asked[-1] == ("POST", "/api/threads/t1/messages", {"text": "and payments?"})


def test_card_shows_plan_handoffs_changes_and_cost(printed: Callable[[], str]) -> None:
    """A planned run, with the command that answers each question, ready to be copied."""
    terminal._out.print(terminal.card(RUN, NOW))

    said = printed()
    for part in (
        "Plan",
        "Supervisor",
        "two places to look at",
        "Triage → Billing: an invoice",
        "Late since 00:00:00Z",
        "Plan 2: payments is slow",
        'muster answer run-1 q-1 "EU | US"',
        'muster answer run-1 q-2 "…"',
        "$0.0123, 14,210 tokens, 9 model calls",
    ):
        assert part in said, part
    assert "to begin" not in said
    assert "\x1b" not in said


def test_answer_says_what_it_took(printed: Callable[[], str]) -> None:
    """Cost, models and time stand below the answer; without models that is said."""
    terminal.print_run({"run": RUN, "answer": ANSWER})
    plain = {**ANSWER, "answer": {**ANSWER["answer"], "used_model": False}, "spent": None}  # type: ignore[dict-item]
    terminal.print_run({"run": RUN, "answer": plain})

    said = printed()
    assert "9 model calls · models: big · took 1 min 4 s" in said
    assert "No model was used · took 1 min 4 s" in said


def test_planning_is_narrated() -> None:
    """The plan and its reason, handoffs, messages, and how to answer a question."""
    run = take(planned(), ROOT)
    first = child(ROOT, "ticket", "Solve the ticket", "triage")
    assert told(run, c.RevisePlan(ROOT, 1, "one is enough", steps=(first,))) == [
        "  ≡ Plan 1: one is enough (+ Solve the ticket)"
    ]
    run = take(revise(planned(), ROOT, first), first.id)
    question = Question("q-1", first.id, "Which account?", kind="input")
    assert told(run, c.HandOff(first.id, 1, "billing", "an invoice"))[0] == (
        "  → Solve the ticket: triage → billing: an invoice"
    )
    assert told(run, c.PostMessage("k", first.id, "On it")) == ["  » On it"]
    assert told(run, c.AskQuestion(first.id, 1, question)) == [
        '  ? Which account?  Answer with: muster answer run-1 q-1 "…"'
    ]
    assert told(run, c.Signal(Moment(NOW + 2, "Alice: hurry", "message")))[0] == "  · Alice: hurry"


def test_end_is_narrated_with_its_cost() -> None:
    """The last line has the answer and what the models used."""
    run = take(planned(), ROOT)
    turn = c.NoteTurn(ROOT, 1, "a", "supervisor", "big", input_tokens=900, output_tokens=100)
    run = apply_all(run, decide(run, turn, NOW + 1))

    lines = told(run, c.FinishStep(ROOT, 1, {"headline": "All is well"}))

    assert lines[-1] == "Answer: All is well · cost unknown, 1,000 tokens, 1 model call"
    assert told(run, c.StopRun(ALICE))[0] == "  ■ Stopped by Alice"
