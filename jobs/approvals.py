"""The rules of approvals: who may decide, what a vote counts for, when it is settled.

Each click has one typed outcome: `Refused.refusal`, or the event it led to.
"""

from __future__ import annotations

from collections.abc import Iterable

from agents.secret_args import secret_argument
from jobs import events as e
from jobs.advance import queued
from jobs.commands import Decide, EditCall, NoteRefusal, Refusal, Refused
from jobs.state import Approval, ApprovalStatus, Person, Run, Terms

MAX_REFUSALS_KEPT = 100
ALREADY_COUNTED = "Your approval is counted; another one is needed. Until then you may deny it."
_PAST = {
    ApprovalStatus.APPROVED: "approved by {by}",
    ApprovalStatus.DENIED: "denied by {by}",
    ApprovalStatus.EXPIRED: "expired before anyone decided",
    ApprovalStatus.CANCELLED: "cancelled, because the run ended",
}


def is_approver(person: Person, users: Iterable[str], groups: Iterable[str]) -> bool:
    """Whether the person is named by id or by one of their groups."""
    return person.id in set(users) or bool(person.groups & set(groups))


def may_decide(approval: Approval, person: Person, requester_id: str) -> str:
    """Return why the person may not decide, as a sentence; empty when they may."""
    terms = approval.terms
    users, groups = (*terms.users,), (*terms.groups,)
    if approval.escalated_at is not None:
        users, groups = (*users, *terms.escalate_users), (*groups, *terms.escalate_groups)
    if not is_approver(person, users, groups):
        return f"Only {approvers_text(terms)} may decide this."
    if person.id == requester_id and not terms.requester_may_approve:
        return "You asked for this, so somebody else has to decide it."
    if person.id == approval.editor_id and not terms.editor_may_approve:
        return "You edited this, so somebody else has to decide it."
    return ""


def approvers_text(terms: Terms) -> str:
    """Return who may decide, for people: `group oncall or console:alice`."""
    names = [f"group {group}" for group in terms.groups] + list(terms.users)
    return " or ".join(names) or "nobody (the policy names no approver)"


def open_approval(run: Run, approval_id: str, revision: int, now: float) -> Approval:
    """Return the approval if it can still be decided in this revision; else Refused."""
    approval = run.approvals.get(approval_id)
    if approval is None:
        raise Refused(Refusal.UNKNOWN, f"There is no approval {approval_id}.")
    if approval.status is ApprovalStatus.EXPIRED:
        raise Refused(Refusal.EXPIRED, "This approval expired before anyone decided.")
    if approval.status is not ApprovalStatus.PENDING:
        past = _PAST[approval.status].format(by=approval.decided_by or "a person")
        raise Refused(Refusal.ALREADY_DECIDED, f"This was already {past}.")
    if approval.terms.expires_at is not None and now >= approval.terms.expires_at:
        raise Refused(Refusal.EXPIRED, "This approval expired before anyone decided.")
    if revision != approval.revision:
        by = approval.editor_name or "somebody"
        raise Refused(
            Refusal.STALE_REVISION,
            f"{by} edited this meanwhile (revision {approval.revision}): look at it again.",
        )
    return approval


def _require_approver(run: Run, approval: Approval, person: Person) -> None:
    if sentence := may_decide(approval, person, run.goal.requester_id):
        raise Refused(Refusal.NOT_ALLOWED, sentence)


def decide(run: Run, command: Decide, now: float) -> list[e.Event]:
    """Count one person's click; settle the approval when the quorum is reached."""
    approval = open_approval(run, command.approval_id, command.revision, now)
    _require_approver(run, approval, command.person)
    if command.digest != approval.digest:
        raise Refused(
            Refusal.STALE_REVISION,
            "What you saw is not what would run: reload and look at it again.",
        )
    has_voted = any(vote.person_id == command.person.id for vote in approval.votes)
    if has_voted and command.is_approval:  # A yes may become a veto as long as nothing runs.
        raise Refused(Refusal.ALREADY_VOTED, ALREADY_COUNTED)
    keys = {call.key for call in approval.calls}
    if not set(command.dropped) <= keys:
        raise Refused(Refusal.INVALID, "That names a call which is not part of this approval.")
    if command.is_approval and keys and keys == {*command.dropped, *approval.dropped}:
        raise Refused(Refusal.INVALID, "Every call is left out: deny it instead.")
    voted = e.ApprovalVoted(
        at=now,
        approval_id=approval.id,
        revision=approval.revision,
        person_id=command.person.id,
        person_name=command.person.name,
        is_approval=command.is_approval,
        comment=command.comment,
        dropped=command.dropped,
    )
    if command.is_approval and len(approval.votes) + 1 < approval.terms.quorum:
        return [voted]
    status = ApprovalStatus.APPROVED if command.is_approval else ApprovalStatus.DENIED
    names = [vote.person_name for vote in approval.votes] if command.is_approval else []
    by = " and ".join([*names, command.person.name])
    return [voted, *settle(run, approval, status, now, by=by, comment=command.comment)]


