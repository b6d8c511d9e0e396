"""Times, durations and values in a few characters, for tables that do not jump."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from pydantic import JsonValue

PRECISE_S = 10
"""Below this many seconds a tenth matters."""
MINUTE_S = 60
HOUR_S = 3_600
DAY_S = 86_400
MAX_VALUE_CHARS = 4_000


def duration(seconds: float) -> str:
    """Return how long something took: `0.4 s`, `16 s`, `1m 04s`, `2h 05m`, `3d 04h`."""
    tenths = round(max(0.0, seconds), 1)
    return f"{tenths:.1f} s" if tenths < PRECISE_S else elapsed(seconds)


def elapsed(seconds: float) -> str:
    """Return a duration that is still growing, to the second, as app.js goes on writing it."""
    whole = max(0, int(seconds))
    if whole < MINUTE_S:
        return f"{whole} s"
    if whole < HOUR_S:
        return f"{whole // MINUTE_S}m {whole % MINUTE_S:02d}s"
    if whole < DAY_S:
        return f"{whole // HOUR_S}h {whole % HOUR_S // MINUTE_S:02d}m"
    return f"{whole // DAY_S}d {whole % DAY_S // HOUR_S:02d}h"


def clock(at: float) -> str:
    """Return the time of day in UTC: `21:30:05`."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def day_clock(at: float, now: float) -> str:
    """Return the time of day in UTC, with the day unless it is today."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    return moment.strftime("%H:%M:%S" if moment.date() == today.date() else "%d %b %H:%M")


def iso(at: float) -> str:
    """Return the time as machines read it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def json_text(value: JsonValue) -> str:
    """Return a value as text: strings as they are, the rest as indented JSON, cut when long."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE_CHARS else text[:MAX_VALUE_CHARS] + " … (cut)"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a counted noun: `1 alert`, `3 alerts`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def percent(ratio: float) -> str:
    """Return a ratio as a whole percentage."""
    return f"{round(ratio * 100)} %"
