"""Keeps runs going when processes die, and forgets those that ended long ago.

It ends lost leases, fires timers, restores lost tickets. Every process may run one; each action
is decided by the run itself, so two at once do no harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from jobs.commands import Command, FireTimer, LoseStep, Refused
from jobs.observe import report_error
from jobs.service import Runs, UnknownRunError
from jobs.store import ConflictError, StoreUnavailableError

log = structlog.get_logger(__name__)

TICK_S = 0.5
RECONCILE_S = 10.0
FORGET_S = 3_600.0
FORGET_BATCH = 50
"""How many runs are forgotten at a time, so that nobody else waits for long."""


class Keeper:
    """Looks after every run in the store. `clock` gives Unix seconds.

    Runs that ended more than `keep_s` ago are removed; None keeps them for ever.
    """

    def __init__(
        self, runs: Runs, clock: Callable[[], float], *, keep_s: float | None = None
    ) -> None:
        self._runs = runs
        self._clock = clock
        self._keep_s = keep_s
        self._reconciled_at = float("-inf")
        self._forget_at = float("-inf")

    async def keep(self) -> None:
        """Tick until cancelled; a store that is away is waited for, a bug is reported."""
        while True:
            try:
                await self.tick()
            except StoreUnavailableError as error:
                log.warning("store_unavailable", reason=str(error))
            except Exception as error:  # Without this loop no run would be looked after.
                log.exception("keeper_crashed")
                report_error(error)
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
        if self._keep_s is not None and now >= self._forget_at:
            forgotten = await self._runs.store.forget_runs(now - self._keep_s, FORGET_BATCH)
            self._forget_at = now if forgotten == FORGET_BATCH else now + FORGET_S
            if forgotten:
                log.info("runs_forgotten", count=forgotten)

    async def _send(self, run_id: str, command: Command) -> bool:
        """Send a command; False when it no longer applies, and neither does what led to it."""
        try:
            before = (await self._runs.get(run_id)).version
            return (await self._runs.send(run_id, command)).version > before
        except (Refused, UnknownRunError):
            return False
        except ConflictError:
            return True
        except StoreUnavailableError:
            raise
        except Exception as error:  # One run that cannot be read must not hold up the others.
            log.exception("keeper_cannot_tend_run", run_id=run_id)
            report_error(error, run_id=run_id)
            return True
