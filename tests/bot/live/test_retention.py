"""Old conversations go, those that are still going on stay."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import pytest

from agents.domain import ThreadRef
from bot.live import retention as module
from bot.live.outbox import MemoryOutboxStore, Post
from bot.live.retention import BATCH, Retention
from bot.platforms.console.memory_store import MemoryConsoleStore
from bot.views import NoteView
from jobs import commands as c
from jobs.incident_store import MemoryIncidentStore
from jobs.incidents import with_thread
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.store import StoreUnavailableError
from tests.bot.waiting import wait_for
from tests.jobs.alerts import arrivals, firing, resolved
from tests.jobs.plans import ALICE, GOAL, plan, step

NOW = 1_000.0
KEEP_S = 100.0
LATER = NOW + KEEP_S + 50.0


@dataclass
class World:
    """A retention with all that it looks at, in memory."""

    now: float = NOW
    store: MemoryStore = field(default_factory=lambda: MemoryStore(lambda: NOW))
    incidents: MemoryIncidentStore = field(default_factory=MemoryIncidentStore)
    console: MemoryConsoleStore = field(default_factory=MemoryConsoleStore)
    posts: MemoryOutboxStore = field(default_factory=MemoryOutboxStore)

    @property
    def runs(self) -> Runs:
        """Return the runs in the store."""
        return Runs(self.store, lambda: self.now)

    @property
    def retention(self) -> Retention:
        """Return what is tested."""
        return Retention(
            store=self.store,
            incidents=self.incidents,
            console=self.console,
            posts=self.posts,
            keep_s=KEEP_S,
            clock=lambda: self.now,
        )

    async def thread(self, key: str) -> ThreadRef:
        """Open a thread now."""
        thread = await self.console.open_thread("incidents", key, key, self.now)
        return ThreadRef("console", "incidents", thread.id)

    async def titles(self) -> set[str]:
        """Return the threads that are left."""
        return {thread.title for thread in await self.console.threads("incidents")}


@pytest.fixture
def world() -> World:
    """Return an empty world."""
    return World()


async def test_silent_threads_go_after_their_time(world: World) -> None:
    """A thread goes when nothing happened in it for so long, not before."""
    await world.thread("old")
    world.now = NOW + KEEP_S
    await world.thread("young")

    await world.retention.forget()
    assert await world.titles() == {"old", "young"}
    world.now = LATER
    await world.retention.forget()

    assert await world.titles() == {"young"}


async def test_thread_of_a_run_that_goes_on_stays(world: World) -> None:
    """It goes with the next batch once the run is over."""
    goal = replace(GOAL, thread=await world.thread("run"))
    await world.runs.start("run-1", goal, plan(step("a")))
    world.now = LATER

    await world.retention.forget()
    assert await world.titles() == {"run"}
    await world.runs.send("run-1", c.StopRun(ALICE))
    await world.retention.forget()

    assert await world.titles() == set()


async def test_thread_of_an_open_incident_stays(world: World) -> None:
    """It goes with the next batch once the incident is resolved."""
    (outcome,) = await world.incidents.accept(arrivals(firing(starts_at=NOW)), NOW)
    incident = await world.incidents.get(outcome.incident_id)
    assert incident is not None
    thread = await world.thread("incident")
    await world.incidents.update(incident, with_thread(incident, thread))
    world.now = LATER

    await world.retention.forget()
    assert await world.titles() == {"incident"}
    await world.incidents.accept(arrivals(resolved(starts_at=NOW)), LATER)
    await world.retention.forget()

    assert await world.titles() == set()


async def test_posts_that_nobody_took_go_too(world: World) -> None:
    """What was laid aside is kept as long as threads are."""
    for key, queued_at in (("old", NOW), ("young", LATER)):
        thread = ThreadRef("console", "incidents", "t1")
        await world.posts.lay_aside(Post(key, thread, NoteView("x"), queued_at))
    world.now = LATER

    await world.retention.forget()

    assert [post.key for post in await world.posts.laid_aside()] == ["young"]


async def test_batches_are_bounded(world: World) -> None:
    """A batch says whether more may be left."""
    for n in range(BATCH + 1):
        await world.thread(f"thread {n}")
    world.now = LATER

    assert await world.retention.forget()
    assert len(await world.titles()) == 1
    assert not await world.retention.forget()


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), RuntimeError("a bug")])
async def test_failure_ends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever goes wrong, it is tried again later."""
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    monkeypatch.setattr(module, "FORGET_S", 0.0)
    await world.thread("old")
    world.now = LATER
    forget, failures = world.console.forget_threads, [error]

    async def forget_at_second_try(before: float, limit: int, keep: Collection[str] = ()) -> int:
        if failures:
            raise failures.pop()
        return await forget(before, limit, keep)

    monkeypatch.setattr(world.console, "forget_threads", forget_at_second_try)
    keeping = asyncio.create_task(world.retention.keep())
    await wait_for(lambda: not world.console._threads)
    keeping.cancel()
