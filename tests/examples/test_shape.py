"""Shapes are read from the log alone: order and overlap are places in it."""

from __future__ import annotations

import pytest

from agents.domain import Goal, Origin, Plan, Step, ThreadRef
from jobs import events as e
from jobs.state import Question
from jobs.store import StoredEvent
from tests.examples.shape import shape_of

GOAL = Goal("a goal", "console:a", "A", Origin.MESSAGE, ThreadRef("console", "c", "t"))
PLAN = Plan("w", (Step("a", "A", agent="ann"), Step("b", "B", agent="bob")), "b")


def log(*events: e.Event) -> list[StoredEvent]:
    """Return a log that begins with the plan."""
    told = (e.RunStarted(0, GOAL, PLAN), *events)
    return [StoredEvent("run-1", seq, event) for seq, event in enumerate(told, 1)]


def starts(step: str) -> e.Event:
    """Say that a step was taken."""
    return e.StepStarted(0, step, 1, "w1")


def ends(step: str) -> e.Event:
    """Say that a step succeeded."""
    return e.StepSucceeded(0, step)


@pytest.mark.parametrize(
    ("events", "is_overlap", "is_line"),
    [
        ((starts("a"), ends("a"), starts("b"), ends("b")), False, True),
        ((starts("a"), starts("b"), ends("a"), ends("b")), True, False),
        ((starts("a"), starts("b"), ends("b"), ends("a")), True, False),
        ((starts("b"), ends("b"), starts("a"), ends("a")), False, False),
    ],
)
def test_order_and_overlap(events: tuple[e.Event, ...], is_overlap: bool, is_line: bool) -> None:
    """Two steps are in line, the other way round, or side by side: never two of these."""
    shape = shape_of(log(*events))

    assert shape.are_side_by_side("a", "b") is is_overlap
    assert shape.are_in_line("a", "b") is is_line


def test_waiting_is_no_work() -> None:
    """A step that waits for an answer works in two stretches, and others may work between."""
    asked = Question("q", "a", "Which one?")
    shape = shape_of(
        log(
            starts("a"),
            e.QuestionAsked(0, asked),
            starts("b"),
            ends("b"),
            e.QuestionAnswered(0, "q", "this one", "Alice"),
            starts("a"),
            ends("a"),
        )
    )

    assert shape.told == [
        ("ann", "a", "asked"),
        ("bob", "b", "succeeded"),
        ("ann", "a", "succeeded"),
    ]
    assert shape.decided == [("Alice", "answers a: this one")]
    assert not shape.are_side_by_side("a", "b")


def test_handover_changes_who_works() -> None:
    """What stands in the log after a handover is the next agent's work."""
    handed = e.StepHandedOff(0, "a", "ann", "cid", "better placed")
    shape = shape_of(
        log(starts("a"), handed, e.StepQueued(0, "a", 2, "cid"), starts("a"), ends("a"))
    )

    assert shape.told == [("ann", "a", "handed to cid"), ("cid", "a", "succeeded")]
    assert shape.is_held_by_one("a")


def test_unfinished_work_has_no_shape() -> None:
    """A log that ends in the middle is told apart from one of a whole run."""
    with pytest.raises(AssertionError, match="still at work"):
        shape_of(log(starts("a")))
