"""The rules of service levels: when a run is late, and who hears of it.

A run is held to those of its plan and to those of the workflows that its supervisors chose, each
counted from when that plan began. It is late once: at the first of them that it misses.
"""

from __future__ import annotations

from collections.abc import Iterator

from config.expressions import ExpressionError, evaluate
from config.specs import ServiceLevelSpec
from jobs import events as e
from jobs.state import TERMINAL, ApprovalStatus, Run
from jobs.summary import variables_of


def next_level(run: Run) -> tuple[float, ServiceLevelSpec] | None:
    """Return when the run will be late (Unix seconds), and by which level; None when never."""
    if run.is_over or run.stopped_by or run.late is not None:
        return None
    return min(_levels(run), key=lambda found: found[0], default=None)


def due_at(run: Run) -> float | None:
    """Return when the run will be late (Unix seconds); None when it cannot be any more."""
    found = next_level(run)
    return None if found is None else found[0]


def miss(run: Run, now: float) -> list[e.Event]:
    """Return what happens when a run is late: others are pinged, and may decide what waits."""
    found = next_level(run)
    if found is None or now < found[0]:
        return []
    level = found[1]
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


def _levels(run: Run) -> Iterator[tuple[float, ServiceLevelSpec]]:
    """Yield the level that each plan under way is held to as far as it has come."""
    plans = [("", run.started_at, run.plan.service_levels)]
    plans += [
        (key, state.subplan.began_at, state.subplan.service_levels)
        for key, state in run.steps.items()
        if state.subplan is not None and state.status not in TERMINAL
    ]
    for scope, began_at, service_levels in plans:
        for level in service_levels:
            if level.when is None or _holds(run, scope, level.when):
                yield began_at + level.within_s, level
                break


def _holds(run: Run, scope: str, expression: str) -> bool:
    try:
        return bool(evaluate(expression, variables_of(run, scope)))
    except ExpressionError:
        return False  # It reads a step that has not ended: the level does not apply yet.
