"""What the engine adds to the work itself: one run, fifty at once, and each step's wait."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import Iterable
from typing import Any

from agents.domain import Goal, Plan
from bench.figures import Figure, at_least, at_most, percentile
from bench.graph import CRITICAL_PATH_S, goal, twelve_steps
from bench.proc import cpu_s, tree
from bench.rig import BenchError, Engine, engine
from jobs.events import StepQueued, StepStarted
from jobs.redis_store import FEED
from jobs.state import Status

SINGLES = 15
AT_ONCE = 50
BURSTS = 3
RUN_S = 60.0


async def measure() -> list[Figure]:
    """Return the figures of the engine."""
    async with engine() as rig:
        await rig.add_parent()
        await run_all(rig, 1)  # The first run loads scripts and opens connections.
        ratios, waits = [], []
        for _ in range(SINGLES):
            wall_s, run_ids = await run_all(rig, 1)
            ratios.append(wall_s / CRITICAL_PATH_S)
            waits += await start_waits_ms(rig, run_ids)
        await run_all(rig, AT_ONCE)
        bursts = [await burst(rig) for _ in range(BURSTS)]
    rates, worker_ms, redis_ms, burst_waits = zip(*bursts, strict=True)
    return [
        Figure("run_overhead", statistics.median(ratios), "wall/critical", at_most(1.05)),
        Figure("run_overhead_worst", max(ratios), "wall/critical"),
        Figure("start_p50", percentile(waits, 50), "ms"),
        Figure("start_p99", percentile(waits, 99), "ms", at_most(10)),
        Figure("burst_rate", statistics.median(rates), "runs/s", at_least(30)),
        Figure(
            "burst_cpu",
            statistics.median(w + r for w, r in zip(worker_ms, redis_ms, strict=True)),
            "ms/run",
            at_most(30),
        ),
        Figure("burst_cpu_workers", statistics.median(worker_ms), "ms/run"),
        Figure("burst_cpu_redis", statistics.median(redis_ms), "ms/run"),
        Figure("burst_start_p99", percentile([w for one in burst_waits for w in one], 99), "ms"),
    ]


async def run_all(
    rig: Engine, count: int, plan: Plan | None = None, wanted: Goal | None = None
) -> tuple[float, list[str]]:
    """Start so many runs at once; return how long all of them took, and their ids."""
    run_ids = [f"bench-{uuid.uuid4().hex[:16]}" for _ in range(count)]
    plan, wanted = plan or twelve_steps(), wanted or goal()
    cursor = await _feed_end(rig)
    began = time.perf_counter()
    ending = asyncio.create_task(_all_over(rig, cursor, run_ids))
    await asyncio.gather(*(rig.runs.start(run_id, wanted, plan) for run_id in run_ids))
    async with asyncio.timeout(RUN_S):
        await ending
    wall_s = time.perf_counter() - began
    for run_id in run_ids:
        run = await rig.runs.get(run_id)
        if run.status is not Status.SUCCEEDED:
            errors = {step_id: state.error for step_id, state in run.steps.items() if state.error}
            raise BenchError(f"{run_id} {run.status}: {errors}")
    return wall_s, run_ids


async def start_waits_ms(rig: Engine, run_ids: Iterable[str]) -> list[float]:
    """Return how long each step lay in the queue, from the event logs."""
    waits: list[float] = []
    for run_id in run_ids:
        queued: dict[str, float] = {}
        for stored in await rig.store.events(run_id):
            match stored.event:
                case StepQueued(at=at, step_id=step_id):
                    queued[step_id] = at
                case StepStarted(at=at, step_id=step_id):
                    waits.append((at - queued[step_id]) * 1_000)
    return waits


async def burst(rig: Engine, plan: Plan | None = None) -> tuple[float, float, float, list[float]]:
    """Return runs/s, CPU ms per run of the workers and of Redis, and the steps' waits."""
    workers = [pid for parent in rig.parent_pids for pid in tree(parent)]
    before = cpu_s(workers), cpu_s([rig.redis_pid])
    wall_s, run_ids = await run_all(rig, AT_ONCE, plan)
    worker_s, redis_s = cpu_s(workers) - before[0], cpu_s([rig.redis_pid]) - before[1]
    waits = await start_waits_ms(rig, run_ids)
    per_run = 1_000 / AT_ONCE
    return AT_ONCE / wall_s, worker_s * per_run, redis_s * per_run, waits


async def _feed_end(rig: Engine) -> str:
    """Return the cursor after which the next change comes."""
    newest: Any = await rig.client.xrevrange(FEED, count=1)
    return newest[0][0].decode() if newest else "0"


async def _all_over(rig: Engine, cursor: str, run_ids: Iterable[str]) -> None:
    """Wait until all runs have ended; asks the list of active runs, which is cheap."""
    left = set(run_ids)
    seen: set[str] = set()
    async for batch in rig.store.changes(cursor):
        seen |= {change.run_id for change in batch}
        if left <= seen and not left & set(await rig.store.run_ids(AT_ONCE * 2, active=True)):
            return
