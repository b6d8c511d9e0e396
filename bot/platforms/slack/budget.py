"""How much Slack takes: the paces of cards, and posts per channel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from bot.live.budgets import SLACK, SLACK_DIRECT, Budget, Pace, Urgency
from bot.platforms.port import PlatformBusyError
from bot.platforms.slack.places import Place

POSTS: Final = Pace(gaps_s=(0.0, 0.0, 0.0), rate_per_s=40 / 60, burst=2.0)
"""Of one channel: 40 a minute, two of them at once."""
MAX_WAIT_S: Final = 3.0
"""A post that would have to wait longer goes back to whoever keeps it."""
MAX_CHANNELS: Final = 1_000


def card_pace(place: Place) -> Pace:
    """Return how often a card may change there."""
    return SLACK_DIRECT if place.is_direct else SLACK


class PostPacer:
    """Lets posts into a channel one after another. `clock` gives seconds."""

    def __init__(
        self,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        pace: Pace = POSTS,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._pace = pace
        self._budgets: dict[Place, Budget] = {}
        self._waiting: dict[Place, int] = {}

    async def turn(self, place: Place) -> None:
        """Wait for a post's turn; PlatformBusyError when that would take long."""
        waiting = self._waiting.get(place, 0)
        if (wait_s := self._wait_s(place, waiting)) > MAX_WAIT_S:
            raise PlatformBusyError(wait_s, is_only_here=True)
        self._waiting[place] = waiting + 1
        try:
            while (wait_s := self._wait_s(place, 0)) > 0:
                if wait_s > MAX_WAIT_S:  # frozen in the meantime
                    raise PlatformBusyError(wait_s, is_only_here=True)
                await self._sleep(wait_s)
            self._budgets[place] = self._budget(place).spend(self._clock())
        finally:
            self._waiting[place] -= 1
            if not self._waiting[place]:
                del self._waiting[place]

    def freeze(self, place: Place, retry_after_s: float) -> None:
        """Note that Slack asked to wait before posting there again."""
        self._budgets[place] = self._budget(place).freeze(self._clock(), retry_after_s)

    def _wait_s(self, place: Place, ahead: int) -> float:
        own = self._budget(place).wait_s(self._clock(), Urgency.FINAL)
        behind = ahead / self._pace.rate_per_s if self._pace.rate_per_s else 0.0
        return own + behind if own or ahead else 0.0

    def _budget(self, place: Place) -> Budget:
        if place not in self._budgets:
            if len(self._budgets) >= MAX_CHANNELS:
                self._budgets.clear()
            self._budgets[place] = Budget.full(self._pace, self._clock())
        return self._budgets[place]
