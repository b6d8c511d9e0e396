"""A small house: one worker with real policies and tools of a few lines, on the in-memory store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, JsonValue

from agents.domain import Plan, Step
from agents.models.port import Model
from agents.tool import Effect, Limits, Tool, Toolbox, ToolContext, ToolResult
from config.specs import (
    AgentSpec,
    ApprovalSpec,
    ApproversSpec,
    BudgetsSpec,
    CallSpec,
    PolicyMatch,
    PolicySpec,
    ReportSpec,
    RunbookSpec,
    ServicesFile,
    ServiceSpec,
    Verdict,
    WorkflowSpec,
)
from jobs import commands as c
from jobs.asking import Rules
from jobs.executor import Executor
from jobs.keeper import Keeper
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.state import Approval, Call, Person, Question, Run, StepState
from jobs.thinking import Models
from jobs.worker import StopSignal
from tests.jobs.plans import ALICE, GOAL, NOW, approve

RUN_ID = "run-1"
MAX_ROUNDS = 100
ONCALL = ApprovalSpec(approvers=ApproversSpec(groups=("oncall",)), expires_after_s=600)
LEADS = ApprovalSpec(approvers=ApproversSpec(groups=("leads",)), quorum=2)


class Args(BaseModel):
    """What every tool of this house takes."""

    service: str = ""
    text: str = ""
    count: int = 0


class Output(BaseModel):
    """What every tool of this house gives."""

    text: str = ""
    count: int = 0


Behaviour = Callable[[ToolContext, Args], Awaitable[str]]


@dataclass(slots=True)
class Clock:
    """A clock that only the test moves."""

    now: float = NOW

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def policy(
    name: str, verdict: Verdict, approval: ApprovalSpec | None = None, **m: Any
) -> PolicySpec:
    """Return a rule."""
    return PolicySpec(name=name, verdict=verdict, approval=approval, match=PolicyMatch(**m))


ASK = policy("ask", Verdict.ASK, ONCALL, tool="act.*")
ALLOW = policy("allow", Verdict.ALLOW, tool="act.*")


def agent(name: str, *calls: CallSpec, tools: Sequence[str] = (), **fields: Any) -> AgentSpec:
    """Return an agent whose report holds what its calls gave."""
    output: dict[str, JsonValue] = {
        call.id: f"{{{{ calls.{call.id}.output.text or calls.{call.id}.error }}}}" for call in calls
    }
    return AgentSpec(
        name=name,
        title=name.title(),
        description="Works in tests.",
        tools=tuple(tools) or tuple(call.tool for call in calls),
        runbook=RunbookSpec(calls=calls, report=ReportSpec(output=output)),
        **fields,
    )


def tool_step(step_id: str, tool: str = "look.at", **fields: Any) -> Step:
    """Return a step that calls a tool."""
    return Step(**{"id": step_id, "title": step_id.title(), "tool": tool, **fields})


def agent_step(step_id: str, name: str, **fields: Any) -> Step:
    """Return a step that an agent does."""
    return Step(**{"id": step_id, "title": step_id.title(), "agent": name, **fields})


ANSWERER = agent("answerer")
ANSWERER = ANSWERER.model_copy(
    update={
        "runbook": RunbookSpec(
            report=ReportSpec(output={"headline": "{{ inputs.headline or 'done' }}"})
        )
    }
)


def answer_step(*after: str, headline: str = "") -> Step:
    """Return the step that answers after the others."""
    return agent_step("answer", "answerer", after=after, inputs={"headline": headline or "done"})


def plan(*steps: Step) -> Plan:
    """Return a plan that ends with an answer."""
    ids = tuple(step.id for step in steps)
    return Plan(workflow="test", steps=(*steps, answer_step(*ids)), answer="answer")


@dataclass(frozen=True, slots=True)
class OneModel:
    """The models of a worker when there is one, whatever the run."""

    model: Model

    def for_run(self, _: Run) -> Model:
        """Return the model."""
        return self.model

    def offers(self, alias: str) -> bool:
        """Say whether the model answers to that alias."""
        return self.model.offers(alias)


@dataclass(slots=True)
class World:
    """One store, any number of workers after each other, and people who decide."""

    policies: tuple[PolicySpec, ...] = (ASK,)
    agents: tuple[AgentSpec, ...] = ()
    store: MemoryStore = field(default_factory=lambda: MemoryStore(Clock()))
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    called: list[tuple[str, str]] = field(default_factory=list)
    """(tool, text) of each call, in order."""
    keys: list[str] = field(default_factory=list)
    """The idempotency key of each writing call."""
    tools: dict[str, Tool] = field(default_factory=dict)
    worker: str = "w1"
    secrets: tuple[str, ...] = ()
    model: Model | None = None
    workflows: tuple[WorkflowSpec, ...] = ()
    budgets: BudgetsSpec = field(default_factory=BudgetsSpec)
    models: Models | None = None
    """What gives each run its model, instead of the one model for all."""

    def __post_init__(self) -> None:
        """Put the tools in place."""
        for name, effect, honours, trusted in (
            ("look.at", Effect.READS, False, False),
            ("look.trusted", Effect.READS, False, True),
            ("act.keyed", Effect.WRITES, True, False),
            ("act.once", Effect.WRITES, False, False),
        ):
            self.tools[name] = self._tool(name, effect, honours, trusted)

    def _tool(self, name: str, effect: Effect, honours: bool, trusted: bool) -> Tool:
        async def run(context: ToolContext, args: Args) -> ToolResult:
            self.called.append((name, args.text))
            if effect is Effect.WRITES:
                self.keys.append(context.idempotency_key)
            behaviour = self.behaviours.get(name)
            text = await behaviour(context, args) if behaviour else f"saw {args.text}"
            return ToolResult(output=Output(text=text, count=args.count), text=text)

        return Tool(
            name=name,
            description="A tool of a few lines.",
            arguments=Args,
            output=Output,
            run=run,
            effect=effect,
            honours_key=honours,
            is_trusted=trusted,
            is_confined=False,
            limits=Limits(timeout_s=900),
        )

    @property
    def clock(self) -> Clock:
        """The clock of the store and of everybody else."""
        assert isinstance(self.store.clock, Clock)
        return self.store.clock

    def runs(self) -> Runs:
        """Return what a process of its own would use."""
        return Runs(self.store, self.clock)

    def executor(self) -> Executor:
        """Return a worker's executor."""
        world = ServicesFile(services={"checkout": ServiceSpec(), "payments": ServiceSpec()})
        return Executor(
            runs=self.runs(),
            agents={spec.name: spec for spec in (*self.agents, ANSWERER)},
            toolbox=Toolbox(self.tools.values()),
            rules=Rules(world=world, policies=self.policies, secrets=self.secrets),
            clock=self.clock,
            worker=self.worker,
            models=self.models or (OneModel(self.model) if self.model is not None else None),
            workflows={spec.name: spec for spec in self.workflows},
            budgets=self.budgets,
        )

    async def start(self, a_plan: Plan) -> Run:
        """Start the run and work until there is nothing to do."""
        await self.runs().start(RUN_ID, GOAL, a_plan)
        return await self.drive()

    async def drive(self) -> Run:
        """Work on tickets, all that wait at a time, until none waits."""
        executor = self.executor()
        for _ in range(MAX_ROUNDS):
            tickets = list(self.store.queue)
            if not tickets:
                break
            self.store.queue.clear()
            await asyncio.gather(*(executor.run_ticket(t, StopSignal()) for t in tickets))
        else:
            raise AssertionError("the run never comes to rest")
        return await self.run()

    async def begin(self, stop: StopSignal | None = None) -> asyncio.Task[None]:
        """Let the worker take the first ticket, and return its task while it works."""
        ticket = self.store.queue.pop(0)
        task = asyncio.create_task(self.executor().run_ticket(ticket, stop or StopSignal()))
        await asyncio.sleep(0)
        return task

    async def later(self, seconds: float) -> Run:
        """Let time pass, let the keeper look, and work on."""
        self.clock.now += seconds
        await Keeper(self.runs(), self.clock).tick()
        return await self.drive()

    async def take_over(self) -> Run:
        """Let the dead worker's leases run out, and another worker go on."""
        self.worker = "w2"
        return await self.later(60)

    async def run(self) -> Run:
        """Return the run as it is."""
        return await self.runs().get(RUN_ID)

    async def step(self, step_id: str) -> StepState:
        """Return a step's state."""
        return (await self.run()).steps[step_id]

    async def send(self, command: c.Command) -> Run:
        """Carry out a command of a person, and work on."""
        await self.runs().send(RUN_ID, command)
        return await self.drive()

    async def approval(self) -> Approval:
        """Return the one approval of the run."""
        (found,) = (await self.run()).approvals.values()
        return found

    async def question(self) -> Question:
        """Return the latest question of the run."""
        return list((await self.run()).questions.values())[-1]

    async def decide(self, person: Person = ALICE, **fields: Any) -> Run:
        """Decide on the one approval: yes, unless told otherwise."""
        return await self.send(approve(await self.approval(), person, **fields))

    async def answer(self, text: str, person: Person = ALICE) -> Run:
        """Answer the latest question."""
        return await self.send(c.AnswerQuestion((await self.question()).id, person, text))

    async def calls(self) -> list[Call]:
        """Return the writing calls of the run."""
        return list((await self.run()).calls.values())


async def until(is_so: Callable[[], bool]) -> None:
    """Let the others work until it is so."""
    for _ in range(1_000):
        if is_so():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never became so")


async def kill_everything() -> None:
    """End every other task at once, as a killed process would."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    while others:
        for task in others:
            task.cancel()
        _, others = await asyncio.wait(others, timeout=0.01)


async def forever(_: ToolContext, __: Args) -> str:
    """Be a tool that never ends by itself."""
    await asyncio.Event().wait()
    return ""
