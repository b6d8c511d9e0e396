"""Recorded series have the levels, changes and gaps that their scenario gives them."""

from __future__ import annotations

import pytest

from bot.evals.scenario import ChangeSpec, SeriesSpec
from bot.evals.signals import indicator_of, value_at

STEP = SeriesSpec(level=10, noise=0, changes=(ChangeSpec(at_s=-100, to=30, until_s=-50),))


@pytest.mark.parametrize(("at_s", "value"), [(-101, 10), (-100, 30), (-51, 30), (-50, 10), (5, 10)])
def test_a_change_has_a_begin_and_an_end(at_s: float, value: float) -> None:
    """It holds from its time until its end."""
    assert value_at("x", STEP, at_s, "seed") == value


def test_a_ramp_rises_evenly() -> None:
    """Half way through it, half of the change has happened."""
    ramp = SeriesSpec(level=10, noise=0, changes=(ChangeSpec(at_s=-100, to=30, ramp_s=20),))

    assert value_at("x", ramp, -90, "seed") == 20


def test_gaps_and_absence() -> None:
    """A change to nothing is a gap; an absent series has no data at all."""
    gap = SeriesSpec(changes=(ChangeSpec(at_s=-100, to=None, until_s=-90),))

    assert value_at("x", gap, -95, "seed") is None
    assert value_at("x", gap, -85, "seed") is not None
    assert value_at("x", SeriesSpec(is_absent=True), -95, "seed") is None


def test_repaired_is_back_at_its_level() -> None:
    """From the repair on the changes no longer hold."""
    broken = SeriesSpec(level=10, noise=0, changes=(ChangeSpec(at_s=-100, to=30),))

    assert value_at("x", broken, 4, "seed", healed_at_s=5) == 30
    assert value_at("x", broken, 6, "seed", healed_at_s=5) == 10


def test_noise_is_the_same_each_time() -> None:
    """The same scenario gives the same numbers, and they stay near the level."""
    noisy = SeriesSpec(level=10, noise=0.1)
    values = [value_at("x", noisy, at, "seed") or 0 for at in range(-100, 0)]

    assert values == [value_at("x", noisy, at, "seed") for at in range(-100, 0)]
    assert all(9 <= value <= 11 for value in values)
    assert len(set(values)) > 50


def test_known_names_bring_their_unit() -> None:
    """What every service has need not be described; anything else is counted."""
    assert indicator_of("error_ratio", SeriesSpec(), "q").unit == "ratio"
    assert indicator_of("queue", SeriesSpec(floor=5, bad="high"), "q").floor == 5
