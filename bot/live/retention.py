"""Forgets what people no longer need of the bot's own: silent threads, posts that nobody took.

Runs are forgotten by `jobs.keeper`; incidents carry the time they have left themselves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from agents.domain import ThreadRef
from bot.live.outbox import OutboxStore
from bot.platforms.console.adapter import NAME as CONSOLE
from bot.platforms.console.store import ConsoleStore
from jobs.incident_store import IncidentStore
from jobs.observe import report_error
from jobs.store import Store, StoreUnavailableError

log = structlog.get_logger(__name__)

FORGET_S = 3_600.0
BATCH = 50
"""How many threads are forgotten at a time, so that nobody else waits for long."""
BATCH_PAUSE_S = 1.0
RETRY_S = 60.0
MAX_ACTIVE_RUNS = 1_000_000


class Retention:
    """Removes what is older than `keep_s`; one leader does it. `clock` gives Unix seconds.

    A thread stays while a run in it is going on or its incident is open, however silent it is.
    """

    def __init__(
        self,
        *,
        store: Store,
        incidents: IncidentStore,
        console: ConsoleStore,
        posts: OutboxStore,
        keep_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._incidents = incidents
        self._console = console
        self._posts = posts
        self._keep_s = keep_s
        self._clock = clock

    async def keep(self) -> None:
        """Forget every hour until cancelled; a store that is away is waited for."""
        while True:
            try:
                pause_s = BATCH_PAUSE_S if await self.forget() else FORGET_S
            except StoreUnavailableError as error:
                log.warning("retention_waits_for_store", reason=str(error))
                pause_s = RETRY_S
            except Exception as error:  # a bug here must not end what else the leader does
                log.exception("retention_crashed")
                report_error(error)
                pause_s = FORGET_S
            await asyncio.sleep(pause_s)

    async def forget(self) -> bool:
        """Forget one batch; whether there may be more."""
        before = self._clock() - self._keep_s
        needed = {thread.id for thread in await self._needed() if thread.platform == CONSOLE}
        threads = await self._console.forget_threads(before, BATCH, needed)
        posts = await self._posts.forget_laid_aside(before)
        if threads or posts:
            log.info("conversations_forgotten", threads=threads, posts=posts)
        return threads == BATCH

    async def _needed(self) -> set[ThreadRef]:
        """Return the threads in which something is still going on."""
        threads = await self._incidents.open_threads()
        for run_id in await self._store.run_ids(MAX_ACTIVE_RUNS, active=True):
            run = await self._store.load(run_id)
            if run is not None:
                threads.add(run.goal.thread)
        return threads
