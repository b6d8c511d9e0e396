"""How fast the worker alone takes tickets: jobs per second, CPU per job, enqueue to start."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bench.figures import Figure
from jobs.broker import Ticket, enqueue, started_key
from jobs.embedded import EmbeddedRedis
from jobs.redis_client import connect
from jobs.worker import AsyncWorker, StopSignal

BURST = 5_000
SINGLES = 300
SINGLE_PAUSE_S = 0.01


class Counter:
    """Counts tickets and notes when each began."""

    def __init__(self) -> None:
        self.started: dict[Ticket, float] = {}
        self.wanted = 0
        self.reached = asyncio.Event()

    async def run(self, ticket: Ticket, _stop: StopSignal) -> None:
        """Do nothing, but remember when."""
        self.started[ticket] = time.perf_counter()
        if len(self.started) >= self.wanted:
            self.reached.set()

    async def wait_for(self, count: int) -> None:
        """Wait until so many tickets have started."""
        self.wanted = count
        self.reached.clear()
        if len(self.started) < count:
            await self.reached.wait()


async def measure(url: str) -> list[Figure]:
    """Run a burst, then single tickets on an idle worker."""
    counter, client = Counter(), connect(url)
    burst = [Ticket("run-b", f"s{i}", 1) for i in range(BURST)]
    await enqueue(client, burst, time.time())

    # The tickets are in the queue before the worker begins: only the worker is measured.
    worker = AsyncWorker(url, "bench", counter.run, has_signals=False)
    wall, cpu = time.perf_counter(), time.process_time()
    serving = asyncio.create_task(worker.serve())
    await counter.wait_for(BURST)
    while await client.zcard(started_key()):  # noqa: ASYNC110 - Redis has no event for it
        await asyncio.sleep(SINGLE_PAUSE_S)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu

    delays = []
    for i in range(SINGLES):
        ticket = Ticket("run-l", f"s{i}", 1)
        begin = time.perf_counter()
        await enqueue(client, [ticket], time.time())
        await counter.wait_for(BURST + i + 1)
        delays.append((counter.started[ticket] - begin) * 1000)
        await asyncio.sleep(SINGLE_PAUSE_S)
    worker.request_drain()
    await serving
    await client.aclose()
    cuts = statistics.quantiles(delays, n=100)
    return [
        Figure("worker_noop_rate", BURST / wall, "jobs/s"),
        Figure("worker_noop_cpu", cpu / BURST * 1_000, "ms/job"),
        Figure("worker_start_p50", cuts[49], "ms"),
        Figure("worker_start_p99", cuts[98], "ms"),
    ]


async def figures() -> list[Figure]:
    """Return the figures of a worker whose tickets do nothing."""
    with tempfile.TemporaryDirectory() as directory, EmbeddedRedis(Path(directory)) as server:
        return await measure(server.url)
