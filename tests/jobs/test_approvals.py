"""The rules of approvals: each click has one typed outcome."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs import commands as c
from jobs.commands import Refusal, Refused
from jobs.run import decide
from jobs.state import ApprovalStatus, Run, Status, Terms
from tests.jobs.plans import (
    ALICE,
    BOB,
    GOAL,
    NOW,
    ONCALL,
    STRANGER,
    approve,
    asked,
    plan,
    send,
    started,
    step,
    take,
)

PLAN = plan(step("fix"), step("end", after=("fix",)))


def refusal(run: Run, command: c.Command, now: float = NOW) -> Refusal:
    """Return how the command is refused."""
    with pytest.raises(Refused) as refused:
        decide(run, command, now)
    assert refused.value.sentence.endswith((".", "!"))
    return refused.value.refusal


def test_waiting_step_holds_no_worker_and_goes_on_when_approved() -> None:
    """An approval ends the job; the decision queues the step's next attempt."""
    run, approval = asked(started(PLAN), "fix")
    assert (run.steps["fix"].status, run.status) == (Status.WAITING, Status.WAITING)

    run = send(run, approve(approval), NOW + 5)

    assert run.approvals[approval.id].status is ApprovalStatus.APPROVED
    assert (run.steps["fix"].status, run.steps["fix"].attempt) == (Status.QUEUED, 2)
    assert run.steps["fix"].waited_s == 5


def test_quorum_needs_two_people() -> None:
    """With a quorum of two the same person cannot count twice."""
    run, approval = asked(started(PLAN), "fix", replace(ONCALL, quorum=2))

    run = send(run, approve(approval, ALICE))
    assert run.approvals[approval.id].status is ApprovalStatus.PENDING
    assert refusal(run, approve(approval, ALICE)) is Refusal.ALREADY_VOTED
    run = send(run, approve(approval, BOB))

    assert run.approvals[approval.id].decided_by == "Alice and Bob"


def test_one_denial_decides() -> None:
    """A denial needs no quorum."""
    run, approval = asked(started(PLAN), "fix", replace(ONCALL, quorum=2))

    run = send(run, approve(approval, is_approval=False, comment="too risky"))

    assert run.approvals[approval.id].status is ApprovalStatus.DENIED
    assert run.approvals[approval.id].comment == "too risky"


def test_first_approver_may_still_veto() -> None:
    """As long as the quorum is not reached, a person's yes may become a no, which decides."""
    run, approval = asked(started(PLAN), "fix", replace(ONCALL, quorum=2))
    run = send(run, approve(approval, ALICE))

    run = send(run, approve(approval, ALICE, is_approval=False, comment="I looked again"))

    decided = run.approvals[approval.id]
    assert (decided.status, decided.decided_by) == (ApprovalStatus.DENIED, "Alice")
    assert run.steps["fix"].status is Status.QUEUED


def test_second_decision_hears_who_was_first() -> None:
    """One decision wins; the other is told by whom."""
    run, approval = asked(started(PLAN), "fix")
    run = send(run, approve(approval, ALICE))

    assert refusal(run, approve(approval, BOB, is_approval=False)) is Refusal.ALREADY_DECIDED


def test_stranger_and_requester_may_not_decide() -> None:
    """Neither somebody else nor whoever asked for it may approve, unless policy says so."""
    run, approval = asked(started(PLAN), "fix")
    rae = replace(ALICE, id=GOAL.requester_id)

    assert refusal(run, approve(approval, STRANGER)) is Refusal.NOT_ALLOWED
    assert refusal(run, approve(approval, rae)) is Refusal.NOT_ALLOWED
    allowed, own = asked(started(PLAN), "fix", replace(ONCALL, requester_may_approve=True))
    assert decide(allowed, approve(own, rae), NOW)


def test_tampered_or_stale_click_is_refused() -> None:
    """A click carries what was seen; if that is not what would run, it does not count."""
    run, approval = asked(started(PLAN), "fix")

    assert refusal(run, approve(approval, digest="0" * 64)) is Refusal.STALE_REVISION
    assert refusal(run, approve(approval, revision=7)) is Refusal.STALE_REVISION
    assert refusal(run, approve(approval, approval_id="ap-none")) is Refusal.UNKNOWN


