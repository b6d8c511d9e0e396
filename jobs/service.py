"""`Runs`: carry commands to a run — read, decide, commit, and again when it moved on.

What is sent to one run while a commit of it is on its way is carried by the next commit together:
the eight steps of a fan-out that end at the same moment cost one write to disk, not eight.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agents.domain import Goal, Plan
from jobs.commands import Command, Refused, StartRun
from jobs.events import Event, RunStarted
from jobs.run import apply_all, begin, decide, start
from jobs.state import Run
from jobs.store import ConflictError, Store, StoreUnavailableError

MAX_CONFLICTS = 100
CONFLICT_PAUSE_S = 0.001
CONFLICT_PAUSE_CAP_S = 0.02
REMEMBERED_RUNS = 256


class UnknownRunError(Exception):
    """There is no run of that id."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(f"there is no run {run_id}; list them with: muster runs")


@dataclass(frozen=True, slots=True, eq=False)
class _Sent:
    """A command on its way, and the promise to whoever sent it."""

    command: Command
    outcome: asyncio.Future[Run]


@dataclass(slots=True)
class _Decided:
    """What commands make of a run: one is decided on what those before it led to."""

    before: Run
    after: Run
    happened: list[Event]
    refused: dict[_Sent, Refused]


class Runs:
    """The way to every run. `clock` gives Unix seconds.

    It remembers the runs it saw last, so that most commands need no read: a value that is out
    of date is found out by the commit (or by reading again before a refusal is believed).
    """

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self.store = store
        self.clock = clock
        self._seen: OrderedDict[str, Run] = OrderedDict()
        self._waiting: dict[str, list[_Sent]] = {}
        self._carrying: dict[str, asyncio.Task[None]] = {}

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
        sent = _Sent(command, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(run_id, []).append(sent)
        if run_id not in self._carrying:
            # A task of its own: a sender that is cancelled must not take the others with it.
            self._carrying[run_id] = asyncio.create_task(self._carry(run_id), name=f"run {run_id}")
        return await sent.outcome

    async def _carry(self, run_id: str) -> None:
        """Carry what waits for this run, all of it at a time, until nothing waits."""
        together: list[_Sent] = []
        try:
            while together := self._waiting.pop(run_id, []):
                await self._carry_together(run_id, together)
        finally:
            del self._carrying[run_id]
            for sent in (*together, *self._waiting.pop(run_id, ())):
                sent.outcome.cancel()  # Only when this task was cancelled is anything left.

    async def _carry_together(self, run_id: str, together: Sequence[_Sent]) -> None:
        """Carry out commands in one commit; when that fails for no known reason, in several."""
        try:
            await self._insist(run_id, together)
        except (ConflictError, StoreUnavailableError, UnknownRunError) as error:
            _fail(together, error)
        except Exception as error:
            if len(together) == 1:
                _fail(together, error)
                return
            for sent in together:  # A bug that one command meets must not hit the others.
                await self._carry_together(run_id, [sent])

    async def _insist(self, run_id: str, together: Sequence[_Sent]) -> None:
        """Decide and commit, and again when the run has moved on meanwhile."""
        for tries in range(MAX_CONFLICTS):
            wanted = [sent for sent in together if not sent.outcome.done()]
            if not wanted:
                return
            try:
                await self._try(run_id, wanted)
            except ConflictError:
                self._seen.pop(run_id, None)
                if tries:  # The first time whoever was faster is likely to be done.
                    longest = min(CONFLICT_PAUSE_S * 2.0**tries, CONFLICT_PAUSE_CAP_S)
                    await asyncio.sleep(random.uniform(0, longest))  # noqa: S311 - jitter
                continue
            return
        raise ConflictError(run_id)

    async def _try(self, run_id: str, wanted: Sequence[_Sent]) -> None:
        seen = self._seen.get(run_id)
        decided = self._decide(seen or await self.get(run_id), wanted)
        if decided.refused and seen is not None:
            decided = self._decide(await self.get(run_id), wanted)
        if decided.happened:
            await self.store.commit(decided.before, decided.after, decided.happened)
            self._remember(decided.after)
        for sent in wanted:
            if sent.outcome.done():
                continue
            if sent in decided.refused:
                sent.outcome.set_exception(decided.refused[sent])
            else:
                sent.outcome.set_result(decided.after)

    def _decide(self, run: Run, wanted: Sequence[_Sent]) -> _Decided:
        """Return what the commands lead to, in the order in which they were sent."""
        decided = _Decided(run, run, [], {})
        for sent in wanted:
            try:
                happened = decide(decided.after, sent.command, self.clock())
            except Refused as refusal:
                decided.refused[sent] = refusal
                continue
            decided.happened += happened
            decided.after = apply_all(decided.after, happened)
        return decided

    def _remember(self, run: Run) -> None:
        if run.is_over:
            self._seen.pop(run.id, None)
            return
        self._seen[run.id] = run
        self._seen.move_to_end(run.id)
        while len(self._seen) > REMEMBERED_RUNS:
            self._seen.popitem(last=False)


def _fail(together: Sequence[_Sent], error: Exception) -> None:
    """Tell everybody who still waits."""
    for sent in together:
        if not sent.outcome.done():
            sent.outcome.set_exception(error)
