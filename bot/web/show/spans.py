"""What each step's time went into, read from the event log: queueing, work, waiting for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jobs import events as e

QUEUED = "queued"
WORK = "work"
WAIT = "wait"
PAUSE = "pause"
"""Between two tries."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a step's time; `end` is None while it lasts."""

    kind: str
    start: float
    end: float | None


@dataclass(frozen=True, slots=True)
class Bar:
    """A span as a share of the whole run, both in percent, for drawing."""

    kind: str
    left: float
    width: float
    seconds: float
    is_open: bool


MIN_WIDTH = 0.25
"""Percent; a shorter bar could not be seen."""


def spans(happened: Iterable[e.Event]) -> dict[str, list[Span]]:
    """Return each step's spans in order; a step that never began has none."""
    found: dict[str, list[Span]] = {}
    for event in happened:
        step_id, kind = _begins(event)
        if not step_id:
            continue
        known = found.setdefault(step_id, [])
        if known and known[-1].end is None:
            known[-1] = Span(known[-1].kind, known[-1].start, event.at)
        if kind:
            known.append(Span(kind, event.at, None))
    return found


def _begins(event: e.Event) -> tuple[str, str]:
    """Return the step an event is about and what begins with it; empty kind: nothing does."""
    match event:
        case e.StepQueued():
            return event.step_id, QUEUED
        case e.StepStarted() | e.StepExpanded():
            return event.step_id, WORK
        case e.StepRetried() | e.StepLost() | e.StepRequeued():
            return event.step_id, PAUSE
        case e.ApprovalRequested():
            return event.approval.step_id, WAIT
        case e.QuestionAsked():
            return event.question.step_id, WAIT
        case e.StepSucceeded() | e.StepFailed() | e.StepSkipped() | e.StepCancelled():
            return event.step_id, ""
        case e.PlanRevised():
            return event.step_id, ""  # From here the steps that it planned work, not it.
        case _:
            return "", ""


def bars(by_step: Mapping[str, list[Span]], start: float, end: float) -> dict[str, list[Bar]]:
    """Return each step's spans as bars between the run's start and its end (or now)."""
    whole = max(end - start, 0.001)
    return {
        step_id: [_bar(span, start, end, whole) for span in found]
        for step_id, found in by_step.items()
    }


def _bar(span: Span, start: float, end: float, whole: float) -> Bar:
    stop = end if span.end is None else span.end
    seconds = max(0.0, stop - span.start)
    left = min(100 - MIN_WIDTH, max(0.0, (span.start - start) / whole * 100))
    width = min(100 - left, max(MIN_WIDTH, seconds / whole * 100))
    return Bar(span.kind, round(left, 3), round(width, 3), seconds, span.end is None)


def ticks(seconds: float, most: int = 6) -> list[float]:
    """Return round moments (in seconds) to mark on an axis of that length."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200)
    step = next((step for step in steps if seconds / step <= most), 21_600)
    return [round(n * step, 1) for n in range(int(seconds / step) + 1)]
