"""Commands that meet on one run: carried together, each with its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from jobs import commands as c
from jobs.commands import Refusal, Refused
from jobs.events import Event
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.state import Run, Status
from jobs.store import ConflictError
from tests.jobs.plans import ALICE, GOAL, NOW, plan, step

RUN_ID = "run-1"
FAN = plan(
    *(step(f"look-{n}") for n in range(8)),
    step("answer", needs=tuple(f"look-{n}" for n in range(8))),
)


class SlowStore(MemoryStore):
    """Commits when it is let, and counts; the first `conflicts` commits find the run moved."""

    def __init__(self) -> None:
        super().__init__(lambda: NOW)
        self.commits = 0
        self.conflicts = 0
        self.open = asyncio.Event()
        self.open.set()

    async def commit(self, before: Run | None, after: Run, events: Sequence[Event]) -> None:
        """Wait to be let, then commit."""
        await self.open.wait()
        if self.conflicts:
            self.conflicts -= 1
            raise ConflictError(after.id)
        self.commits += 1
        await super().commit(before, after, events)


@pytest.fixture
def store() -> SlowStore:
    """Return a store that counts commits."""
    return SlowStore()


@pytest.fixture
async def runs(store: SlowStore) -> Runs:
    """Return the way to a run whose eight first steps are queued."""
    runs = Runs(store, lambda: NOW)
    await runs.start(RUN_ID, GOAL, FAN)
    store.commits = 0
    return runs


def starts() -> list[c.Command]:
    """Return the commands of workers that take the eight steps."""
    return [c.StartStep(f"look-{n}", 1, f"w{n}") for n in range(8)]


async def test_commands_sent_together_cost_one_commit(runs: Runs, store: SlowStore) -> None:
    """Eight steps that start at the same moment are written to disk once."""
    await asyncio.gather(*(runs.send(RUN_ID, command) for command in starts()))

    assert store.commits == 1
    run = await runs.get(RUN_ID)
    assert [run.steps[f"look-{n}"].worker for n in range(8)] == [f"w{n}" for n in range(8)]


async def test_commands_sent_meanwhile_share_the_next_commit(runs: Runs, store: SlowStore) -> None:
    """What comes while a commit is on its way waits for it, and then goes together."""
    store.open.clear()
    first, *others = starts()
    sending = [asyncio.create_task(runs.send(RUN_ID, first))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sending += [asyncio.create_task(runs.send(RUN_ID, command)) for command in others]
    await asyncio.sleep(0)
    store.open.set()
    await asyncio.gather(*sending)

    assert store.commits == 2


async def test_refused_command_leaves_the_others_alone(runs: Runs, store: SlowStore) -> None:
    """Only who sent a stale command is told so."""
    stale = c.FinishStep("look-0", 7, None)
    good = c.StartStep("look-1", 1, "w1")

    refused, run = await asyncio.gather(
        runs.send(RUN_ID, stale), runs.send(RUN_ID, good), return_exceptions=True
    )

    assert isinstance(refused, Refused)
    assert refused.refusal is Refusal.STALE
    assert isinstance(run, Run)
    assert run.steps["look-1"].status is Status.RUNNING


async def test_later_command_sees_what_an_earlier_one_did(runs: Runs) -> None:
    """In one commit, too, commands are decided one after the other."""
    stopped, refused = await asyncio.gather(
        runs.send(RUN_ID, c.StopRun(ALICE)),
        runs.send(RUN_ID, c.StopRun(ALICE)),
        return_exceptions=True,
    )

    assert isinstance(stopped, Run)
    assert stopped.status is Status.CANCELLED
    assert isinstance(refused, Refused)


async def test_cancelled_sender_takes_nobody_along(runs: Runs, store: SlowStore) -> None:
    """Whoever sent first may go away; the others get their outcome."""
    store.open.clear()
    first, second, *_ = starts()
    leaving = asyncio.create_task(runs.send(RUN_ID, first))
    staying = asyncio.create_task(runs.send(RUN_ID, second))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    store.open.set()

    assert (await staying).steps["look-1"].status is Status.RUNNING
    assert leaving.cancelled()


async def test_conflict_is_decided_again_for_all(runs: Runs, store: SlowStore) -> None:
    """When the run has moved on, everything that waited is decided on what it is now."""
    store.conflicts = 3

    await asyncio.gather(*(runs.send(RUN_ID, command) for command in starts()))

    assert store.commits == 1
    run = await runs.get(RUN_ID)
    assert all(run.steps[f"look-{n}"].status is Status.RUNNING for n in range(8))


async def test_bug_in_one_command_does_not_hit_the_others(runs: Runs) -> None:
    """What fails for a reason nobody foresaw fails for its sender alone."""
    strange: c.Command = object()  # type: ignore[assignment]

    failed, run = await asyncio.gather(
        runs.send(RUN_ID, strange), runs.send(RUN_ID, starts()[0]), return_exceptions=True
    )

    assert isinstance(failed, KeyError)
    assert isinstance(run, Run)
    assert run.steps["look-0"].status is Status.RUNNING
