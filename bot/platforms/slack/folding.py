"""Which steps a card has room for: groups fold into their parent, the least telling goes first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bot.views import StepView
from jobs.state import TERMINAL, Status

_IMPORTANCE: Final[Mapping[Status, int]] = {
    Status.WAITING: 0,
    Status.FAILED: 1,
    Status.RUNNING: 2,
    Status.QUEUED: 3,
    Status.PENDING: 4,
    Status.SUCCEEDED: 5,
    Status.CANCELLED: 6,
    Status.SKIPPED: 7,
}
_QUIET: Final = frozenset({Status.SUCCEEDED, Status.SKIPPED})


@dataclass(frozen=True, slots=True)
class Line:
    """A step to show; `folded` are those below it that are not."""

    step: StepView
    folded: tuple[StepView, ...] = ()


@dataclass(frozen=True, slots=True)
class Folded:
    """The lines in the plan's order, and the steps that no line stands for."""

    lines: tuple[Line, ...]
    left_out: tuple[StepView, ...] = ()


def fold(steps: Sequence[StepView], limit: int) -> Folded:
    """Return at most `limit` lines; one of them is needed for what is left out, if anything is.

    Groups of which all went well fold first, and the deepest before those around them.
    """
    below = _descendants(steps)
    hidden: dict[str, str] = {}
    for parent in sorted(below, key=lambda key: _foldability(key, steps, below)):
        if len(steps) - len(hidden) <= limit:
            break
        hidden |= dict.fromkeys(below[parent], parent)
    outermost = {key: _outermost(key, hidden) for key in hidden}
    lines = [
        Line(step, tuple(other for other in steps if outermost.get(other.id) == step.id))
        for step in steps
        if step.id not in hidden
    ]
    if len(lines) <= limit:
        return Folded(tuple(lines))
    places = sorted(range(len(lines)), key=lambda place: (_importance(lines[place]), place))
    kept = set(places[: max(1, limit - 1)])
    left_out = [
        step
        for place, line in enumerate(lines)
        if place not in kept
        for step in (line.step, *line.folded)
    ]
    return Folded(tuple(line for place, line in enumerate(lines) if place in kept), tuple(left_out))


def tally(steps: Sequence[StepView]) -> str:
    """Return how far a group is: `3 of 12 done, 1 failed, 1 waiting`."""
    done = sum(step.status in TERMINAL for step in steps)
    failed = sum(step.status is Status.FAILED for step in steps)
    waiting = sum(step.status is Status.WAITING for step in steps)
    parts = [f"{done} of {len(steps)} done"]
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{waiting} waiting"] if waiting else []
    return ", ".join(parts)


def _descendants(steps: Sequence[StepView]) -> dict[str, list[str]]:
    """Return the ids below each step that has some."""
    parents = {step.id: step.parent for step in steps}
    below: dict[str, list[str]] = {}
    for step in steps:
        seen = {step.id}
        parent = step.parent
        while parent in parents and parent not in seen:
            seen.add(parent)
            below.setdefault(parent, []).append(step.id)
            parent = parents[parent]
    return below


def _foldability(
    key: str, steps: Sequence[StepView], below: Mapping[str, Sequence[str]]
) -> tuple[bool, int, int]:
    inside = set(below[key])
    is_telling = any(step.status not in _QUIET for step in steps if step.id in inside)
    depth = next(step.depth for step in steps if step.id == key)
    return is_telling, -depth, -len(inside)


def _outermost(key: str, hidden: Mapping[str, str]) -> str:
    while key in hidden:
        key = hidden[key]
    return key


def _importance(line: Line) -> int:
    return min(_IMPORTANCE[step.status] for step in (line.step, *line.folded))
