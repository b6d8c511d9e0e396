"""Past runs are read from the store, each once."""

from __future__ import annotations

from jobs import commands as c
from jobs.memory_store import MemoryStore
from jobs.past import StoredRuns
from jobs.state import Run
from tests.jobs.plans import ALICE, GOAL
from tests.jobs.world import RUN_ID, Clock, World, plan, tool_step


class CountingStore(MemoryStore):
    """A store that counts how often runs are read."""

    loads = 0

    async def load(self, run_id: str) -> Run | None:
        """See `MemoryStore.load`."""
        self.loads += 1
        return await MemoryStore.load(self, run_id)


async def test_run_is_remembered_once_it_has_ended() -> None:
    """With its goal and its answer; and it is read once, because it changes no more."""
    store = CountingStore(Clock())
    world = World(store=store)
    runs = StoredRuns(store)
    await world.runs().start(RUN_ID, GOAL, plan(tool_step("a")))
    assert await runs.past() == []
    await world.drive()

    (past,) = await runs.past()
    before = store.loads
    assert await runs.past() == [past]

    assert (past.run_id, past.goal, past.headline) == (RUN_ID, GOAL.text, "done")
    assert store.loads == before


async def test_stopped_run_teaches_nothing() -> None:
    """Its answer is only that it was stopped."""
    world = World()
    await world.runs().start(RUN_ID, GOAL, plan(tool_step("a")))

    await world.send(c.StopRun(ALICE))

    assert await StoredRuns(world.store).past() == []


async def test_evidence_is_looked_up_in_its_run() -> None:
    """A fact needs a source that is there."""
    world = World()
    await world.start(plan(tool_step("a")))
    runs = StoredRuns(world.store)

    assert await runs.has_evidence(RUN_ID, "ev-a-call")
    assert not await runs.has_evidence(RUN_ID, "ev-b-call")
    assert not await runs.has_evidence("run-2", "ev-a-call")
