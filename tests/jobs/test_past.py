"""Past runs are read from the store, each once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.domain import Origin, ThreadRef
from jobs import commands as c
from jobs.memory_store import MemoryStore
from jobs.past import StoredRuns
from jobs.state import Run
from tests.jobs.plans import ALICE, GOAL
from tests.jobs.world import RUN_ID, Clock, World, plan, tool_step

ASKING = "run-2"
PLAN = plan(tool_step("a"))


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
    await world.runs().start(RUN_ID, GOAL, PLAN)
    await world.runs().start(ASKING, GOAL, PLAN)
    assert await runs.past(ASKING) == []
    await world.drive()

    (past,) = await runs.past(ASKING)
    before = store.loads
    assert await runs.past(ASKING) == [past]

    assert (past.run_id, past.goal, past.headline) == (RUN_ID, GOAL.text, "done")
    assert store.loads == before + 1, "only who asks is read again"


@pytest.mark.parametrize(
    ("origin", "thread", "is_recalled"),
    [
        (Origin.MESSAGE, replace(GOAL.thread, id="t-2"), True),
        (Origin.MESSAGE, replace(GOAL.thread, channel="secret"), False),
        (Origin.FORM, replace(GOAL.thread, channel="secret"), False),
        (Origin.MESSAGE, replace(GOAL.thread, platform="slack"), False),
        (Origin.ALERT, replace(GOAL.thread, channel="alerts"), True),
    ],
)
async def test_only_what_its_readers_could_read_is_recalled(
    origin: Origin, thread: ThreadRef, is_recalled: bool
) -> None:
    """Runs of the same channel and those of alerts; what was said elsewhere stays there."""
    world = World()
    await world.runs().start(RUN_ID, replace(GOAL, origin=origin, thread=thread), PLAN)
    await world.drive()
    await world.runs().start(ASKING, GOAL, PLAN)

    found = await StoredRuns(world.store).past(ASKING)

    assert [past.run_id for past in found] == [RUN_ID] * is_recalled


async def test_a_run_does_not_recall_itself() -> None:
    """Nor does anybody recall for a run that is not there."""
    world = World()
    await world.start(PLAN)

    assert await StoredRuns(world.store).past(RUN_ID) == []
    assert await StoredRuns(world.store).past("run-gone") == []


async def test_stopped_run_teaches_nothing() -> None:
    """Its answer is only that it was stopped."""
    world = World()
    await world.runs().start(RUN_ID, GOAL, PLAN)

    await world.send(c.StopRun(ALICE))

    await world.runs().start(ASKING, GOAL, PLAN)
    assert await StoredRuns(world.store).past(ASKING) == []


async def test_evidence_is_looked_up_in_its_run() -> None:
    """A fact needs a source that is there."""
    world = World()
    await world.start(PLAN)
    runs = StoredRuns(world.store)

    assert await runs.has_evidence(RUN_ID, "ev-a-call")
    assert not await runs.has_evidence(RUN_ID, "ev-b-call")
    assert not await runs.has_evidence("run-2", "ev-a-call")
