"""A house with an example config folder, and models that say what they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from time import time
from typing import Any

from pydantic import JsonValue

from agents.builtins import HAND_OFF, SUBMIT
from agents.domain import Answer, Goal, Origin, Plan, ThreadRef
from agents.models.port import ModelReply, ModelRequest, NoModelError
from agents.models.scripted import ScriptedModel, call, output
from agents.plan import SUPERVISOR, plan_for_goal, plan_from_workflow
from agents.tool import Toolbox
from config.catalogue import load_catalogue
from config.contents import Catalogue
from jobs.asking import Rules
from jobs.assembly import all_tools
from jobs.executor import Executor
from jobs.incident_store import MemoryIncidentStore
from jobs.memory_store import MemoryStore
from jobs.posting import RunPoster
from jobs.rehearsal import Decision, People, ScriptedPeople, rehearse
from jobs.service import Runs
from jobs.state import Run, Status
from tests.docs.pages import ROOT
from tests.examples.shape import Shape, shape_of
from tests.jobs.world import OneModel

RUN_ID = "run-1"
LIMIT_S = 60
MEETING_S = 10
REVIEW = "review"
"""Whose lines the verdicts of reviews are."""
ANYBODY = "*"
"""Whose lines those without lines of their own say."""

Reply = ModelReply | Callable[[ModelRequest], Coroutine[Any, Any, ModelReply]]
Lines = list[Reply] | Callable[[ModelRequest], ModelReply | Coroutine[Any, Any, ModelReply]]
"""What an agent says: one line after the other, or a rule."""
Cast = Mapping[str, Lines]
"""By the name of the agent."""


@dataclass(frozen=True, slots=True)
class Played:
    """A run that has ended, its shape, and what the models were asked, by agent."""

    run: Run
    shape: Shape
    asked: Mapping[str, list[ModelRequest]]

    @property
    def answer(self) -> Answer:
        """The run's answer."""
        assert self.run.answer is not None
        return self.run.answer

    def told(self, agent: str, place: int = -1) -> str:
        """Return the last message that an agent's model was sent at that call."""
        return self.asked[agent][place].messages[-1].text


@dataclass(frozen=True, slots=True)
class House:
    """One in-memory installation with an example config folder."""

    catalogue: Catalogue

    async def workflow(
        self, name: str, text: str, cast: Cast | None = None, people: People | None = None
    ) -> Played:
        """Play a run of a workflow; without a cast there is no model."""
        plan = plan_from_workflow(self.catalogue.workflows[name])
        return await self._play(plan, text, cast, people)

    async def goal(self, text: str, cast: Cast, people: People | None = None) -> Played:
        """Play a run that the supervisor plans from a goal in plain words."""
        plan = plan_for_goal(text, self.catalogue.agents[SUPERVISOR])
        return await self._play(plan, text, cast, people)

    async def _play(
        self, plan: Plan, text: str, cast: Cast | None, people: People | None
    ) -> Played:
        catalogue, store = self.catalogue, MemoryStore(time)
        runs = Runs(store, time)
        stage = _Stage(catalogue, cast or {})
        executor = Executor(
            runs=runs,
            agents=catalogue.agents,
            toolbox=Toolbox(all_tools(MemoryIncidentStore(), RunPoster(runs)).values()),
            rules=Rules(world=catalogue.world, policies=catalogue.policies),
            clock=time,
            worker="w1",
            models=OneModel(ScriptedModel(stage.speak)) if cast is not None else None,
            workflows=catalogue.workflows,
        )
        await runs.start(RUN_ID, _goal(text), plan)
        played = await rehearse(store, runs, executor, RUN_ID, people, limit_s=LIMIT_S)
        assert not played.is_cut_off, "the run did not end"
        assert not (left := stage.unsaid()), f"never said: {left}"
        return Played(played.run, shape_of(played.events), stage.asked)


