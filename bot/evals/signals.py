"""The values of a recorded indicator over time; pure, and the same on each run of a scenario."""

from __future__ import annotations

import math
from collections.abc import Mapping
from zlib import crc32

from bot.evals.scenario import ChangeSpec, SeriesSpec
from config.specs import Indicator

USUAL: Mapping[str, tuple[float, Indicator]] = {
    "error_ratio": (0.002, Indicator(query="", unit="ratio", bad="high", floor=0.02)),
    "latency_p95": (0.08, Indicator(query="", unit="seconds", bad="high", floor=0.3)),
    "request_rate": (40.0, Indicator(query="", unit="per_second", bad="low", floor=1.0)),
}
"""Level, unit and floor of the indicators that every service has, by name."""
OTHER = (1.0, Indicator(query="", unit="count", bad="high", floor=0.0))
_HASHES = 2.0**32


def level_of(name: str, spec: SeriesSpec) -> float:
    """Return the indicator's usual value."""
    return USUAL.get(name, OTHER)[0] if spec.level is None else spec.level


def indicator_of(name: str, spec: SeriesSpec, query: str) -> Indicator:
    """Return the indicator as services.yaml would describe it."""
    usual = USUAL.get(name, OTHER)[1]
    return Indicator(
        query=query,
        unit=spec.unit or usual.unit,
        bad=spec.bad or usual.bad,
        floor=usual.floor if spec.floor is None else spec.floor,
    )


def value_at(
    name: str, spec: SeriesSpec, at_s: float, seed: str, healed_at_s: float | None = None
) -> float | None:
    """Return the value at a time relative to the scenario's start; None where there are no data.

    From `healed_at_s` on it is at its usual level again.
    """
    if spec.is_absent:
        return None
    value: float | None = level_of(name, spec)
    if healed_at_s is None or at_s < healed_at_s:
        for change in spec.changes:
            value = _changed(value, change, at_s)
    if value is None:
        return None
    return value * (1 + spec.noise * _jitter(f"{seed}:{math.floor(at_s)}"))


def _changed(before: float | None, change: ChangeSpec, at_s: float) -> float | None:
    if at_s < change.at_s or (change.until_s is not None and at_s >= change.until_s):
        return before
    if change.to is None or before is None or not change.ramp_s:
        return change.to
    share = min(1.0, (at_s - change.at_s) / change.ramp_s)
    return before + share * (change.to - before)


def _jitter(text: str) -> float:
    """Return a number from -1 to 1 that depends on the text alone."""
    return 2 * crc32(text.encode()) / _HASHES - 1
