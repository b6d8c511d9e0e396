"""How numbers and times are written in evidence and answers, so that quotes match exactly."""

from __future__ import annotations

import math
from datetime import UTC, datetime

SHORT_SHA = 7
MINUTE_S = 60
HOUR_S = 3_600


def utc(at: float) -> str:
    """Return Unix seconds as a UTC date and time to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at: float) -> str:
    """Return Unix seconds as a UTC time of day, for sentences."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")


def possessive(name: str) -> str:
    """Return whose something is: `checkout's`, `payments'`."""
    return f"{name}'" if name.endswith("s") else f"{name}'s"


def number(value: float | None) -> str:
    """Return a number with three significant digits; `none` when there is none."""
    if value is None or not math.isfinite(value):
        return "none"
    if value and abs(value) >= 1_000:
        return f"{value:.0f}"
    return f"{value:.3g}"


def amount(value: float | None, unit: str) -> str:
    """Return a value with its unit as people say it: `41.2 %`, `0.85 s`."""
    if value is None or not math.isfinite(value):
        return "no data"
    match unit:
        case "ratio":
            return f"{value * 100:.3g} %"
        case "seconds":
            return f"{value:.3g} s" if abs(value) >= 1 else f"{value * 1_000:.3g} ms"
        case "per_second":
            return f"{number(value)}/s"
        case "bytes":
            return f"{number(value)} bytes"
        case _:
            return number(value)


def duration(seconds: float) -> str:
    """Return a duration in the largest unit that keeps it readable."""
    seconds = max(0.0, seconds)
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR_S:
        return f"{seconds / MINUTE_S:.0f} min"
    return f"{seconds / HOUR_S:.0f} h"


def indicator_name(name: str) -> str:
    """Return an indicator's name as words."""
    return name.replace("_", " ")


def short(sha: str) -> str:
    """Return a release the way people quote it."""
    return sha[:SHORT_SHA]


def one_line(text: str, limit: int) -> str:
    """Return text on one line of at most `limit` characters, saying when it was cut."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: max(0, limit - 1)] + "…"
