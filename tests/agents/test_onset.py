"""When a number became bad is found on clean, noisy, short and broken series."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.onset import Kind, clean, current, is_good, onset

START = 1_000.0


def smeared(raw: list[float], window: int = 10) -> list[tuple[float, float]]:
    """Return what a rate over a window makes of a raw series of one value per second."""
    return [
        (START + i, sum(raw[max(0, i - window + 1) : i + 1]) / min(window, i + 1))
        for i in range(len(raw))
    ]


def test_step_after_a_short_baseline_is_found_to_the_second() -> None:
    """25 s of baseline and 12 s of errors in a 10 s window are enough."""
    found = onset(smeared([0.0] * 25 + [0.4] * 12), "high", 0.02)

    assert found is not None
    assert found.kind is Kind.SHIFT
    assert abs(found.at - (START + 25)) <= 1
    assert not found.is_over
    assert found.before == 0.0


def test_noise_does_not_move_the_onset_far() -> None:
    """A noisy level of 15 minutes with a step gives the step."""
    dice = random.Random(7)
    series = [(START + i, dice.gauss(0.1, 0.02) + (0.7 if i >= 600 else 0.0)) for i in range(900)]

    found = onset(series, "high", 0.3)

    assert found is not None
    assert abs(found.at - (START + 600)) <= 2


def test_blip_that_went_away_is_a_blip() -> None:
    """Three seconds of errors that are over are no lasting shift."""
    found = onset(smeared([0.0] * 50 + [0.3] * 3 + [0.0] * 40), "high", 0.02)

    assert found is not None
    assert found.kind is Kind.BLIP
    assert found.is_over


def test_long_shift_that_ended_says_until_when() -> None:
    """Five bad minutes that are over remain a shift, with its end."""
    series = [(START + i, 0.8 if 300 <= i < 600 else 0.1) for i in range(900)]

    found = onset(series, "high", 0.3)

    assert found is not None
    assert (found.kind, found.at, found.until) == (Kind.SHIFT, START + 300, START + 600)


def test_fall_below_the_floor_is_bad_when_low_is_bad() -> None:
    """Traffic that stops is a shift downwards."""
    series = [(START + i, 20.0 if i < 60 else 0.2) for i in range(90)]

    found = onset(series, "low", 1.0)

    assert found is not None
    assert found.at == START + 60
    assert found.after == pytest.approx(0.2)


@pytest.mark.parametrize(
    "series",
    [
        [],
        [(START, 1.0)],
        [(START + i, 0.0) for i in range(100)],
        [(START + i, 0.001 * (i % 2)) for i in range(100)],
        [(START + i, math.nan) for i in range(100)],
        [(START + i, 5.0 if i == 50 else 0.0) for i in range(100)],
    ],
    ids=["empty", "one point", "flat", "below the floor", "no numbers", "one spike"],
)
def test_nothing_lasting_is_found_where_there_is_nothing(
    series: list[tuple[float, float]],
) -> None:
    """Flat, empty, tiny and once-off series have no lasting shift."""
    found = onset(series, "high", 0.02)

    assert found is None or found.kind is Kind.BLIP


def test_gaps_are_left_out() -> None:
    """Missing samples do not hide a step."""
    series = [
        (at, math.nan if index % 4 == 0 else value)
        for index, (at, value) in enumerate(smeared([0.0] * 40 + [0.5] * 30))
    ]

    found = onset(series, "high", 0.02)

    assert found is not None
    assert abs(found.at - (START + 40)) <= 2


def test_always_bad_has_no_before() -> None:
    """A level that was bad all along has an unknown beginning."""
    found = onset([(START + i, 0.5) for i in range(60)], "high", 0.02)

    assert found is not None
    assert found.before is None


@pytest.mark.parametrize(
    ("value", "bad", "normal", "is_fine"),
    [
        (0.01, "high", None, True),
        (0.03, "high", None, False),
        (0.03, "high", 0.03, True),
        (0.05, "high", 0.03, False),
    ],
)
def test_good_is_below_the_floor_or_as_usual(
    value: float, bad: str, normal: float | None, is_fine: bool
) -> None:
    """A service that always lived above its floor is fine as long as it does as usual."""
    assert is_good(value, "high", 0.02, normal) is is_fine


def test_now_is_the_median_of_the_last_points() -> None:
    """A single outlier at the end is not the state now."""
    assert current([(1, 0.1), (2, 0.1), (3, 9.0)]) == 0.1
    assert current([]) is None


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats()), max_size=120),
    st.sampled_from(["high", "low"]),
    st.floats(-10, 10),
)
def test_any_series_gives_a_finite_onset_inside_of_it(
    series: list[tuple[float, float]], bad: str, floor: float
) -> None:
    """Rubbish does not raise, and what is found lies within the data."""
    found = onset(series, "low" if bad == "low" else "high", floor)
    points = clean(series)

    if found is not None:
        assert points[0][0] <= found.at <= points[-1][0]
        assert math.isfinite(found.after)
