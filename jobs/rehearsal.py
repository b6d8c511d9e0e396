"""Drives a run to its end in this process: one worker, a keeper, and people who follow a script.

For evaluations and tests: the store is in memory, everything else is what production runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from agents.domain import Evidence, JsonObject
from jobs.commands import AnswerQuestion, Command, Decide, EditCall, Refused
from jobs.executor import Executor
from jobs.keeper import TICK_S, Keeper
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.state import Approval, ApprovalStatus, Person, Question, Run
from jobs.store import StoredEvent
from jobs.worker import StopSignal

SLOTS = 32
LIMIT_S = 300.0
NO_ANSWER = "Nobody knows; go on with what you have."
DEFAULT_ANSWERS: Mapping[str, str] = {"plan": "start", "budget": "stop", "review": "reject"}
"""What people say, by the kind of the question, when the script has no answer to it."""


class ScriptError(Exception):
    """What the script makes a person do is refused; the message says why."""


class People(Protocol):
    """Whoever approves and answers during a rehearsal."""

    def act(self, run: Run) -> Sequence[Command]:
        """Return what people do about the run as it is now; asked again after each change."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What people decide about calls of a tool (`*` pattern); `args` are edited in first."""

    tool: str
    is_approval: bool
    args: JsonObject | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What people answer to a question that contains the words, whatever their case."""

    contains: str
    text: str


@dataclass(frozen=True, slots=True)
class ScriptedPeople:
    """People who do as the first entry that fits says, as many of them as it takes.

    They are whoever the approval or the question names; what no entry fits is denied, or answered
    as `DEFAULT_ANSWERS` says.
    """

    decisions: tuple[Decision, ...] = ()
    replies: tuple[Reply, ...] = ()

    def act(self, run: Run) -> Sequence[Command]:
        """See `People.act`."""
        pending = [a for a in run.approvals.values() if a.status is ApprovalStatus.PENDING]
        return [
            *(self._decide(approval) for approval in pending),
            *(self._answer(question) for question in run.questions.values() if question.is_open),
        ]

    def _decide(self, approval: Approval) -> Command:
        """Edit first if the script says so, then vote: one person after the other."""
        decision = self._decision(approval)
        terms = approval.terms
        edited = decision.args
        if edited is not None and approval.revision == 1 and approval.calls:
            editor = _person(terms.users, terms.groups, terms.quorum)
            call = approval.calls[0]
            args = {**call.args, **edited}
            return EditCall(approval.id, editor, approval.revision, call.key, args)
        return Decide(
            approval_id=approval.id,
            person=_person(terms.users, terms.groups, len(approval.votes)),
            is_approval=decision.is_approval,
            revision=approval.revision,
            digest=approval.digest,
            comment=decision.comment,
        )

    def _decision(self, approval: Approval) -> Decision:
        tools = [call.tool for call in approval.calls] or [""]
        return next(
            (one for one in self.decisions if all(fnmatchcase(tool, one.tool) for tool in tools)),
            Decision("*", is_approval=False, comment="The script does not approve it."),
        )

    def _answer(self, question: Question) -> Command:
        users, groups = question.answerers
        return AnswerQuestion(question.id, _person(users, groups, 0), self._reply(question))

    def _reply(self, question: Question) -> str:
        said = question.text.casefold()
        for reply in self.replies:
            if reply.contains.casefold() in said:
                return reply.text
        usual = DEFAULT_ANSWERS.get(question.kind, "")
        if usual in question.options:
            return usual
        return question.options[-1] if question.options else NO_ANSWER


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """How a run went; it was cut off when its time was up before it ended."""

    run: Run
    events: tuple[StoredEvent, ...]
    evidence: Mapping[str, Evidence]
    duration_s: float

    @property
    def is_cut_off(self) -> bool:
        """Whether the run had not ended when its time was up."""
        return not self.run.is_over


async def rehearse(
    store: MemoryStore,
    runs: Runs,
    executor: Executor,
    run_id: str,
    people: People | None = None,
    *,
    slots: int = SLOTS,
    limit_s: float = LIMIT_S,
    at_rest: Callable[[], None] | None = None,
) -> Rehearsal:
    """Work on a started run, and on whatever else the store has, until it ends.

    `at_rest` is called when nothing can happen before time has passed: give it with a clock that
    does not move by itself, and move it there. Raises ScriptError when what people do is refused.
    """
    stage = _Stage(store, runs, executor, people or ScriptedPeople(), slots, at_rest)
    loop = asyncio.get_running_loop()
    began = loop.time()
    limit = asyncio.timeout(limit_s)
    try:
        async with limit:
            await stage.play(run_id)
    except TimeoutError:
        if not limit.expired():
            raise
    return Rehearsal(
        run=await runs.get(run_id),
        events=tuple(await store.events(run_id)),
        evidence=await store.evidence(run_id),
        duration_s=loop.time() - began,
    )


class _Stage:
    """Everybody who takes part in one rehearsal."""

    def __init__(
        self,
        store: MemoryStore,
        runs: Runs,
        executor: Executor,
        people: People,
        slots: int,
        at_rest: Callable[[], None] | None,
    ) -> None:
        self._store = store
        self._runs = runs
        self._executor = executor
        self._people = people
        self._slots = slots
        self._at_rest = at_rest
        self._keeper = Keeper(runs, runs.clock)
        self._news = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._crash: BaseException | None = None

    async def play(self, run_id: str) -> None:
        """Let everybody do what there is to do until the run ends."""
        chores = [
            asyncio.create_task(self._executor.keep_leases()),
            asyncio.create_task(self._follow()),
        ]
        try:
            while not await self._turn(run_id):
                pass
        finally:
            everything = [*chores, *self._working]
            for task in everything:
                task.cancel()
            await asyncio.gather(*everything, return_exceptions=True)

    async def _turn(self, run_id: str) -> bool:
        """Do all that can be done now, then wait for news; True when the run is over."""
        self._news.clear()
        if self._crash is not None:
            raise self._crash
        run = await self._runs.get(run_id)
        if run.is_over:
            return True
        await self._keeper.tick()  # First: a ticket that is taken and not yet begun seems lost.
        self._take_tickets()
        has_acted = await self._carry_out(run, self._people.act(run))
        if self._at_rest is not None and not (
            self._working or has_acted or self._store.queue or self._news.is_set()
        ):
            self._at_rest()
            return False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_S):
                await self._news.wait()
        return False

    def _take_tickets(self) -> None:
        while self._store.queue and len(self._working) < self._slots:
            ticket = self._store.queue.pop(0)
            task = asyncio.create_task(self._executor.run_ticket(ticket, StopSignal()))
            self._working.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        if not task.cancelled():
            self._crash = task.exception() or self._crash
        self._news.set()

    async def _carry_out(self, run: Run, commands: Iterable[Command]) -> bool:
        has_acted = False
        for command in commands:
            try:
                await self._runs.send(run.id, command)
            except Refused as refusal:
                now = await self._runs.get(run.id)
                if now.version == run.version:  # Else it came too late: they look again.
                    raise ScriptError(f"a scripted decision was refused: {refusal}") from refusal
            has_acted = True
        return has_acted

    async def _follow(self) -> None:
        """Wake up whoever waits whenever a run has moved."""
        async for changes in self._store.changes("0"):
            if changes:
                self._news.set()


def _person(users: Sequence[str], groups: Sequence[str], index: int) -> Person:
    """Return the person of that number who may decide: one of those named, else of the groups."""
    name = f"Scripted person {index + 1}"
    if index < len(users):
        return Person(users[index], name)
    return Person(f"script:{index + 1}", name, frozenset(groups))
