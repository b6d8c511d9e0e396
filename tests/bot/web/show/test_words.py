"""Times, quotes and log lines in words."""

from __future__ import annotations

import pytest

from agents.domain import Answer, Moment
from bot.web.show.log import entries
from bot.web.show.quoting import lines
from bot.web.show.words import clock, day_clock, duration, elapsed, json_text, plural
from jobs import events as e
from jobs.state import Approval, Question, Status, Terms
from jobs.store import StoredEvent


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0.0 s"),
        (0.42, "0.4 s"),
        (9.96, "9 s"),
        (16.9, "16 s"),
        (64, "1m 04s"),
        (7_505, "2h 05m"),
        (273_600, "3d 04h"),
    ],
)
def test_durations_keep_two_units(seconds: float, text: str) -> None:
    """What took less than ten seconds is said to the tenth, the rest in two units at most."""
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(-3, "0 s"), (4.9, "4 s"), (64, "1m 04s")])
def test_what_still_grows_is_said_to_the_second(seconds: float, text: str) -> None:
    """A time that ticks has no tenths, which would only flicker."""
    assert elapsed(seconds) == text


def test_times_are_utc() -> None:
    """The day is shown only when it is not today."""
    assert clock(0) == "00:00:00"
    assert day_clock(10, 20) == "00:00:10"
    assert day_clock(10, 200_000) == "01 Jan 00:00"


def test_long_values_are_cut() -> None:
    """A value is JSON unless it is a string, and never longer than its limit."""
    assert json_text("as it is") == "as it is"
    assert json_text({"a": "ü"}) == '{\n  "a": "ü"\n}'
    assert json_text("x" * 9_000).endswith("(cut)")
    assert plural(2, "alert") == "2 alerts"


def test_a_quote_is_marked_where_it_stands() -> None:
    """Only the lines with the quote are marked, and in them only the quote."""
    first, second = lines("one two\nthree", "two")

    assert first.parts == (("one ", False), ("two", True))
    assert not second.is_quoted
    assert not any(line.is_quoted for line in lines("a\nb", ""))


def test_every_event_has_words() -> None:
    """The log has a sentence for each event, and knows the step behind a decision."""
    happened: list[e.Event] = [
        e.StepQueued(1, "a", 1, "agent"),
        e.StepStarted(1, "a", 1, "w"),
        e.StepNoted(1, "a", "looking"),
        e.StepExpanded(1, "a", ()),
        e.StepSucceeded(1, "a"),
        e.StepRetried(1, "a", "boom", 2),
        e.StepLost(1, "a", 1, "w"),
        e.StepRequeued(1, "a", 1, "step b has begun"),
        e.StepFailed(1, "a", "boom"),
        e.StepSkipped(1, "a", "no"),
        e.StepCancelled(1, "a"),
        e.ApprovalRequested(1, Approval("ap", "a", (), Terms(), 1)),
        e.ApprovalVoted(1, "ap", 1, "p", "Alice", True, "ok", ("x",)),
        e.ApprovalEdited(1, "ap", 2, "k", {}, "p", "Alice"),
        e.ApprovalDecided(1, "ap", "approved", "Alice", "ok"),
        e.ApprovalEscalated(1, "ap", (), ("leads",)),
        e.ApprovalRefused(1, "ap", "p", "Eve", "not_allowed"),
        e.QuestionAsked(1, Question("q", "a", "Done?")),
        e.QuestionAnswered(1, "q", "done", "Alice"),
        e.QuestionExpired(1, "q"),
        e.QuestionEscalated(1, "q", (), ("leads",)),
        e.CallIntended(1, "k", "a", "t", {"x": 1}, "d"),
        e.CallFinished(1, "k", False, error="boom"),
        e.SignalReceived(1, Moment(1, "resolved")),
        e.RunStopped(1, "Alice", "enough"),
        e.RunEnded(1, Status.SUCCEEDED, Answer("done")),
    ]
    found = entries([StoredEvent("r", n, event) for n, event in enumerate(happened, 1)])

    assert all(entry.text and entry.text != entry.type for entry in found)
    by_type = {entry.type: entry for entry in found}
    assert by_type["approval_voted"].text == "Alice approved revision 1, without x (ok)"
    assert by_type["approval_voted"].step_id == "a"
    assert by_type["question_answered"].step_id == "a"
