"""`Runs`: carry a command to a run — read, decide, commit, and again when it moved on."""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakValueDictionary

from agents.domain import Goal, Plan
from jobs.commands import Command, Refused, StartRun
from jobs.events import RunStarted
from jobs.run import apply_all, begin, decide, start
from jobs.state import Run
from jobs.store import ConflictError, Store

MAX_CONFLICTS = 100
CONFLICT_PAUSE_S = 0.02
REMEMBERED_RUNS = 256


class UnknownRunError(Exception):
    """There is no run of that id."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"there is no run {run_id}; list them with: muster runs")


class Runs:
    """The way to every run. `clock` gives Unix seconds.

    It remembers the runs it saw last, so that most commands need no read: a value that is out
    of date is found out by the commit (or by reading again before a refusal is believed).
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store = store
        self.clock = clock
        self._seen: OrderedDict[str, Run] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, run_id: str, goal: Goal, plan: Plan) -> Run:
        """Start the run, or return the one that was already started under this id."""
        happened = start(run_id, StartRun(goal, plan), self.clock())
        first = happened[0]
        assert isinstance(first, RunStarted)  # noqa: S101 - narrows the type for mypy
        run = apply_all(begin(run_id, first), happened[1:])
        try:
            await self.store.commit(None, run, happened)
        except ConflictError:
            return await self.get(run_id)
        self._remember(run)
        return run

    async def get(self, run_id: str) -> Run:
        """Return the run as it is now; UnknownRunError when there is none."""
        run = await self.store.load(run_id)
        if run is None:
            raise UnknownRunError(run_id)
        self._remember(run)
        return run

    async def send(self, run_id: str, command: Command) -> Run:
        """Carry out a command and return the run after it.

        Raises Refused when it does not apply, UnknownRunError, ConflictError when the run keeps
        moving (after a hundred tries), StoreUnavailableError.
        """
        lock = self._locks.setdefault(run_id, asyncio.Lock())
        async with lock:
            for _ in range(MAX_CONFLICTS):
                try:
                    return await self._try(run_id, command)
                except ConflictError:
                    self._seen.pop(run_id, None)
                    await asyncio.sleep(random.uniform(0, CONFLICT_PAUSE_S))  # noqa: S311 - jitter
            raise ConflictError(run_id)

    async def _try(self, run_id: str, command: Command) -> Run:
        seen = self._seen.get(run_id)
        run = seen or await self.get(run_id)
        now = self.clock()
        try:
            happened = decide(run, command, now)
        except Refused:
            if seen is None:
                raise
            run = await self.get(run_id)
            happened = decide(run, command, now)
        if not happened:
            return run
        after = apply_all(run, happened)
        await self.store.commit(run, after, happened)
        self._remember(after)
        return after

    def _remember(self, run: Run) -> None:
        self._seen[run.id] = run
        self._seen.move_to_end(run.id)
        while len(self._seen) > REMEMBERED_RUNS:
            self._seen.popitem(last=False)
