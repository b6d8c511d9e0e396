"""The rules of a run: order, skipping, retries, fan-out, leases, stopping, answers."""

from __future__ import annotations

import pytest

from agents.domain import Moment
from config.specs import MAX_FAN_OUT, Retries
from jobs import commands as c
from jobs import events as e
from jobs.commands import Refusal, Refused
from jobs.run import MAX_LOSSES, decide, replay, start
from jobs.state import Question, Run, Status
from tests.jobs.plans import (
    ALICE,
    GOAL,
    NOW,
    STRANGER,
    approve,
    asked,
    fail,
    finish,
    plan,
    send,
    started,
    step,
    take,
)


def status(run: Run, step_id: str) -> Status:
    """Return where a step stands."""
    return run.steps[step_id].status


def test_only_steps_without_needs_are_queued_first() -> None:
    """A run begins with the steps that wait for nothing, all at once."""
    run = started(plan(step("a"), step("b"), step("c", needs=("a", "b"))))

    assert [status(run, s) for s in "abc"] == [Status.QUEUED, Status.QUEUED, Status.PENDING]


def test_step_is_queued_when_its_last_need_succeeds() -> None:
    """A step starts only after all that it needs."""
    run = started(plan(step("a"), step("b"), step("c", needs=("a", "b"))))

    run = finish(run, "a")
    assert status(run, "c") is Status.PENDING
    run = finish(run, "b")

    assert status(run, "c") is Status.QUEUED


def test_failure_blocks_only_descendants() -> None:
    """What needs a failed step is skipped, with the reason; the rest goes on."""
    run = started(plan(step("a"), step("b"), step("c", needs=("a",)), step("d", after=("a", "b"))))

    run = finish(fail(run, "a"), "b")

    assert status(run, "c") is Status.SKIPPED
    assert run.steps["c"].reason == "needs A, which failed"
    assert status(run, "d") is Status.QUEUED


def test_when_decides_from_earlier_output() -> None:
    """A step whose `when` does not hold is skipped, and what needs it too."""
    run = started(
        plan(
            step("a"),
            step("fix", needs=("a",), when="steps.a.score > 0.5"),
            step("verify", needs=("fix",)),
            step("end", after=("verify",)),
        )
    )

    run = finish(run, "a", {"score": 0.2})

    assert status(run, "fix") is Status.SKIPPED
    assert status(run, "verify") is Status.SKIPPED
    assert status(run, "end") is Status.QUEUED


def test_broken_expression_fails_its_step_alone() -> None:
    """An expression that cannot be worked out at run time is that step's failure."""
    run = started(plan(step("a"), step("b", when="1 / 0"), step("end", after=("b",))))

    assert status(run, "b") is Status.FAILED
    assert status(run, "a") is Status.QUEUED


def test_fan_out_runs_one_child_for_each_item() -> None:
    """A list found at run time becomes children; their outputs are gathered in order."""
    run = started(plan(step("list"), step("check", needs=("list",), for_each="steps.list.names")))
    run = finish(run, "list", {"names": ["x", "y"]})

    assert [run.step(s).item for s in run.steps["check"].children] == ["x", "y"]
    run = finish(run, "check.1", "second")
    run = finish(run, "check.0", "first")

    assert run.steps["check"].output == ["first", "second"]
    assert status(run, "check") is Status.SUCCEEDED


def test_fan_out_with_a_failed_child_fails_and_keeps_the_rest() -> None:
    """A fan-out fails when a child does, but what the others found is kept."""
    run = started(plan(step("check", for_each="[1, 2]"), step("end", after=("check",))))

    run = finish(fail(run, "check.0", "no route"), "check.1", "fine")

    assert status(run, "check") is Status.FAILED
    assert run.steps["check"].error == "1 of 2 failed: no route"
    assert run.steps["check"].output == [None, "fine"]


@pytest.mark.parametrize(
    ("expression", "says"),
    [("'text'", "not a list"), (f"range({MAX_FAN_OUT + 1}) | list", "is the most")],
)
def test_fan_out_refuses_what_is_no_short_list(expression: str, says: str) -> None:
    """A fan-out over no list, or too long a one, fails with a sentence."""
    run = started(plan(step("check", for_each=expression)))

    assert says in run.steps["check"].error


def test_fan_out_over_nothing_succeeds_at_once() -> None:
    """An empty list means there is nothing to do."""
    run = started(plan(step("check", for_each="[]"), step("end", needs=("check",))))

    assert status(run, "check") is Status.SUCCEEDED
    assert status(run, "end") is Status.QUEUED


def test_retry_waits_longer_each_time_and_then_fails() -> None:
    """Retries back off by the factor; after the last the step has failed."""
    retries = Retries(times=2, backoff_s=1, factor=3)
    run = fail(started(plan(step("a", retries=retries))), "a")
    assert run.steps["a"].retry_at == NOW + 1

    run = send(run, c.FireTimer(c.TimerKind.RETRY, "a"), NOW + 1)
    run = fail(run, "a")
    assert run.steps["a"].retry_at == NOW + 3
    run = fail(send(run, c.FireTimer(c.TimerKind.RETRY, "a"), NOW + 4), "a")

    assert status(run, "a") is Status.FAILED


