"""A step's time is told apart: queueing, work, waiting for people, pauses."""

from __future__ import annotations

from bot.web.show.spans import PAUSE, QUEUED, WAIT, WORK, Span, bars, spans, ticks
from jobs import events as e
from jobs.state import Approval, Terms

LOG: list[e.Event] = [
    e.StepQueued(1.0, "a", 1),
    e.StepStarted(2.0, "a", 1, "w"),
    e.ApprovalRequested(4.0, Approval("ap", "a", (), Terms(), 4.0)),
    e.StepQueued(14.0, "a", 2),
    e.StepStarted(15.0, "a", 2, "w"),
    e.StepRetried(16.0, "a", "boom", 20.0),
    e.StepQueued(20.0, "a", 3),
    e.StepStarted(20.5, "a", 3, "w"),
    e.StepSucceeded(21.0, "a"),
    e.StepSkipped(21.0, "b", "not needed"),
    e.StepQueued(21.0, "c", 1),
]


def test_spans_follow_each_other() -> None:
    """Each span ends where the next begins; the last of an ended step is closed."""
    found = spans(LOG)

    assert found["a"] == [
        Span(QUEUED, 1.0, 2.0),
        Span(WORK, 2.0, 4.0),
        Span(WAIT, 4.0, 14.0),
        Span(QUEUED, 14.0, 15.0),
        Span(WORK, 15.0, 16.0),
        Span(PAUSE, 16.0, 20.0),
        Span(QUEUED, 20.0, 20.5),
        Span(WORK, 20.5, 21.0),
    ]
    assert found["b"] == []
    assert found["c"] == [Span(QUEUED, 21.0, None)]


def test_bars_stay_inside_the_run() -> None:
    """Bars are shares of the whole; one that still lasts reaches the end."""
    drawn = bars(spans(LOG), 1.0, 31.0)

    assert drawn["c"][0].is_open
    assert drawn["c"][0].left + drawn["c"][0].width == 100
    assert all(
        bar.left >= 0 and bar.left + bar.width <= 100 for row in drawn.values() for bar in row
    )


def test_an_axis_has_few_round_marks() -> None:
    """The marks are round and never more than seven."""
    assert ticks(50) == [0, 10, 20, 30, 40, 50]
    assert all(len(ticks(seconds)) <= 7 for seconds in (0.3, 1, 7, 59, 1_000, 86_400))
