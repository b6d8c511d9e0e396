"""How long models took lately."""

from __future__ import annotations

from agents.models.pace import SLOW_S, Pace


def test_unknown_model_may_be_slow() -> None:
    """Nobody knows yet: its words are watched."""
    assert Pace().is_slow("a")


def test_one_quick_reply_does_not_make_a_slow_model_quick() -> None:
    """After some of them it is; each model has a pace of its own."""
    pace = Pace()
    pace.note("a", 2 * SLOW_S)

    answers = []
    for _ in range(4):
        pace.note("a", 0.1)
        answers.append(pace.is_slow("a"))

    assert answers == [True, True, True, False]
    assert pace.is_slow("b")


def test_quick_model_that_became_slow_is_watched_at_once() -> None:
    """From its next reply on."""
    pace = Pace()
    pace.note("a", 0.1)
    assert not pace.is_slow("a")

    pace.note("a", SLOW_S)

    assert pace.is_slow("a")