def test_fallback_agent_takes_over_once() -> None:
    """When its tries are used up, the step goes to its fallback agent, and then fails."""
    run = started(plan(step("a", tool="", agent="first", fallback_agent="second")))

    run = fail(run, "a")
    assert (status(run, "a"), run.steps["a"].agent) == (Status.QUEUED, "second")
    run = fail(run, "a")

    assert status(run, "a") is Status.FAILED


def test_late_finisher_is_fenced_off() -> None:
    """A worker that lost its lease cannot finish the step that another has taken over."""
    run = take(started(plan(step("a"), step("b"))), "a")
    run = send(run, c.LoseStep("a", 1))
    run = take(run, "a", "w2")

    with pytest.raises(Refused) as refused:
        decide(run, c.FinishStep("a", 1, "old"), NOW)

    assert refused.value.refusal is Refusal.STALE
    assert status(send(run, c.FinishStep("a", 2, "new")), "a") is Status.SUCCEEDED


def test_second_worker_cannot_start_the_same_attempt() -> None:
    """A ticket delivered twice is taken once; the taker may repeat itself."""
    run = take(started(plan(step("a"))), "a", "w1")

    assert decide(run, c.StartStep("a", 1, "w1"), NOW) == []
    with pytest.raises(Refused):
        decide(run, c.StartStep("a", 1, "w2"), NOW)


def test_step_that_keeps_killing_workers_fails() -> None:
    """A step is given to a new worker a bounded number of times."""
    run = started(plan(step("a"), step("end", after=("a",))))
    for _ in range(MAX_LOSSES + 1):
        run = send(take(run, "a"), c.LoseStep("a", run.steps["a"].attempt))

    assert "worker died" in run.steps["a"].error


def test_run_ends_with_the_answer_of_its_answering_step() -> None:
    """The output of the plan's answering step is the run's answer."""
    run = finish(started(plan(step("a"))), "a", {"headline": "All is well", "finding": "healthy"})

    assert run.status is Status.SUCCEEDED
    assert run.answer is not None
    assert run.answer.headline == "All is well"


def test_failed_answering_step_leaves_an_answer_that_says_what_is_missing() -> None:
    """Even a run that failed ends with an answer."""
    run = fail(started(plan(step("a"))), "a", "no metrics")

    assert run.status is Status.FAILED
    assert run.answer is not None
    assert run.answer.missing == ("A failed: no metrics",)


def test_stop_cancels_everything_and_says_who() -> None:
    """Stopping ends all steps and open approvals; the answer names who stopped it."""
    run, approval = asked(started(plan(step("fix"), step("end", after=("fix",)))), "fix")

    run = send(run, c.StopRun(ALICE, "wrong service"))

    assert run.status is Status.CANCELLED
    assert run.approvals[approval.id].status == "cancelled"
    assert run.answer is not None
    assert run.answer.headline.startswith("Stopped by Alice (wrong service)")


def test_stop_lets_a_write_that_has_begun_end() -> None:
    """A write in flight is finished and recorded before the stopped run ends."""
    run = take(started(plan(step("fix"), step("end", after=("fix",)))), "fix")
    run = send(run, c.IntendCall("fix", 1, "fix/call", "service.restart", {}))

    run = send(run, c.StopRun(ALICE))
    assert (run.status, status(run, "end")) == (Status.RUNNING, Status.CANCELLED)
    run = send(run, c.FinishCall("fix", 1, "fix/call", is_success=True))
    run = send(run, c.FinishStep("fix", 1, None))

    assert run.status is Status.CANCELLED
    assert run.answer is not None
    assert run.answer.actions == ("service.restart: succeeded",)


def test_run_that_takes_too_long_is_stopped() -> None:
    """The wall timer stops the run and says so."""
    run = started(plan(step("a")))

    run = send(run, c.FireTimer(c.TimerKind.WALL, ""), NOW + 3_600)

    assert run.status is Status.CANCELLED
    assert "time limit" in (run.answer.headline if run.answer else "")


def test_same_write_is_never_intended_twice() -> None:
    """A call that ended cannot be begun again, whatever a worker believes."""
    run = take(started(plan(step("fix"))), "fix")
    intend = c.IntendCall("fix", 1, "fix/call", "service.restart", {"service": "x"})
    run = send(run, intend)
    assert decide(run, intend, NOW) == []
    run = send(run, c.FinishCall("fix", 1, "fix/call", is_success=True))

    with pytest.raises(Refused) as refused:
        decide(run, intend, NOW)

    assert refused.value.refusal is Refusal.ALREADY_DONE


