"""A step's time told apart: work, and waiting for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.views import StepView
from jobs.state import Status

SHORTEST_WAIT_S = 1.0
"""Less than this nobody noticed, so it is not told apart."""

NAMED_NEEDS = 3


@dataclass(frozen=True, slots=True)
class StepTime:
    """What a row shows: what was worked, what was waited, and since when either goes on."""

    work_s: float | None = None
    waited_s: float | None = None
    working_since: float | None = None
    waiting_since: float | None = None


def step_time(step: StepView) -> StepTime:
    """Return the step's times; waiting for people is no work."""
    waited = step.waited_s if step.waited_s >= SHORTEST_WAIT_S else None
    if step.started_at is None:
        return StepTime()
    if step.ended_at is not None:
        work = max(0.0, step.ended_at - step.started_at - step.waited_s)
        return StepTime(work_s=work, waited_s=waited)
    if step.waiting_since is not None:
        work = max(0.0, step.waiting_since - step.started_at - step.waited_s)
        return StepTime(work_s=work, waiting_since=step.waiting_since)
    if step.status is Status.RUNNING:
        return StepTime(waited_s=waited, working_since=step.started_at + step.waited_s)
    return StepTime(waited_s=waited)


def waits_for(step: StepView, steps: Sequence[StepView]) -> str:
    """Return the titles of what a step still needs, for one that has not begun; else nothing."""
    if step.status is not Status.PENDING or not step.needs:
        return ""
    open_titles = [
        other.title for other in steps if other.id in step.needs and other.ended_at is None
    ]
    shown = ", ".join(open_titles[:NAMED_NEEDS])
    more = len(open_titles) - NAMED_NEEDS
    return f"{shown} and {more} more" if more > 0 else shown
