"""Finds when a number started to be bad, by change-point detection.

Built on ruptures' KernelCPD: its linear kernel is the exact optimal partition of a piecewise
constant signal, computed in C (two milliseconds for 15 minutes of 1 s data, where its pure
Python PELT takes seconds), and unlike a sliding z-score it needs no window length, so the same
code works on 40 s and on a day of data. What the segments mean is decided here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Any, Literal

MIN_POINTS = 8
"""With fewer points a step cannot be told from noise."""
MAX_POINTS = 2_000
"""Longer series are thinned to this, which bounds the quadratic worst case of the partition."""
MIN_SEGMENT = 3
"""Points in a segment: two equal outliers are not a level."""
PENALTY = 6.0
"""Times log(n): above the textbook 2-3, since neighbours in a rate over a window correlate."""
MIN_SIGMAS = 4.0
"""A level this many noise widths from the reference is a different level."""
MIN_RELATIVE = 0.3
"""A level closer than this share of the reference is the same level to a person."""
RISE_SHARE = 0.1
"""A shift starts where the first tenth of it has happened: windows smear a step into a ramp."""
BLIP_MAX_S = 30.0
"""An episode that ended within this time is a blip: 3 s of errors fill a 10 s rate window for
13 s, a 15 s scrape holds a single bad sample that long."""
CURRENT_POINTS = 3
"""The value now is the median of so many last points: one outlier is not a state."""
NOISE_FLOOR_SHARE = 0.02
"""Noise is at least this share of the floor or the level: a flat line is not infinitely sure."""

Bad = Literal["high", "low"]


class Kind(StrEnum):
    """What the series did: a shift that lasts (or lasted long), or a blip that went away."""

    SHIFT = "shift"
    BLIP = "blip"


@dataclass(frozen=True, slots=True)
class Onset:
    """A move to the bad side. `until` is None while it lasts; `before` None if always bad."""

    kind: Kind
    at: float
    until: float | None
    before: float | None
    after: float

    @property
    def is_over(self) -> bool:
        """Whether the number came back."""
        return self.until is not None


@dataclass(frozen=True, slots=True)
class _Level:
    start: int
    end: int
    value: float


def onset(series: Sequence[tuple[float, float]], bad: Bad, floor: float) -> Onset | None:
    """Return the latest move of the series to the bad side of `floor`, or None.

    A lasting one wins over one that ended; gaps, NaN and infinities are left out.
    """
    points = clean(series)
    if len(points) < MIN_POINTS:
        return None
    sign = 1.0 if bad == "high" else -1.0
    times = [at for at, _ in points]
    values = [sign * value for _, value in points]
    limit = sign * floor
    noise = _noise(values, limit)
    if max(values) <= limit:
        return None
    levels = _levels(values, noise)
    reference = _reference(levels)
    episodes = _episodes(levels, reference, limit, noise)
    if not episodes:
        return None
    start, end, worst = episodes[-1]
    first = _first_bad(values, start, reference, worst, limit, noise)
    last = None if end == len(values) else times[end]
    lasted = (last if last is not None else times[-1]) - times[first]
    kind = Kind.BLIP if last is not None and lasted <= BLIP_MAX_S else Kind.SHIFT
    is_always_bad = first == 0
    return Onset(
        kind=kind,
        at=times[first],
        until=last,
        before=None if is_always_bad else sign * reference,
        after=sign * worst,
    )


def current(series: Sequence[tuple[float, float]]) -> float | None:
    """Return the value now: the median of the last few points, None without data."""
    points = clean(series)
    return median(value for _, value in points[-CURRENT_POINTS:]) if points else None


def is_good(value: float, bad: Bad, floor: float, normal: float | None = None) -> bool:
    """Return whether a value is on the good side of the floor, or as it normally is."""
    if bad == "low":
        value, floor, normal = -value, -floor, None if normal is None else -normal
    if value <= floor:
        return True
    return normal is not None and value <= normal + MIN_RELATIVE * abs(normal)


def clean(series: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the finite points in order of time, thinned to `MAX_POINTS`."""
    points = sorted((at, v) for at, v in series if math.isfinite(at) and math.isfinite(v))
    if len(points) <= MAX_POINTS:
        return points
    stride = math.ceil(len(points) / MAX_POINTS)
    # The newest point always stays: it says how things are now.
    return points[::-1][::stride][::-1]


def _noise(values: Sequence[float], limit: float) -> float:
    """Return the typical distance of neighbours, which a few steps do not move."""
    jumps = [abs(b - a) for a, b in pairwise(values)]
    scale = max(abs(limit), abs(median(values)))
    return max(1.05 * median(jumps), NOISE_FLOOR_SHARE * scale, 1e-9)


def _levels(values: Sequence[float], noise: float) -> list[_Level]:
    import numpy as np
    from ruptures.detection.kernelcpd import KernelCPD

    # Clipping keeps one enormous outlier from buying a segment of its own.
    low, high = np.percentile(values, [0.5, 99.5])
    signal = np.clip(np.asarray(values, dtype=float), low, high) / noise
    penalty = PENALTY * math.log(len(values))
    search: Any = KernelCPD(kernel="linear", min_size=MIN_SEGMENT)  # type: ignore[no-untyped-call]
    ends = [int(end) for end in search.fit(signal.reshape(-1, 1)).predict(pen=penalty)]
    starts = [0, *ends[:-1]]
    return [_Level(a, b, median(values[a:b])) for a, b in zip(starts, ends, strict=True)]


def _reference(levels: Sequence[_Level]) -> float:
    """Return the best level that was held for a while: what normal looks like."""
    held = [level for level in levels if level.end - level.start >= 2 * MIN_SEGMENT]
    return min(level.value for level in (held or levels))


def _episodes(
    levels: Sequence[_Level], reference: float, limit: float, noise: float
) -> list[tuple[int, int, float]]:
    """Return the runs of neighbouring bad levels: first index, end index, worst level."""
    distance = max(MIN_SIGMAS * noise, MIN_RELATIVE * abs(reference))
    is_alone = len(levels) == 1
    found: list[tuple[int, int, float]] = []
    for level in levels:
        if level.value <= limit or (not is_alone and level.value - reference < distance):
            continue
        if found and found[-1][1] == level.start:
            start, _, worst = found[-1]
            found[-1] = (start, level.end, max(worst, level.value))
        else:
            found.append((level.start, level.end, level.value))
    return found


def _first_bad(
    values: Sequence[float],
    start: int,
    reference: float,
    worst: float,
    limit: float,
    noise: float,
) -> int:
    """Walk back down the ramp to the point where the shift began."""
    edge = reference + max(RISE_SHARE * (worst - reference), min(noise, worst - reference) / 2)
    first = start
    while first > 0 and values[first - 1] > edge:
        first -= 1
    # The cut may also lie a point early; the level must have begun to move there.
    while first < len(values) - 1 and values[first] <= min(edge, limit):
        first += 1
    return first
