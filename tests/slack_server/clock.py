"""What time it is in the workspace: stamps, ages and a clock that can be wrong."""

from __future__ import annotations

import time

MICRO = 1_000_000


class Clock:
    """Two clocks: `wall` goes into payloads and signatures, `age` decides what has expired."""

    def __init__(self) -> None:
        self.skew_s = 0.0
        """How far the wall clock is ahead of this machine's (behind, when negative)."""
        self.ahead_s = 0.0
        """Seconds that tests let pass without waiting."""
        self._last = 0

    def wall(self) -> float:
        """Return the Unix time that Slack believes in."""
        return time.time() + self.skew_s

    def age(self) -> float:
        """Return a time that only grows: budgets refill and ids expire by it."""
        return time.monotonic() + self.ahead_s

    def stamp(self) -> str:
        """Return a `ts`: unique in all the server and later than every one before it."""
        self._last = max(int(self.wall() * MICRO), self._last + 1)
        return f"{self._last // MICRO}.{self._last % MICRO:06d}"
