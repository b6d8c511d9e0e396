"""How soon a step runs again after kill -9 of its worker, and of everything on its host."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import psutil

from bench.figures import Figure, at_most, percentile
from bench.graph import goal, one_step
from bench.rig import Engine, engine
from jobs.broker import worker_key
from jobs.events import StepStarted
from jobs.parent import YOUNG_S
from jobs.redis_store import RedisStore

STEP_S = 120.0
SAME_HOST_KILLS = 6
LOST_HOSTS = 2
WAIT_S = 60.0


async def measure() -> list[Figure]:
    """Return the figures of recovery."""
    same = await _same_host()
    lost = await _lost_host()
    return [
        Figure("restart_same_host_p50", percentile(same, 50), "s"),
        Figure("restart_same_host", max(same), "s", at_most(1)),
        Figure("restart_lost_host", max(lost), "s", at_most(20)),
    ]


async def _same_host() -> list[float]:
    """Kill the worker that runs the step; its parent notices. Two workers, one parent."""
    async with engine() as rig:
        await rig.add_parent()
        took = []
        for _ in range(SAME_HOST_KILLS):
            await asyncio.sleep(YOUNG_S)  # Who dies again and again is restarted ever later.
            took.append(await _killed(rig, kills_host=False))
        return took


async def _lost_host() -> list[float]:
    """Kill the parent and its workers; those of another parent find the lease expired."""
    async with engine() as rig:
        for _ in range(LOST_HOSTS + 1):
            await rig.add_parent()
        return [await _killed(rig, kills_host=True) for _ in range(LOST_HOSTS)]


async def _killed(rig: Engine, *, kills_host: bool) -> float:
    """Return the seconds from the kill to the step's second start."""
    run_id = f"bench-{uuid.uuid4().hex[:16]}"
    await rig.runs.start(run_id, goal(), one_step(STEP_S))
    starts = _starts(rig.store, run_id)
    async with asyncio.timeout(WAIT_S):
        first = await anext(starts)
        worker = await _pid_of(rig, first.worker)
        killed_at = time.time()
        if kills_host:
            rig.kill_parent(psutil.Process(worker).ppid())
        else:
            os.kill(worker, signal.SIGKILL)
        second = await anext(starts)
    await starts.aclose()
    return second.at - killed_at


async def _starts(store: RedisStore, run_id: str) -> AsyncGenerator[StepStarted]:
    """Yield each start of the run's only step as it happens."""
    seen = 0
    async for _ in store.changes("0"):
        for stored in await store.events(run_id, seen):
            seen = stored.seq
            if isinstance(stored.event, StepStarted):
                yield stored.event


async def _pid_of(rig: Engine, worker: str) -> int:
    """Return the process of a worker, as it registered itself."""
    client: Any = rig.client  # redis-py types answers as unions of all it may say
    return int(await client.hget(worker_key(worker), "pid"))
