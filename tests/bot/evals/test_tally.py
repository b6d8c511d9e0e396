"""The figures are right, and claim no more than the cases show."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.evals.tally import interval, percentile, wilson
from tests.bot.evals.cases import trial


@pytest.mark.parametrize(
    ("passed", "total", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0), (0, 0, 0.0, 1.0)],
)
def test_wilson(passed: int, total: int, low: float, high: float) -> None:
    """The interval is that of the textbook."""
    assert wilson(passed, total) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_holds_the_share(passed: int, total: int) -> None:
    """The interval lies within 0 and 1 and has the share in it."""
    share = min(passed, total) / total
    low, high = wilson(min(passed, total), total)

    assert 0 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1


def test_repeats_are_no_cases() -> None:
    """Ten tries of two cases are as sure as two cases."""
    once = [trial("a"), trial("b")]

    assert interval(once * 10) == interval(once)
    assert interval([]) == (0.0, 1.0)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=50), st.floats(0.01, 1))
def test_percentile(values: list[float], share: float) -> None:
    """At least that share of the values is not above it."""
    edge = percentile(values, share)

    assert edge in values
    assert sum(value <= edge for value in values) >= share * len(values) - 1e-9
