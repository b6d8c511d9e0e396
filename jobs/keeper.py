"""Keeps runs going when processes die: ends lost leases, fires timers, restores lost tickets.

Every process may run one; each action is decided by the run itself, so two at once do no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from jobs.commands import Command, FireTimer, LoseStep, Refused
from jobs.service import Runs, UnknownRunError
from jobs.store import ConflictError, StoreUnavailableError

log = structlog.get_logger(__name__)

TICK_S = 0.5
RECONCILE_S = 10.0


class Keeper:
    """Looks after every run in the store. `clock` gives Unix seconds."""

    def __init__(self, runs: Runs, clock: Callable[[], float]) -> None:
        self._runs = runs
        self._clock = clock
        self._reconciled_at = float("-inf")

    async def keep(self) -> None:
        """Tick until cancelled; a store that is away is waited for."""
        while True:
            try:
                await self.tick()
            except StoreUnavailableError as error:
                log.warning("store_unavailable", reason=str(error))
            await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """Do all that is due now."""
        for lease in await self._runs.store.expired_leases():
            log.warning("lease_expired", run_id=lease.run_id, step_id=lease.step_id)
            if not await self._send(lease.run_id, LoseStep(lease.step_id, lease.attempt)):
                await self._runs.store.drop_lease(lease)
        now = self._clock()
        for timer in await self._runs.store.due_timers(now):
            if not await self._send(timer.run_id, FireTimer(timer.kind, timer.key)):
                await self._runs.store.drop_timer(timer)
        if now - self._reconciled_at >= RECONCILE_S:
            self._reconciled_at = now
            restored = await self._runs.store.requeue_lost_tickets()
            if restored:
                log.warning("tickets_restored", count=restored)

    async def _send(self, run_id: str, command: Command) -> bool:
        """Send a command; False when it no longer applies, and neither does what led to it."""
        try:
            before = (await self._runs.get(run_id)).version
            return (await self._runs.send(run_id, command)).version > before
        except (Refused, UnknownRunError):
            return False
        except ConflictError:
            return True
