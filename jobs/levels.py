"""The rules of service levels: when a run is late, and who hears of it."""

from __future__ import annotations

from config.expressions import ExpressionError, evaluate
from config.specs import ServiceLevelSpec
from jobs import events as e
from jobs.state import ApprovalStatus, Run
from jobs.summary import variables_of


def level_of(run: Run) -> ServiceLevelSpec | None:
    """Return the service level that the run is held to as far as it has come, if any."""
    for level in run.plan.service_levels:
        if level.when is None or _holds(run, level.when):
            return level
    return None


def due_at(run: Run) -> float | None:
    """Return when the run will be late (Unix seconds); None when it cannot be any more."""
    if run.is_over or run.stopped_by or run.late is not None or not run.plan.service_levels:
        return None
    level = level_of(run)
    return None if level is None else run.started_at + level.within_s


def miss(run: Run, now: float) -> list[e.Event]:
    """Return what happens when a run is late: others are pinged, and may decide what waits."""
    due = due_at(run)
    level = level_of(run)
    if due is None or level is None or now < due:
        return []
    users, groups = level.to.users, level.to.groups
    missed = e.ServiceLevelMissed(at=now, within_s=level.within_s, users=users, groups=groups)
    approvals = [
        e.ApprovalEscalated(at=now, approval_id=key, users=users, groups=groups)
        for key, approval in run.approvals.items()
        if approval.status is ApprovalStatus.PENDING
    ]
    questions = [
        e.QuestionEscalated(at=now, question_id=key, users=users, groups=groups)
        for key, question in run.questions.items()
        if question.is_open
    ]
    return [missed, *approvals, *questions]


def _holds(run: Run, expression: str) -> bool:
    try:
        return bool(evaluate(expression, variables_of(run)))
    except ExpressionError:
        return False  # It reads a step that has not ended: the level does not apply yet.