def test_edit_makes_a_revision_that_must_be_approved_again() -> None:
    """After an edit the old votes are gone, and the old click is stale."""
    run, approval = asked(started(PLAN), "fix", replace(ONCALL, quorum=2))
    run = send(run, approve(approval, BOB))
    edit = c.EditCall(approval.id, ALICE, 1, "fix/call0", {"service": "checkout", "release": "b2"})

    run = send(run, edit)
    edited = run.approvals[approval.id]

    assert (edited.revision, edited.votes, edited.editor_name) == (2, (), "Alice")
    assert refusal(run, approve(approval, BOB)) is Refusal.STALE_REVISION
    assert refusal(run, edit) is Refusal.STALE_REVISION
    run = send(send(run, approve(edited, BOB)), approve(edited, ALICE))
    assert run.approvals[approval.id].calls[0].args["release"] == "b2"
    assert refusal(started(PLAN), edit) is Refusal.UNKNOWN


def test_policy_may_keep_editors_from_approving() -> None:
    """With `editor_may_approve: false` somebody else has to approve the edit."""
    run, approval = asked(started(PLAN), "fix", replace(ONCALL, editor_may_approve=False))
    run = send(run, c.EditCall(approval.id, ALICE, 1, "fix/call0", {"release": "b2"}))

    edited = run.approvals[approval.id]
    assert refusal(run, approve(edited, ALICE)) is Refusal.NOT_ALLOWED
    assert decide(run, approve(edited, BOB), NOW)


def test_expiry_denies_and_a_late_click_is_told() -> None:
    """Nobody decided in time: the step goes on to see the denial, and clicks come too late."""
    run, approval = asked(started(PLAN), "fix")
    assert refusal(run, approve(approval), NOW + 600) is Refusal.EXPIRED

    run = send(run, c.FireTimer(c.TimerKind.EXPIRY, approval.id), NOW + 600)

    assert run.approvals[approval.id].status is ApprovalStatus.EXPIRED
    assert run.steps["fix"].status is Status.QUEUED
    assert refusal(run, approve(approval), NOW + 601) is Refusal.EXPIRED


def test_expiry_may_fail_the_step() -> None:
    """`on_expiry: fail` fails the step instead."""
    run, approval = asked(started(PLAN), "fix", replace(ONCALL, on_expiry="fail"))

    run = send(run, c.FireTimer(c.TimerKind.EXPIRY, approval.id), NOW + 600)

    assert run.steps["fix"].status is Status.FAILED


def test_escalation_lets_others_decide() -> None:
    """After the escalation its people may decide too; it happens once."""
    terms = Terms(users=("console:alice",), escalate_at=NOW + 60, escalate_groups=("sales",))
    run, approval = asked(started(PLAN), "fix", terms)
    assert refusal(run, approve(approval, STRANGER)) is Refusal.NOT_ALLOWED
    fire = c.FireTimer(c.TimerKind.ESCALATION, approval.id)

    run = send(run, fire, NOW + 60)

    assert decide(run, fire, NOW + 61) == []
    assert decide(run, approve(approval, STRANGER), NOW + 61)


def test_single_calls_of_a_request_can_be_left_out() -> None:
    """A plan-level approval may drop calls; leaving out all of them is a denial."""
    run, approval = asked(started(PLAN), "fix", calls=2)
    keys = [call.key for call in approval.calls]

    assert refusal(run, approve(approval, dropped=tuple(keys))) is Refusal.INVALID
    assert refusal(run, approve(approval, dropped=("x",))) is Refusal.INVALID
    run = send(run, approve(approval, dropped=(keys[1],)))

    run = take(run, "fix")
    args = {call.key: call.args for call in approval.calls}
    intend = [
        c.IntendCall("fix", 2, key, "service.rollback", args[key], approval.id) for key in keys
    ]
    assert decide(run, intend[0], NOW)
    assert refusal(run, intend[1]) is Refusal.NOT_APPROVED


def test_what_runs_is_what_was_approved() -> None:
    """A call with other arguments than the approved ones is refused at the last door."""
    run, approval = asked(started(PLAN), "fix")
    run = take(send(run, approve(approval)), "fix")

    other = c.IntendCall(
        "fix", 2, "fix/call0", "service.rollback", {"service": "payments"}, approval.id
    )

    assert refusal(run, other) is Refusal.NOT_APPROVED


def test_decision_on_a_finished_run_is_refused() -> None:
    """A click after the run was stopped hears that it was cancelled."""
    run, approval = asked(started(PLAN), "fix")
    run = send(run, c.StopRun(ALICE))

    assert refusal(run, approve(approval)) is Refusal.ALREADY_DECIDED
    assert refusal(run, c.StopRun(ALICE)) is Refusal.RUN_OVER


def test_refused_clicks_are_kept_for_the_audit() -> None:
    """A stranger's click leaves a trace, and a flood of them a bounded one."""
    run, approval = asked(started(PLAN), "fix")

    for _ in range(150):
        run = send(run, c.NoteRefusal(approval.id, STRANGER, "not_allowed"))

    assert run.approvals[approval.id].refusals == 100
