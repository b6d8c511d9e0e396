"""A run's plan as a drawing: its steps, and each plan inside the step that made it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.web.show.graph import Drawing, nested
from jobs.state import Run


def draw_plan(run: Run, root: str = "") -> Drawing:
    """Return the drawing of a run's steps; `root` is the step that planned all the others."""
    top = run.steps[root].children if root else tuple(step.id for step in run.plan.steps)
    steps = {step.id: step for step in run.all_steps()}
    return nested(
        top or (root,),
        {key: state.children for key, state in run.steps.items() if has_plan_inside(run, key)},
        {key: step.title for key, step in steps.items()},
        {key: step.needs for key, step in steps.items()},
        {key: step.after for key, step in steps.items()},
    )


def has_plan_inside(run: Run, step_id: str) -> bool:
    """Say whether a step is drawn as a group: it planned, or one of its fan-out's items did."""
    state = run.steps[step_id]
    if state.subplan is not None:
        return bool(state.children)
    return any(has_plan_inside(run, child) for child in state.children)


def done_of(run: Run, children: Sequence[str]) -> int:
    """Return how many of the steps have ended."""
    return sum(run.steps[child].ended_at is not None for child in children)
