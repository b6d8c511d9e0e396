"""How commands reach a run when others change it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from jobs import commands as c
from jobs import service
from jobs.events import Event
from jobs.memory_store import MemoryStore
from jobs.service import Runs, UnknownRunError
from jobs.state import Run, Status
from jobs.store import ConflictError, StoreUnavailableError
from tests.jobs.plans import ALICE, GOAL, NOW, plan, step
from tests.jobs.world import Clock

PLAN = plan(step("a"), step("b"), step("c"))


class Counting(MemoryStore):
    """A store that counts, and that may conflict a number of times first."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.commits = 0
        self.loads = 0
        self.conflicts = 0

    async def commit(self, before: Run | None, after: Run, events: Sequence[Event]) -> None:
        """Commit, or conflict."""
        await asyncio.sleep(0)
        if self.conflicts:
            self.conflicts -= 1
            raise ConflictError(after.id)
        self.commits += 1
        await super().commit(before, after, events)

    async def load(self, run_id: str) -> Run | None:
        """Load, and count it."""
        self.loads += 1
        return await super().load(run_id)


@pytest.fixture
def store() -> Counting:
    """Return an empty store."""
    return Counting()


def runs_of(store: Counting) -> Runs:
    """Return what a process of its own would use."""
    return Runs(store, lambda: NOW)


async def test_conflict_is_decided_again(store: Counting) -> None:
    """A run that moved on is read again, and the command is decided on what it is now."""
    runs = runs_of(store)
    await runs.start("r", GOAL, PLAN)
    await runs_of(store).send("r", c.StartStep("b", 1, "w2"))

    run = await runs.send("r", c.StartStep("a", 1, "w1"))

    assert (run.steps["a"].worker, run.steps["b"].worker) == ("w1", "w2")


async def test_run_that_keeps_moving_is_given_up(
    store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After many conflicts the sender hears of it instead of waiting for ever."""
    monkeypatch.setattr(service, "CONFLICT_PAUSE_S", 0)
    runs = runs_of(store)
    await runs.start("r", GOAL, PLAN)
    store.conflicts = 1_000

    with pytest.raises(ConflictError):
        await runs.send("r", c.StartStep("a", 1, "w1"))

    assert store.conflicts == 1_000 - service.MAX_CONFLICTS


async def test_refusal_is_believed_only_after_a_fresh_look(store: Counting) -> None:
    """What is remembered may be out of date: before a no, the run is read again."""
    runs = runs_of(store)
    await runs.start("r", GOAL, PLAN)
    other = runs_of(store)
    await other.send("r", c.StartStep("a", 1, "w1"))
    await other.send("r", c.LoseStep("a", 1))

    run = await runs.send("r", c.StartStep("a", 2, "w2"))

    assert run.steps["a"].worker == "w2"
    with pytest.raises(c.Refused):
        await runs.send("r", c.StartStep("a", 1, "w3"))


async def test_remembered_run_needs_no_read(store: Counting) -> None:
    """Most commands are one write."""
    runs = runs_of(store)
    await runs.start("r", GOAL, PLAN)

    await runs.send("r", c.StartStep("a", 1, "w1"))
    await runs.send("r", c.FinishStep("a", 1, None))

    assert (store.loads, store.commits) == (0, 3)


async def test_start_is_idempotent(store: Counting) -> None:
    """The same id again gives the run that is there, as it is."""
    runs = runs_of(store)
    await runs.start("r", GOAL, PLAN)
    await runs.send("r", c.StartStep("a", 1, "w1"))

    again = await runs_of(store).start("r", GOAL, plan(step("other")))

    assert again.steps["a"].status is Status.RUNNING
    assert len(store.queue) == 3


async def test_command_sent_twice_changes_nothing_more(store: Counting) -> None:
    """A re-sent command is answered with the run and commits nothing."""
    runs = runs_of(store)
    await runs.start("r", GOAL, PLAN)
    first = await runs.send("r", c.StartStep("a", 1, "w1"))

    assert await runs.send("r", c.StartStep("a", 1, "w1")) == first
    assert store.commits == 2


async def test_commands_sent_together_have_their_own_outcomes(store: Counting) -> None:
    """One refused command does not take the others with it."""
    runs = runs_of(store)
    await runs.start("r", GOAL, PLAN)

    outcomes = await asyncio.gather(
        runs.send("r", c.StartStep("a", 1, "w1")),
        runs.send("r", c.StartStep("b", 9, "w1")),
        runs.send("r", c.StartStep("c", 1, "w1")),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [Run, c.Refused, Run]
    run = await runs.get("r")
    assert [run.steps[key].status.value for key in "abc"] == ["running", "queued", "running"]


async def test_cancelled_sender_does_not_take_others_with_it(store: Counting) -> None:
    """Whoever gives up waiting leaves the commands of the others on their way."""
    runs = runs_of(store)
    await runs.start("r", GOAL, PLAN)
    tasks = [
        asyncio.create_task(runs.send("r", c.StartStep(key, 1, "w1"))) for key in ("a", "b", "c")
    ]
    await asyncio.sleep(0)
    tasks[0].cancel()

    done = await asyncio.gather(*tasks, return_exceptions=True)

    assert isinstance(done[0], asyncio.CancelledError)
    assert (await runs.get("r")).steps["c"].status is Status.RUNNING


async def test_absent_store_is_told_to_every_sender(
    store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sender hears that the store is away, and may send again."""
    runs = runs_of(store)
    await runs.start("r", GOAL, PLAN)

    async def away(*_: object) -> None:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patched:
        patched.setattr(store, "commit", away)
        outcomes = await asyncio.gather(
            *(runs.send("r", c.StartStep(key, 1, "w1")) for key in "ab"), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailableError] * 2

    assert (await runs.send("r", c.StartStep("a", 1, "w1"))).steps["a"].worker == "w1"


async def test_unknown_run_is_said_with_what_to_do(store: Counting) -> None:
    """A wrong id is answered with how to find the right one."""
    with pytest.raises(UnknownRunError, match="muster runs"):
        await runs_of(store).send("gone", c.StopRun(ALICE))


async def test_memory_of_runs_is_bounded(store: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that sees many runs keeps the latest, and none that is over."""
    monkeypatch.setattr(service, "REMEMBERED_RUNS", 2)
    runs = runs_of(store)
    for name in ("r1", "r2", "r3"):
        await runs.start(name, GOAL, PLAN)
    assert list(runs._seen) == ["r2", "r3"]

    await runs.send("r3", c.StopRun(ALICE))

    assert list(runs._seen) == ["r2"]
