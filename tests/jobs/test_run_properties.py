"""The state machine under random plans, interleavings, crashes, duplicates, decisions and stops.

A small world of workers, people and a broker drives the in-memory store. Whatever happens in
whatever order: no step is lost, no write acts twice, nothing starts before its needs, no plan
rewrites what has begun, and a run that has not ended waits for something that has a name.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from agents.domain import Moment, Plan, Step
from config.specs import Retries
from jobs import commands as c
from jobs import planning
from jobs.broker import Ticket
from jobs.commands import Refused
from jobs.keeper import Keeper
from jobs.memory_store import MemoryStore
from jobs.run import replay
from jobs.service import Runs
from jobs.state import (
    TERMINAL,
    Approval,
    ApprovalStatus,
    CallStatus,
    ProposedCall,
    Question,
    Run,
    Status,
    Terms,
)
from jobs.store import Lease
from tests.jobs.plans import ALICE, BOB, GOAL, STRANGER

KINDS = ("read", "read", "write", "asked_write", "unsafe_write", "plan", "plan")
LISTS = ("", "", "", "[1, 2]", "[]")
MAX_MOVES = 400
MAX_PLANNED = 30
"""Steps of one run after which its supervisors plan no others."""
RUN_ID = "run-1"


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw an acyclic plan of up to eight steps, some of which write, fan out or may retry."""
    steps: list[Step] = []
    for n in range(draw(st.integers(1, 7))):
        earlier = [s.id for s in steps]
        needs = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
        after = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if earlier else []
        kind = draw(st.sampled_from(KINDS))
        steps.append(
            Step(
                id=f"s{n}",
                title=f"S{n}",
                tool=f"test.{kind}",
                needs=tuple(needs),
                after=tuple(set(after) - set(needs)),
                when=draw(st.sampled_from(["", "", "1 == 1", "1 == 2", "1 / 0"])),
                for_each="" if kind == "plan" else draw(st.sampled_from(LISTS)),
                retries=Retries(times=draw(st.integers(0, 2))),
                aside=draw(st.booleans()),
            )
        )
    after_all = tuple(step.id for step in steps if not step.aside)
    answer = Step(id="answer", title="Answer", tool="test.read", after=after_all)
    return Plan(workflow="random", steps=(*steps, answer), answer="answer", max_wall_s=100_000)