def test_unknown_outcome_is_settled_by_a_person() -> None:
    """Asked what became of a write, "retry" lets it run again and "done" does not."""
    run = take(started(plan(step("fix"))), "fix")
    run = send(run, c.IntendCall("fix", 1, "fix/call", "service.restart", {}))
    question = Question(
        "q-1", "fix", "Did it?", ("done", "retry", "skip"), "fix/call", NOW, groups=("oncall",)
    )
    run = send(run, c.AskQuestion("fix", 1, question))
    assert run.status is Status.WAITING

    done = send(run, c.AnswerQuestion("q-1", ALICE, "done"))
    again = send(run, c.AnswerQuestion("q-1", ALICE, "retry"))

    assert done.calls["fix/call"].status == "succeeded"
    assert again.calls["fix/call"].status == "retry"
    assert status(again, "fix") is Status.QUEUED
    with pytest.raises(Refused):
        decide(done, c.AnswerQuestion("q-1", ALICE, "skip"), NOW)
    with pytest.raises(Refused):
        decide(run, c.AnswerQuestion("q-1", ALICE, "perhaps"), NOW)
    with pytest.raises(Refused) as refused:
        decide(run, c.AnswerQuestion("q-1", STRANGER, "retry"), NOW)
    assert refused.value.refusal is Refusal.NOT_ALLOWED


def test_answer_after_a_stop_does_not_wake_a_cancelled_step() -> None:
    """While a stopped run waits for a write to end, its other steps' questions are closed."""
    run = take(take(started(plan(step("fix"), step("write"))), "fix"), "write")
    run = send(run, c.IntendCall("write", 1, "write/call", "service.restart", {}))
    run = send(run, c.AskQuestion("fix", 1, Question("q-1", "fix", "Which one?")))
    run = send(run, c.StopRun(ALICE))
    assert status(run, "fix") is Status.CANCELLED

    with pytest.raises(Refused) as refused:
        decide(run, c.AnswerQuestion("q-1", ALICE, "this one"), NOW)

    assert refused.value.refusal is Refusal.RUN_OVER


def test_signal_is_kept_once() -> None:
    """What happened outside is noted once, however often it is told."""
    run = started(plan(step("a")))
    signal = c.Signal(Moment(NOW, "alert resolved", "recovery"))

    run = send(run, signal)

    assert len(run.signals) == 1
    assert decide(run, signal, NOW) == []


def test_an_answer_is_rated_by_everybody_once() -> None:
    """What somebody says last counts; before there is an answer there is nothing to rate."""
    run = started(plan(step("a")))
    with pytest.raises(Refused, match="no answer yet"):
        decide(run, c.RateAnswer(ALICE, is_helpful=True), NOW)
    run = send(run, c.StopRun(ALICE))

    run = send(run, c.RateAnswer(ALICE, is_helpful=True))
    assert decide(run, c.RateAnswer(ALICE, is_helpful=True), NOW) == []
    run = send(run, c.RateAnswer(ALICE, is_helpful=False))

    assert run.ratings == {ALICE.id: False}


def test_log_rebuilds_the_run() -> None:
    """Replaying the events gives the very run."""
    first = start("run-1", c.StartRun(GOAL, plan(step("a"), step("b", needs=("a",)))), NOW)
    run = replay("run-1", first)
    more = decide(run, c.StartStep("a", 1, "w1"), NOW)

    assert replay("run-1", [*first, *more]) == send(run, c.StartStep("a", 1, "w1"))
    with pytest.raises(TypeError):
        replay("run-1", [e.StepNoted(NOW, "a", "x")])


def test_what_waits_at_the_side_ends_with_the_answer() -> None:
    """Nobody's decision holds up an answer that does not need it; the step after it goes, too."""
    more = step("more", needs=("tell",), aside=True)
    run = started(plan(step("tell", aside=True), more, step("answer")))
    run, approval = asked(run, "tell")

    run = finish(run, "answer", {"headline": "done"})

    assert run.status is Status.SUCCEEDED
    assert [status(run, name) for name in ("tell", "more")] == [Status.SKIPPED, Status.SKIPPED]
    assert run.approvals[approval.id].status == "cancelled"


def test_what_is_decided_at_the_side_in_time_is_done() -> None:
    """A step at the side that is wanted, or at work, when the answer comes is let end."""
    run, approval = asked(started(plan(step("tell", aside=True), step("answer"))), "tell")
    run = finish(send(run, approve(approval)), "answer", {"headline": "done"})
    assert (run.is_over, status(run, "tell")) == (False, Status.QUEUED)

    assert finish(run, "tell").status is Status.SUCCEEDED


def test_a_write_at_the_side_whose_end_nobody_saw_is_still_asked_about() -> None:
    """It may have taken effect: an answer is no reason not to know."""
    run = take(started(plan(step("tell", aside=True), step("answer"))), "tell")
    run = send(run, c.IntendCall("tell", 1, "tell/call", "outlet.send", {}))
    question = Question("q-1", "tell", "Did it?", ("done", "retry", "skip"), "tell/call", NOW)
    run = send(run, c.AskQuestion("tell", 1, question))

    run = finish(run, "answer", {"headline": "done"})

    assert (run.is_over, status(run, "tell")) == (False, Status.WAITING)