class _Stage:
    """Lets each agent of the cast say its lines, told apart by their prompts."""

    def __init__(self, catalogue: Catalogue, cast: Cast) -> None:
        self.asked: dict[str, list[ModelRequest]] = {name: [] for name in cast}
        self._names = {agent.title: name for name, agent in catalogue.agents.items()}
        self._cast = cast

    async def speak(self, request: ModelRequest) -> ModelReply:
        """Return the next line of whoever is asked."""
        name = self._name(request)
        asked = self.asked.setdefault(name, [])
        asked.append(request)
        assert self._cast.keys() & {name, ANYBODY}, f"{name} has no part in this"
        lines = self._cast.get(name) or self._cast[ANYBODY]
        if isinstance(lines, list):
            assert len(asked) <= len(lines), f"{name} is asked once more: {request.messages[-1]}"
        line = lines[len(asked) - 1] if isinstance(lines, list) else lines
        said = line(request) if callable(line) else line
        return said if isinstance(said, ModelReply) else await said

    def unsaid(self) -> dict[str, int]:
        """Return how many lines each agent has not said."""
        left = {
            name: len(lines) - len(self.asked[name])
            for name, lines in self._cast.items()
            if isinstance(lines, list)
        }
        return {name: count for name, count in left.items() if count}

    def _name(self, request: ModelRequest) -> str:
        if request.purpose == REVIEW:
            return REVIEW
        title = request.messages[0].text.removeprefix("You are ").partition(", ")[0]
        return self._names[title]


def _goal(text: str) -> Goal:
    return Goal(
        text=text,
        requester_id="console:alice",
        requester_name="Alice",
        origin=Origin.MESSAGE,
        thread=ThreadRef("console", "general", "t-1"),
    )


# ---- lines


def submits(**fields: JsonValue) -> ModelReply:
    """Hand in an output."""
    return call(SUBMIT, **fields)


def hands_to(name: str, reason: str) -> ModelReply:
    """Pass the conversation on."""
    return call(HAND_OFF, to=name, reason=reason)


def plans(*steps: dict[str, Any], decision: str = "plan", **fields: Any) -> ModelReply:
    """Plan these steps."""
    reason = f"It takes {len(steps)} steps."
    return output({"decision": decision, "reason": reason, "steps": [*steps], **fields})


def step(step_id: str, agent: str, *needs: str, **fields: Any) -> dict[str, Any]:
    """Return a drafted step of an agent; inputs are given as a mapping."""
    given = fields.pop("inputs", {})
    inputs = [{"name": name, "value": value} for name, value in given.items()]
    who = {"agent": agent} if agent else {}
    return {
        "id": step_id,
        "title": step_id.capitalize(),
        **who,
        "inputs": inputs,
        "needs": [*needs],
        **fields,
    }


def sums_up(headline: str) -> ModelReply:
    """Sum up what the steps found."""
    return output({"headline": headline, "finding": "report", "summary": "See the steps."})


def judges(verdict: str, feedback: str = "", to: str = "") -> ModelReply:
    """Judge an output."""
    return output({"verdict": verdict, "feedback": feedback, "to": to})


def is_away(request: ModelRequest) -> ModelReply:
    """Be a model that cannot be reached."""
    raise NoModelError(request.alias, {"scripted": "it is away"})


class Meeting:
    """Lines that are only said once all of so many agents are at work."""

    def __init__(self, size: int) -> None:
        self._barrier = asyncio.Barrier(size)

    def then(
        self, reply: ModelReply | Callable[[ModelRequest], ModelReply]
    ) -> Callable[[ModelRequest], Coroutine[Any, Any, ModelReply]]:
        """Return a line that waits for the others."""

        async def said(request: ModelRequest) -> ModelReply:
            async with asyncio.timeout(MEETING_S):
                await self._barrier.wait()
            return reply if isinstance(reply, ModelReply) else reply(request)

        return said


def answers(headline: str) -> ModelReply:
    """Hand in an answer."""
    return submits(headline=headline, summary="The text.", finding="report")


def ended_well(played: Played) -> Played:
    """Return what was played; the run must have succeeded."""
    assert played.run.status is Status.SUCCEEDED, played.answer
    return played


FINE = submits(ok=True, note="")
YES = ScriptedPeople((Decision("*", is_approval=True),))
NO = ScriptedPeople((Decision("*", is_approval=False, comment="not today"),))
ALICE = "Scripted person 1"
SUPERVISED = "goal"
"""The step in which the supervisor takes a goal."""
FOLDER = ROOT / "examples/patterns"
PATTERNS = House(load_catalogue(FOLDER))