class World:
    """Workers that may die at any point, a broker that repeats itself, and people who click."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.now = 1_000.0
        self.dice = random.Random(seed)
        self.is_calm = False
        self.plan = plan
        self.store = MemoryStore(lambda: self.now)
        self.runs = Runs(self.store, lambda: self.now)
        self.keeper = Keeper(Runs(self.store, lambda: self.now), lambda: self.now)
        self.working: list[tuple[Lease, str]] = []
        self.effects: Counter[str] = Counter()
        self.allowed_repeats: Counter[str] = Counter()
        self.names = 0
        self.last_words: c.Command | None = None

    async def run(self) -> Run:
        """Return the run as stored."""
        run = await self.store.load(RUN_ID)
        assert run is not None
        return run

    async def send(self, command: c.Command) -> Run | None:
        """Send a command as some process would; None when it is refused.

        What a worker says counts only while its attempt owns the step.
        """
        before = await self.run()
        if isinstance(command, _OF_WORKERS):
            self.last_words = command
        try:
            after = await self.runs.send(RUN_ID, command)
        except Refused:
            return None
        for step_id, state in before.steps.items():
            assert state.status not in TERMINAL or after.steps[step_id] == state, "it rose again"
            has_begun = state.status is not Status.PENDING or state.attempt
            assert not has_begun or after.step(step_id) == before.step(step_id), "rewritten"
        for step_id, state in after.steps.items():
            if planning.plan_has_ended(after, step_id) and state.status not in TERMINAL:
                assert state.status is Status.RUNNING, "it works for a plan that has ended"
                assert after.open_writes(step_id) or after.stopped_by
        if isinstance(command, _OF_WORKERS) and after.version > before.version:
            state = before.steps[command.step_id]
            assert (state.attempt, state.status) == (command.attempt, Status.RUNNING)
        return after

    async def take(self, ticket: Ticket) -> None:
        """Let a worker take a ticket, checking that its needs were met."""
        self.names += 1
        worker = f"w{self.names}"
        run = await self.send(c.StartStep(ticket.step_id, ticket.attempt, worker))
        if run is None:
            return
        step = run.step(ticket.step_id)
        if step.parent == run.scope(step):
            assert all(run.steps[need].status is Status.SUCCEEDED for need in step.needs)
            assert all(run.steps[other].status in TERMINAL for other in step.after)
        self.working.append((Lease(RUN_ID, ticket.step_id, ticket.attempt, worker), "started"))

    async def work(self, index: int, luck: int) -> None:
        """Let one worker do its next move: fail, ask, intend, act, record or finish."""
        lease, phase = self.working.pop(index % len(self.working))
        run = await self.run()
        kind = run.step(lease.step_id).tool.removeprefix("test.")
        if kind == "plan":
            await self._supervise(run, lease, luck)
            return
        if kind == "read" or luck == 0:
            is_bad_day = bool(lease.step_id.count(".")) and self.dice.random() < 1 / 4
            await self._end(lease, fails=luck in (0, 1) or is_bad_day)
            return
        key = f"{lease.step_id}/call"
        call = run.calls.get(key)
        if phase == "intended":
            self.effects[key] += 1
            self.working.append((lease, "acted"))
        elif phase == "acted":
            await self.send(c.FinishCall(lease.step_id, lease.attempt, key, is_success=True))
            self.working.append((lease, "recorded"))
        elif luck == 4 and kind == "write":
            if await self.send(c.IntendCall(lease.step_id, lease.attempt, key, "t", {})):
                self.allowed_repeats[key] += call is not None and call.status in _MAY_ACT
                self.working.append((lease, "intended"))
            else:
                await self._end(lease, fails=False)
        elif phase == "recorded" or (call is not None and call.status not in _MAY_ACT):
            await self._end(lease, fails=False)
        else:
            await self._begin_write(run, lease, kind, key)

    async def _supervise(self, run: Run, lease: Lease, luck: int) -> None:
        """Plan, plan anew, go on, fail or finish, as a supervisor might; the run may refuse it."""
        state = run.steps[lease.step_id]
        if luck == 0 and not self.is_calm:
            await self.send(c.FailStep(lease.step_id, lease.attempt, "confused"))
            return
        is_over = all(run.steps[key].status in TERMINAL for key in state.children)
        may_plan = len(run.steps) < MAX_PLANNED
        if may_plan and (not state.children or self.dice.random() < 1 / 2):
            command = self._revision(run, lease)
        elif is_over:
            await self._end(lease, fails=False)
            return
        else:
            command = replace(self._revision(run, lease), steps=(), dropped=(), answer="")
        if await self.send(command) is None:  # As an executor does: look again in a moment.
            await self.send(c.RequeueStep(lease.step_id, lease.attempt, "too late"))
        elif luck == 1:
            await self.send(command)

    def _revision(self, run: Run, lease: Lease) -> c.RevisePlan:
        state = run.steps[lease.step_id]
        scope = lease.step_id
        waiting = [
            key
            for key in state.children
            if run.steps[key].status is Status.PENDING and not run.steps[key].attempt
        ]
        dropped = tuple(key for key in waiting if self.dice.random() < 1 / 4)
        replaced = [key for key in waiting if key not in dropped and self.dice.random() < 1 / 4]
        count = len(state.children)
        names = [*replaced, *(f"{scope}.s{count + n}" for n in range(self.dice.randint(0, 3)))]
        steps: list[Step] = []
        known = [key for key in state.children if key not in (*replaced, *dropped)]
        for name in names:
            needs = tuple(self.dice.sample(known, min(len(known), self.dice.randint(0, 2))))
            kind = self.dice.choice(KINDS)
            step = Step(
                id=name,
                title=name,
                tool=f"test.{kind}",
                needs=needs,
                parent=scope,
                when=self.dice.choice(["", "1 == 1", "1 == 2"]),
                for_each="" if kind == "plan" else self.dice.choice(LISTS),
                aside=self.dice.random() < 1 / 4,
            )
            steps.append(step)
            known.append(name)
        ended = [key for key in state.children if run.steps[key].status in TERMINAL]
        heard = [one.at for one in run.signals if one.kind == planning.MESSAGE]
        return c.RevisePlan(
            lease.step_id,
            lease.attempt,
            "because",
            steps=tuple(steps),
            dropped=dropped,
            answer=self.dice.choice(["", names[-1] if names else ""]),
            seen=tuple(ended),
            heard_at=max(heard, default=0.0),
            max_wall_s=None if state.children else self.dice.choice([None, None, 100.0]),
        )

    async def _begin_write(self, run: Run, lease: Lease, kind: str, key: str) -> None:
        step_id, attempt = lease.step_id, lease.attempt
        call = run.calls.get(key)
        approval_id = ""
        if kind == "asked_write":
            approval_id = f"ap-{step_id}"
            approval = run.approvals.get(approval_id)
            if approval is None:
                await self.send(c.RequestApproval(step_id, attempt, self._approval(lease, key)))
                return
            if approval.status is not ApprovalStatus.APPROVED:
                await self.send(c.SkipStep(step_id, attempt, "denied"))
                return
        if call is not None and call.status is CallStatus.INTENDED:
            if kind == "unsafe_write":
                question = Question(
                    id=f"q-{step_id}-{attempt}",
                    step_id=step_id,
                    text="?",
                    options=("done", "retry", "skip"),
                    call_key=key,
                    asked_at=self.now,
                    expires_at=self.now + 60,
                    escalate_at=self.now + 30,
                )
                await self.send(c.AskQuestion(step_id, attempt, question))
                return
            self.allowed_repeats[key] += 1
        intended = await self.send(c.IntendCall(step_id, attempt, key, "t", {}, approval_id))
        if intended is not None:
            self.working.append((lease, "intended"))

    def _approval(self, lease: Lease, key: str) -> Approval:
        return Approval(
            id=f"ap-{lease.step_id}",
            step_id=lease.step_id,
            calls=(ProposedCall(key, "t", {}),),
            terms=Terms(groups=("oncall",), expires_at=self.now + 500, quorum=1),
            requested_at=self.now,
        )

    async def _end(self, lease: Lease, *, fails: bool) -> None:
        if fails:
            await self.send(c.FailStep(lease.step_id, lease.attempt, "boom"))
        else:
            output: JsonValue = {"headline": "done"}
            await self.send(c.FinishStep(lease.step_id, lease.attempt, output))

    async def click(self, luck: int) -> None:
        """Let somebody decide or answer something, rightly or not."""
        run = await self.run()
        person = (ALICE, BOB, STRANGER)[luck % 3]
        for approval in run.approvals.values():
            decision = c.Decide(
                approval.id, person, luck % 2 == 0, approval.revision, approval.digest
            )
            await self.send(decision)
            await self.send(replace(decision, person=BOB))
        for question in run.questions.values():
            answer = ("done", "retry", "skip")[luck % 3]
            after = await self.send(c.AnswerQuestion(question.id, ALICE, answer))
            if after is not None and answer == "retry":
                self.allowed_repeats[question.call_key] += 1

    async def move(self, what: int, luck: int) -> None:
        """Make one random move."""
        queue = self.store.queue
        if what <= 3 and queue:
            await self.take(queue.pop(luck % len(queue)))
        elif what <= 7 and self.working:
            await self.work(luck, luck % 6)
        elif what == 8 and self.working:
            self.working.pop(luck % len(self.working))
        elif what == 9 and queue:
            queue.append(queue[luck % len(queue)])
        elif what == 10:
            await self.click(luck)
        elif what == 11:
            self.now += 20
            await self.keeper.tick()
        elif what == 12 and luck == 13:
            self.store.lose_queue()
        elif what == 13 and luck == 13:
            await self.send(c.StopRun(ALICE))
        elif what == 14:
            self.now += 20
            await self.keeper.tick()
            for ticket in self.store.queue[:]:
                await self.take(ticket)
        elif what == 15 and self.last_words is not None:
            await self.send(self.last_words)
        elif what == 16:
            await self.send(c.Signal(Moment(self.now, f"Alice: {luck}", planning.MESSAGE)))

    async def settle(self) -> Run:
        """Let everybody do their work calmly until nothing moves."""
        self.is_calm = True
        for _ in range(MAX_MOVES):
            run = await self.run()
            if run.is_over:
                return run
            assert waits_for_something_named(run)
            self.now += 20
            await self.keeper.tick()
            while self.store.queue:
                await self.take(self.store.queue.pop(0))
            for _ in range(MAX_MOVES):
                if self.working:
                    await self.work(0, 4 + self.names % 2)
            assert not self.working, "the workers never come to an end"
            await self.click(0)
            if self.dice.random() < 1 / 4:
                await self.send(c.Signal(Moment(self.now, "Alice: faster", planning.MESSAGE)))
        raise AssertionError("the run neither ends nor moves")


_OF_WORKERS = (
    c.FinishStep,
    c.FailStep,
    c.SkipStep,
    c.RevisePlan,
    c.RequeueStep,
    c.RequestApproval,
    c.AskQuestion,
    c.IntendCall,
    c.FinishCall,
)
_MAY_ACT = (CallStatus.INTENDED, CallStatus.RETRY)


def waits_for_something_named(run: Run) -> bool:
    """Whether each unfinished step is with a worker, in a queue, or waits for a named thing."""
    for step_id, state in run.steps.items():
        if state.status is Status.PENDING and state.retry_at is None:
            step = run.step(step_id)
            if any(planning.is_held(run, step, need) for need in step.needs):
                scope = run.steps[run.scope(step)]
                if scope.is_waiting_for_children:
                    return False
            elif all(run.steps[s].status in TERMINAL for s in (*step.needs, *step.after)):
                return False
        if state.is_waiting_for_children:
            if all(run.steps[key].status in TERMINAL for key in state.children):
                return False
            may_look = state.subplan is not None and state.subplan.looks < planning.MAX_LOOKS
            if state.subplan and may_look and planning.news(run, state.children, state.subplan):
                return False
        if state.status is Status.WAITING:
            asked = any(
                a.step_id == step_id and a.status is ApprovalStatus.PENDING
                for a in run.approvals.values()
            ) or any(q.step_id == step_id and q.is_open for q in run.questions.values())
            if not asked:
                return False
    return True


@settings(max_examples=300, deadline=None)
@given(
    plan=plans(),
    moves=st.lists(st.tuples(st.integers(0, 16), st.integers(0, 13)), max_size=120),
    seed=st.integers(0, 2**16),
)
def test_nothing_is_lost_and_nothing_happens_twice(
    plan: Plan, moves: list[tuple[int, int]], seed: int
) -> None:
    """Random histories end, with every promise kept."""

    async def story() -> None:
        world = World(plan, seed)
        await world.runs.start(RUN_ID, GOAL, plan)
        for what, luck in moves:
            await world.move(what, luck)
        run = await world.settle()

        assert all(state.status in TERMINAL for state in run.steps.values())
        assert run.answer is not None
        for key, times in world.effects.items():
            assert times <= 1 + world.allowed_repeats[key], key
        for call in run.calls.values():
            if call.status is CallStatus.SUCCEEDED and not world.allowed_repeats[call.key]:
                assert world.effects[call.key] <= 1
        log = [stored.event for stored in await world.store.events(RUN_ID)]
        assert replay(RUN_ID, log) == run
        assert [type(event).__name__ for event in log].count("RunEnded") == 1
        assert not world.store.leases or all(lease.run_id == RUN_ID for lease in world.store.leases)
        assert await world.store.open_approvals() == []

    asyncio.run(story())
