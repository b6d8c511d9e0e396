"""What is mended when processes die, and what is forgotten in time."""

from __future__ import annotations

import asyncio

import pytest

from jobs import commands as c
from jobs import keeper as keeper_module
from jobs.commands import TimerKind
from jobs.keeper import FORGET_BATCH, FORGET_S, Keeper
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.state import Status
from jobs.store import DueTimer, Lease, StoreUnavailableError
from tests.jobs.plans import ALICE, GOAL, NOW, plan, step
from tests.jobs.world import Clock, until

PLAN = plan(step("a"))


@pytest.fixture
def store() -> MemoryStore:
    """Return an empty store whose clock the test moves."""
    return MemoryStore(Clock())


@pytest.fixture
def runs(store: MemoryStore) -> Runs:
    """Return the way to the runs."""
    return Runs(store, store.clock)


def pass_time(store: MemoryStore, seconds: float) -> None:
    """Move the clock."""
    assert isinstance(store.clock, Clock)
    store.clock.now += seconds


async def test_step_of_a_dead_worker_goes_to_another(store: MemoryStore, runs: Runs) -> None:
    """A lease that ran out gives the step its next attempt."""
    await runs.start("r", GOAL, PLAN)
    await runs.send("r", c.StartStep("a", 1, "w1"))
    store.queue.clear()
    pass_time(store, 16)

    await Keeper(runs, store.clock).tick()

    assert [ticket.attempt for ticket in store.queue] == [2]
    assert store.leases == {}


async def test_lease_of_a_step_that_moved_on_is_dropped(store: MemoryStore, runs: Runs) -> None:
    """A lease that stands for nothing does not come up again at every look."""
    await runs.start("r", GOAL, PLAN)
    store.leases[Lease("r", "a", 7, "w1")] = 0
    store.leases[Lease("gone", "a", 1, "w1")] = 0

    await Keeper(runs, store.clock).tick()

    assert store.leases == {}
    assert (await runs.get("r")).steps["a"].losses == 0


async def test_due_timer_fires(store: MemoryStore, runs: Runs) -> None:
    """A run that takes longer than it may is ended, and its timer is gone."""
    await runs.start("r", GOAL, PLAN)
    pass_time(store, PLAN.max_wall_s + 1)

    await Keeper(runs, store.clock).tick()

    assert (await runs.get("r")).status is Status.CANCELLED
    assert await store.due_timers(float("inf")) == []


async def test_timer_without_a_cause_is_dropped(store: MemoryStore, runs: Runs) -> None:
    """A timer of a run that is not there, or of nothing in it, is removed."""
    await runs.start("r", GOAL, PLAN)
    for run_id in ("r", "gone"):
        timer = DueTimer(run_id, TimerKind.RETRY, "a", NOW - 1)
        store._timers[(run_id, TimerKind.RETRY, "a")] = timer

    await Keeper(runs, store.clock).tick()

    assert await store.due_timers(NOW) == []


async def test_lost_tickets_come_back_now_and_then(store: MemoryStore, runs: Runs) -> None:
    """The queue is compared with the runs at the first look and every ten seconds."""
    await runs.start("r", GOAL, PLAN)
    keeper = Keeper(runs, store.clock)
    for seconds, restored in ((0, 1), (1, 0), (10, 1)):
        store.lose_queue()
        pass_time(store, seconds)
        await keeper.tick()
        assert len(store.queue) == restored


async def test_run_that_cannot_be_read_does_not_hold_up_others(
    store: MemoryStore, runs: Runs
) -> None:
    """A stored value that nobody understands is reported; the next run is tended."""
    for run_id in ("bad", "good"):
        await runs.start(run_id, GOAL, PLAN)
        await runs.send(run_id, c.StartStep("a", 1, "w1"))
    store._runs["bad"] = b"{}"
    pass_time(store, 16)
    store.requeue_lost_tickets = _nothing  # type: ignore[method-assign]

    await Keeper(Runs(store, store.clock), store.clock).tick()

    assert (await runs.get("good")).steps["a"].attempt == 2


async def _nothing() -> int:
    return 0


async def test_keeping_goes_on_after_faults(
    store: MemoryStore, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an absent store nor a bug ends the loop that mends everything."""
    monkeypatch.setattr(keeper_module, "TICK_S", 0)
    faults: list[Exception] = [StoreUnavailableError("away"), RuntimeError("a bug")]
    looked: list[bool] = []

    async def look(limit: int = 100) -> list[Lease]:
        if faults:
            raise faults.pop()
        looked.append(True)
        return []

    monkeypatch.setattr(store, "expired_leases", look)
    task = asyncio.create_task(Keeper(runs, store.clock).keep())

    await until(lambda: bool(looked))
    task.cancel()


async def test_two_keepers_do_no_harm(store: MemoryStore, runs: Runs) -> None:
    """Each process runs one; a lost step is lost once."""
    await runs.start("r", GOAL, PLAN)
    await runs.send("r", c.StartStep("a", 1, "w1"))
    pass_time(store, 16)

    keepers = [Keeper(Runs(store, store.clock), store.clock) for _ in range(3)]
    await asyncio.gather(*(keeper.tick() for keeper in keepers))

    assert (await runs.get("r")).steps["a"].losses == 1


async def test_ended_runs_are_forgotten_in_batches(store: MemoryStore, runs: Runs) -> None:
    """What ended long ago goes, a bounded number at a time; then the next look is in an hour."""
    for number in range(FORGET_BATCH + 1):
        await runs.start(f"r{number}", GOAL, PLAN)
        await runs.send(f"r{number}", c.StopRun(ALICE))
    keeper = Keeper(runs, store.clock, keep_s=1_000)
    await keeper.tick()
    assert len(await store.run_ids(1_000)) == FORGET_BATCH + 1

    pass_time(store, FORGET_S)
    await keeper.tick()
    assert len(await store.run_ids(1_000)) == 1
    await keeper.tick()
    assert await store.run_ids(1_000) == []


async def test_runs_are_kept_for_ever_unless_told(store: MemoryStore, runs: Runs) -> None:
    """Without a number of days nothing is forgotten."""
    await runs.start("r", GOAL, PLAN)
    await runs.send("r", c.StopRun(ALICE))
    pass_time(store, 1e9)

    await Keeper(runs, store.clock).tick()

    assert await store.run_ids() == ["r"]
