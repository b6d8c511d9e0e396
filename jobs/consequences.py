"""What a change of a run means for the world around it: tickets, leases, timers, open approvals.

Pure, and derived from the two values alone, so that no rule has to remember to ask for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs import levels, planning
from jobs.broker import Ticket
from jobs.commands import TimerKind
from jobs.state import ApprovalStatus, Run, Status, StepState
from jobs.store import Lease

TimerKey = tuple[TimerKind, str]


@dataclass(frozen=True, slots=True)
class Consequences:
    """What a commit changes besides the run itself. Times are Unix seconds."""

    tickets: tuple[Ticket, ...]
    leases_taken: tuple[Lease, ...]
    leases_given_up: tuple[Lease, ...]
    timers_set: Mapping[TimerKey, float]
    timers_cleared: frozenset[TimerKey]
    approvals_opened: Mapping[str, float]
    approvals_closed: frozenset[str]
    is_active: bool


def consequences(before: Run | None, after: Run) -> Consequences:
    """Return what follows from `before` becoming `after` (`before` is None for a new run)."""
    old_steps: Mapping[str, StepState] = before.steps if before else {}
    changed = {key: s for key, s in after.steps.items() if old_steps.get(key) is not s}
    tickets = tuple(
        Ticket(after.id, key, state.attempt)
        for key, state in changed.items()
        if state.status is Status.QUEUED and _attempt(old_steps, key) != state.attempt
    )
    old_leases = {_lease(after.id, key, old_steps[key]) for key in changed if key in old_steps}
    new_leases = {_lease(after.id, key, state) for key, state in changed.items()}
    old_timers = _timers(before) if before else {}
    new_timers = _timers(after)
    old_open = _open(before) if before else {}
    new_open = _open(after)
    return Consequences(
        tickets=tickets,
        leases_taken=tuple(lease for lease in new_leases - old_leases if lease),
        leases_given_up=tuple(lease for lease in old_leases - new_leases if lease),
        timers_set={k: due for k, due in new_timers.items() if old_timers.get(k) != due},
        timers_cleared=frozenset(old_timers.keys() - new_timers.keys()),
        approvals_opened={k: at for k, at in new_open.items() if k not in old_open},
        approvals_closed=frozenset(old_open.keys() - new_open.keys()),
        is_active=not after.is_over,
    )


def _attempt(steps: Mapping[str, StepState], step_id: str) -> int:
    return steps[step_id].attempt if step_id in steps else -1


def _lease(run_id: str, step_id: str, state: StepState) -> Lease | None:
    """Return the lease that a running step stands for; a fan-out has none, it does no work."""
    if state.status is not Status.RUNNING or not state.worker:
        return None
    return Lease(run_id, step_id, state.attempt, state.worker)


def _timers(run: Run) -> dict[TimerKey, float]:
    if run.is_over:
        return {}
    timers: dict[TimerKey, float] = {}
    if not run.stopped_by:
        timers[(TimerKind.WALL, "")] = run.started_at + run.plan.max_wall_s
    if (late_at := levels.due_at(run)) is not None:
        timers[(TimerKind.SERVICE_LEVEL, "")] = late_at
    for key, state in run.steps.items():
        if not run.stopped_by and (ends_at := planning.late_at(run, key)) is not None:
            timers[(TimerKind.WALL, key)] = ends_at
        if state.retry_at is not None and state.status is Status.PENDING:
            timers[(TimerKind.RETRY, key)] = state.retry_at
    for key, approval in run.approvals.items():
        if approval.status is ApprovalStatus.PENDING:
            terms = approval.terms
            if terms.expires_at is not None:
                timers[(TimerKind.EXPIRY, key)] = terms.expires_at
            if terms.escalate_at is not None and approval.escalated_at is None:
                timers[(TimerKind.ESCALATION, key)] = terms.escalate_at
    for key, question in run.questions.items():
        if question.is_open:
            if question.expires_at is not None:
                timers[(TimerKind.EXPIRY, key)] = question.expires_at
            if question.escalate_at is not None and question.escalated_at is None:
                timers[(TimerKind.ESCALATION, key)] = question.escalate_at
    return timers


def _open(run: Run) -> dict[str, float]:
    return {
        key: approval.requested_at
        for key, approval in run.approvals.items()
        if approval.status is ApprovalStatus.PENDING
    }