def settle(
    run: Run,
    approval: Approval,
    status: ApprovalStatus,
    now: float,
    *,
    by: str = "",
    comment: str = "",
) -> list[e.Event]:
    """Return the events that end an approval and let its step go on to see the outcome."""
    decided = e.ApprovalDecided(
        at=now, approval_id=approval.id, status=status.value, by=by, comment=comment
    )
    return [decided, queued(approval.step_id, run.steps[approval.step_id], now)]


def edit(run: Run, command: EditCall, now: float) -> list[e.Event]:
    """Make the next revision, which has to be approved again."""
    approval = open_approval(run, command.approval_id, command.revision, now)
    _require_approver(run, approval, command.person)
    if command.call_key not in {call.key for call in approval.calls}:
        raise Refused(Refusal.INVALID, "That call is not part of this approval.")
    if name := secret_argument(command.args):
        raise Refused(
            Refusal.INVALID,
            f"The argument {name} looks like a secret, and arguments are stored and shown: "
            "leave it out.",
        )
    return [
        e.ApprovalEdited(
            at=now,
            approval_id=approval.id,
            revision=approval.revision + 1,
            call_key=command.call_key,
            args=command.args,
            person_id=command.person.id,
            person_name=command.person.name,
        )
    ]


def note_refusal(run: Run, command: NoteRefusal, now: float) -> list[e.Event]:
    """Keep a click that did not count, up to a number per approval."""
    approval = run.approvals.get(command.approval_id)
    if approval is None or approval.refusals >= MAX_REFUSALS_KEPT:
        return []
    return [
        e.ApprovalRefused(
            at=now,
            approval_id=approval.id,
            person_id=command.person.id,
            person_name=command.person.name,
            outcome=command.outcome,
        )
    ]


def expire(run: Run, approval_id: str, now: float) -> list[e.Event]:
    """End an approval that nobody decided in time."""
    approval = run.approvals.get(approval_id)
    if approval is None or approval.status is not ApprovalStatus.PENDING:
        return []
    happened = settle(run, approval, ApprovalStatus.EXPIRED, now)
    if approval.terms.on_expiry == "fail":
        failed = e.StepFailed(
            at=now, step_id=approval.step_id, error="nobody decided its approval in time"
        )
        return [happened[0], failed]
    return happened


def escalate(run: Run, approval_id: str, now: float) -> list[e.Event]:
    """Ping the next people when nobody decided for a while; they may decide from then on."""
    approval = run.approvals.get(approval_id)
    if approval is None or approval.status is not ApprovalStatus.PENDING:
        return []
    if approval.escalated_at is not None:
        return []
    terms = approval.terms
    return [
        e.ApprovalEscalated(
            at=now,
            approval_id=approval.id,
            users=terms.escalate_users,
            groups=terms.escalate_groups,
        )
    ]


def approved_call(run: Run, approval_id: str, key: str) -> bool:
    """Whether that approval covers the call of that key (its digest is checked by the caller)."""
    approval = run.approvals.get(approval_id)
    return (
        approval is not None
        and approval.status is ApprovalStatus.APPROVED
        and key in {call.key for call in approval.calls}
        and key not in approval.dropped
    )


def cancel_all(run: Run, now: float) -> list[e.Event]:
    """Cancel the open approvals of a run that is being stopped."""
    return [
        e.ApprovalDecided(at=now, approval_id=key, status=ApprovalStatus.CANCELLED.value)
        for key, approval in run.approvals.items()
        if approval.status is ApprovalStatus.PENDING
    ]
