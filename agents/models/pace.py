"""How long models took lately: words are worth watching only where a reply takes a while.

A streamed reply costs a worker several times the CPU of one that comes whole.
"""

from __future__ import annotations

SLOW_S = 1.0
"""Who watches is told this often; a reply that comes sooner is told as a whole."""
FADING = 0.8
"""What a slow reply counts for at the next one: one quick reply does not make a model quick."""


class Pace:
    """The pace of the models of one process, by name."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def is_slow(self, name: str) -> bool:
        """Say whether a reply may take a while; of a model that was not asked yet it may."""
        return self._seconds.get(name, SLOW_S) >= SLOW_S

    def note(self, name: str, seconds: float) -> None:
        """Remember how long a reply took."""
        self._seconds[name] = max(seconds, self._seconds.get(name, 0.0) * FADING)
