"""Waiting for people is told apart from work."""

from __future__ import annotations

from bot.views import StepView
from bot.web.show.steps import StepTime, step_time
from jobs.state import Status


def test_waiting_is_no_work() -> None:
    """A step that ended says what it worked and what it waited."""
    step = StepView("a", "A", "w", Status.SUCCEEDED, started_at=10, ended_at=107.5, waited_s=97)

    assert step_time(step) == StepTime(work_s=0.5, waited_s=97)


def test_a_step_waits_now() -> None:
    """While it waits, the work before it stands still and the wait grows."""
    step = StepView("a", "A", "w", Status.WAITING, started_at=10, waiting_since=12)

    assert step_time(step) == StepTime(work_s=2, waiting_since=12)


def test_work_goes_on_after_a_wait() -> None:
    """The ticking time of a running step leaves out what it waited before."""
    step = StepView("a", "A", "w", Status.RUNNING, started_at=10, waited_s=5)

    assert step_time(step) == StepTime(waited_s=5, working_since=15)


def test_what_never_began_has_no_time() -> None:
    """Pending and skipped steps have none; one between two tries only what it waited."""
    assert step_time(StepView("a", "A", "w", Status.SKIPPED, ended_at=9)) == StepTime()
    assert step_time(StepView("a", "A", "w", Status.PENDING, started_at=9)) == StepTime()
