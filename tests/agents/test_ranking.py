"""Texts are ranked by their words."""

from __future__ import annotations

import pytest

from agents.ranking import ranked

TEXTS = (
    "logs.search Find log lines of a service",
    "metrics.onset When a number became bad",
    "deploys.recent What was deployed lately",
)


@pytest.mark.parametrize(
    ("query", "place"), [("searching the logs", 0), ("bad numbers", 1), ("deploy", 2)]
)
def test_best_text_comes_first(query: str, place: int) -> None:
    """Endings and case do not matter."""
    assert ranked(query, TEXTS, 3)[0][0] == place


def test_text_without_a_common_word_is_not_found() -> None:
    """Nothing is better than a guess."""
    assert ranked("kubernetes", TEXTS, 3) == []
    assert ranked("", TEXTS, 3) == []
    assert ranked("log", (), 3) == []


def test_limit_holds_and_equals_keep_their_order() -> None:
    """The first of equals comes first."""
    assert [place for place, _ in ranked("log", ["log a", "log b", "log c"], 2)] == [0, 1]
