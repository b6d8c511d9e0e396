"""Whoever follows a feed stops when told to, also at the moment when news comes."""

from __future__ import annotations

import asyncio

import pytest

from jobs.memory_store import MemoryStore
from jobs.service import Runs
from tests.jobs.plans import GOAL, plan, step


async def follow_runs(store: MemoryStore) -> None:
    """Follow the feed of runs for ever."""
    async for _ in store.changes("0"):
        pass


async def ended(task: asyncio.Task[None], ticks: int) -> bool:
    """Cancel the task so many ticks from now, and return whether it ended."""
    for _ in range(ticks):
        await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=2)
    task.cancel()
    return bool(done)


@pytest.mark.parametrize("ticks", range(8))
async def test_a_cancellation_is_not_lost_among_news_of_runs(ticks: int) -> None:
    """However the two meet, the follower ends."""
    store = MemoryStore()
    task = asyncio.create_task(follow_runs(store))
    await asyncio.sleep(0.01)
    await Runs(store, lambda: 1_000.0).start("run-1", GOAL, plan(step("a")))

    assert await ended(task, ticks)
