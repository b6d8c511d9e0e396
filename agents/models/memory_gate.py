"""The gate's twin in memory: for one process, and for tests."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from agents.models.gate import ProviderFullError

BREAKER_FAILURES = 5
"""So many failures in a row open a model's breaker."""
BREAKER_PAUSE_S = 30.0
"""How long an open breaker lets nothing through; then one call may try."""


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    retry_at: float = 0.0


class MemoryGate:
    """`agents.models.gate.Gate` within one event loop; `now` gives seconds that only grow."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._breakers: defaultdict[str, _Breaker] = defaultdict(_Breaker)
        self._taken: defaultdict[str, int] = defaultdict(int)
        self._changed = asyncio.Condition()

    async def may_try(self, model: str) -> bool:
        """See `Gate.may_try`."""
        breaker = self._breakers[model]
        if breaker.failures < BREAKER_FAILURES:
            return True
        if self._now() < breaker.retry_at:
            return False
        breaker.retry_at = self._now() + BREAKER_PAUSE_S
        return True

    async def note(self, model: str, *, is_success: bool) -> None:
        """See `Gate.note`."""
        breaker = self._breakers[model]
        if is_success:
            breaker.failures = 0
            return
        breaker.failures += 1
        if breaker.failures >= BREAKER_FAILURES:
            breaker.retry_at = self._now() + BREAKER_PAUSE_S

    @contextlib.asynccontextmanager
    async def place(self, provider: str, limit: int, wait_s: float) -> AsyncIterator[None]:
        """See `Gate.place`."""
        await self._take(provider, limit, wait_s)
        try:
            yield
        finally:
            self._taken[provider] -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _take(self, provider: str, limit: int, wait_s: float) -> None:
        if self._taken[provider] >= limit:
            try:
                async with asyncio.timeout(wait_s), self._changed:
                    await self._changed.wait_for(lambda: self._taken[provider] < limit)
                    self._taken[provider] += 1
                    return
            except TimeoutError:
                raise ProviderFullError(
                    f"every place at {provider} ({limit}) stayed taken for {wait_s:g} s; "
                    f"raise providers.{provider}.max_concurrent in models.yaml, or try later"
                ) from None
        self._taken[provider] += 1
