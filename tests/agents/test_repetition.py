"""Going in circles is noticed, told once, then stopped."""

from __future__ import annotations

from agents.domain import JsonObject
from agents.repetition import IDLE_TURNS, Again, Repetition

ARGS: JsonObject = {"a": 1, "b": "x"}


def test_reading_call_may_run_twice() -> None:
    """The third time it is told, the fourth it ends; the order of arguments does not matter."""
    seen = Repetition()

    asked = [seen.ask("logs.search", args, acts_once=False) for args in (ARGS, ARGS, ARGS)]
    asked.append(seen.ask("logs.search", {"b": "x", "a": 1}, acts_once=False))

    assert asked == [Again.RUN, Again.RUN, Again.TELL, Again.STOP]
    assert seen.ask("logs.search", {"a": 2}, acts_once=False) is Again.RUN


def test_what_acts_runs_once() -> None:
    """A write or a question is not done twice."""
    seen = Repetition()

    asked = [seen.ask("service.restart", {}, acts_once=True) for _ in range(4)]

    assert asked == [Again.RUN, Again.TELL, Again.TELL, Again.STOP]


def test_idle_turns_are_told_once_then_stopped() -> None:
    """Progress in between starts the count anew, but not the patience."""
    seen = Repetition()

    assert [seen.end_turn(is_progress=False) for _ in range(IDLE_TURNS)][-1] is Again.TELL
    assert seen.end_turn(is_progress=True) is Again.RUN
    again = [seen.end_turn(is_progress=False) for _ in range(IDLE_TURNS)]
    assert again == [Again.RUN] * (IDLE_TURNS - 1) + [Again.STOP]


def test_result_is_new_once() -> None:
    """The same text from another call says nothing new."""
    seen = Repetition()

    assert [seen.is_new("a"), seen.is_new("b"), seen.is_new("a")] == [True, True, False]
