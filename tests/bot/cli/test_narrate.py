"""One line for each thing that happens."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.domain import Answer, Moment
from bot.cli.narrate import line
from jobs import commands as c
from jobs import events as e
from jobs.run import apply_all, decide
from jobs.state import Run, Status
from tests.jobs.plans import ALICE, GOAL, NOW, approve, asked, plan, started, step, take

PLAN = plan(step("look"), step("fix", needs=("look",)))


def told(run: Run, command: c.Command) -> list[str]:
    """Return the lines of what the command makes happen."""
    happened = decide(run, command, NOW + 3)
    after = apply_all(run, happened)
    return [said for event in happened if (said := line(after, event))]


def test_start_of_a_run_says_its_goal() -> None:
    """The first line names the run, what is wanted and how many steps there are."""
    said = line(started(PLAN), e.RunStarted(at=NOW, goal=GOAL, plan=PLAN))

    assert said == "Run run-1: why is checkout failing? (2 steps)"


def test_step_is_told_from_its_start_to_its_end() -> None:
    """Who works, how long it took, or why it failed."""
    run = started(PLAN)
    assert told(run, c.StartStep("look", 1, "w1")) == ["  ▶ Look · test.tool"]
    run = take(run, "look")
    assert told(run, c.FinishStep("look", 1, None)) == ["  ✓ Look · 3.0 s"]
    assert told(run, c.LoseStep("look", 1)) == ["  ↻ Look: its worker died, another takes over"]
    assert told(run, c.RequeueStep("look", 1, "late")) == [
        "  ↻ Look decided too late and looks again"
    ]
    assert told(run, c.FailStep("look", 1, "boom"))[0] == "  ✗ Look: boom"


def test_approval_says_what_and_who() -> None:
    """What would run, who may decide, and what they decided."""
    run, approval = asked(started(PLAN), "look")

    said = line(run, e.ApprovalRequested(at=NOW, approval=approval))
    assert said == ("  ? Roll back checkout: service.rollback checkout a0. Waits for group oncall")
    whole = replace(approval, calls=())
    said = line(run, e.ApprovalRequested(at=NOW, approval=whole))
    assert said == "  ? Roll back checkout. Waits for group oncall"
    assert told(run, approve(approval)) == ["  ! Roll back checkout: approved by Alice"]


def test_end_is_told() -> None:
    """Who stopped it, and the answer."""
    assert told(started(PLAN), c.StopRun(ALICE)) == [
        "  ■ Stopped by Alice",
        "Answer: Stopped by Alice; nothing further was done.",
    ]


@pytest.mark.parametrize("text", ["a\nb", "a\x1b[2Jb", "a\u202eb", "a\rb", "a\x9bb", "a\u2028b"])
def test_others_text_cannot_move_the_cursor(text: str) -> None:
    """An alert's text is one line, without what a terminal would act on."""
    run = started(PLAN)

    for event in (
        e.SignalReceived(at=NOW, moment=Moment(NOW, text)),
        e.RunEnded(at=NOW, status=Status.SUCCEEDED, answer=Answer(headline=text)),
    ):
        said = line(run, event)
        assert said.isprintable()
        assert len(said.splitlines()) == 1


def test_small_things_are_not_worth_a_line() -> None:
    """Queueing and a note pass in silence."""
    run = started(PLAN)

    assert line(run, e.StepQueued(at=NOW, step_id="look", attempt=2)) == ""
    assert line(run, e.StepNoted(at=NOW, step_id="look", text="x")) == ""
