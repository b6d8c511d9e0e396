"""What a change of a run means for tickets, leases, timers and open approvals."""

from __future__ import annotations

from dataclasses import replace

from config.specs import Retries
from jobs import commands as c
from jobs.broker import Ticket
from jobs.commands import TimerKind
from jobs.consequences import Consequences, consequences
from jobs.state import Question, Run, Terms
from jobs.store import Lease
from tests.jobs.plans import ALICE, NOW, approve, asked, finish, plan, send, started, step, take

PLAN = plan(step("a", retries=Retries(times=1, backoff_s=5)), step("b", needs=("a",)))
LEASE = Lease("run-1", "a", 1, "w1")


def of(before: Run | None, after: Run) -> Consequences:
    """Return what follows."""
    return consequences(before, after)


def test_new_run_has_tickets_for_what_is_ready_and_a_time_limit() -> None:
    """Only steps without needs are queued, and the run's wall time is set."""
    follow = of(None, started(PLAN))

    assert follow.tickets == (Ticket("run-1", "a", 1),)
    assert follow.timers_set == {(TimerKind.WALL, ""): NOW + PLAN.max_wall_s}
    assert follow.is_active


def test_running_step_stands_for_a_lease() -> None:
    """A start takes the lease, an end gives it up and queues what comes next."""
    run = started(PLAN)
    running = take(run, "a")
    done = send(running, c.FinishStep("a", 1, None))

    assert of(run, running).leases_taken == (LEASE,)
    assert of(running, done).leases_given_up == (LEASE,)
    assert of(running, done).tickets == (Ticket("run-1", "b", 1),)


def test_lost_step_changes_its_ticket_and_its_lease() -> None:
    """The next attempt has a ticket of its own."""
    running = take(started(PLAN), "a")
    lost = send(running, c.LoseStep("a", 1))

    follow = of(running, lost)

    assert follow.tickets == (Ticket("run-1", "a", 2),)
    assert (follow.leases_taken, follow.leases_given_up) == ((), (LEASE,))


def test_retry_is_a_timer_until_it_is_due() -> None:
    """A step that will be tried again has no ticket before its time."""
    running = take(started(PLAN), "a")
    retried = send(running, c.FailStep("a", 1, "boom"))
    again = send(retried, c.FireTimer(TimerKind.RETRY, "a"), NOW + 5)

    assert of(running, retried).tickets == ()
    assert of(running, retried).timers_set == {(TimerKind.RETRY, "a"): NOW + 5}
    assert of(retried, again).timers_cleared == {(TimerKind.RETRY, "a")}
    assert of(retried, again).tickets == (Ticket("run-1", "a", 2),)


def test_approval_opens_with_its_timers_and_closes_with_them() -> None:
    """Expiry and escalation wait exactly as long as somebody may still decide."""
    terms = Terms(
        groups=("oncall",), expires_at=NOW + 9, escalate_at=NOW + 3, escalate_groups=("leads",)
    )
    before = take(started(PLAN), "a")
    run, approval = asked(started(PLAN), "a", terms)
    escalated = send(run, c.FireTimer(TimerKind.ESCALATION, approval.id), NOW + 3)
    decided = send(escalated, approve(approval))

    expiry, escalation = (TimerKind.EXPIRY, approval.id), (TimerKind.ESCALATION, approval.id)
    assert of(before, run).approvals_opened == {approval.id: NOW}
    assert of(before, run).timers_set == {expiry: NOW + 9, escalation: NOW + 3}
    assert of(run, escalated).timers_cleared == {escalation}
    assert of(escalated, decided).timers_cleared == {expiry}
    assert of(escalated, decided).approvals_closed == {approval.id}


def test_question_has_its_timers_while_it_is_open() -> None:
    """Expiry and escalation wait exactly as long as somebody may still answer."""
    question = Question(
        "q-1", "a", "Which?", expires_at=NOW + 9, escalate_at=NOW + 3, escalate_groups=("leads",)
    )
    before = take(started(PLAN), "a")
    run = send(before, c.AskQuestion("a", 1, question))
    escalated = send(run, c.FireTimer(TimerKind.ESCALATION, "q-1"), NOW + 3)
    answered = send(escalated, c.AnswerQuestion("q-1", ALICE, "this one"), NOW + 4)

    expiry, escalation = (TimerKind.EXPIRY, "q-1"), (TimerKind.ESCALATION, "q-1")
    assert of(before, run).timers_set == {expiry: NOW + 9, escalation: NOW + 3}
    assert of(run, escalated).timers_cleared == {escalation}
    assert of(escalated, answered).timers_cleared == {expiry}


def test_ended_run_leaves_nothing_behind() -> None:
    """No timer and no lease outlives its run."""
    running = take(started(PLAN), "a")
    stopped = send(running, c.StopRun(ALICE))

    follow = of(running, stopped)

    assert follow.leases_given_up == (LEASE,)
    assert follow.timers_cleared == {(TimerKind.WALL, "")}
    assert not follow.is_active


def test_what_does_not_change_has_no_consequences() -> None:
    """Only differences count, so a long run costs no more than a short one."""
    run = finish(started(PLAN), "a")
    noted = replace(run, version=run.version + 1)

    follow = of(run, noted)

    assert (follow.tickets, follow.leases_taken, dict(follow.timers_set)) == ((), (), {})
