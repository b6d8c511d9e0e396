"""A house for the shipped workflows: the catalogue as it is shipped, in front of a small world."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import time
from typing import Any

from pydantic import JsonValue

from agents.builtins import SUBMIT, model_name
from agents.domain import Goal, JsonObject, Origin, ThreadRef
from agents.models.port import Model, ModelReply, ModelRequest
from agents.models.scripted import ScriptedModel, call
from agents.plan import plan_from_workflow
from agents.tool import Tool, Toolbox
from agents.tools.alerts import AlertBook
from bot.evals.tools import rehearsal_tools
from config.catalogue import load_catalogue
from config.specs import ServicesFile
from jobs.asking import Rules
from jobs.assembly import all_tools
from jobs.executor import Executor
from jobs.incident_store import MemoryIncidentStore
from jobs.memory_store import MemoryStore
from jobs.posting import RunPoster
from jobs.rehearsal import People, Rehearsal, rehearse
from jobs.service import Runs
from jobs.state import Run
from jobs.thinking import Models

RUN_ID = "run-1"
THREADS = ThreadPoolExecutor(8)
"""Where tools look: these worlds can do no harm, and a child process for each call takes long."""
THREAD = ThreadRef("console", "support", "t-1")
CATALOGUE = load_catalogue(None)
RULES = "What our rules make of it"

Brain = Callable[[JsonObject], JsonValue]
"""From what an agent is given (and, under `rules`, what rules made of it) to what it hands in."""


@dataclass(slots=True)
class OneModel:
    """`jobs.thinking.Models` of a single scripted model; `titles` lists whom it spoke for."""

    brains: Mapping[str, Brain]
    """By the title of the agent."""
    latency_s: float = 0.0
    titles: list[str] = field(default_factory=list)
    model: ScriptedModel = field(init=False)

    def __post_init__(self) -> None:
        """Let the model think with the brains."""
        self.model = ScriptedModel(self._rule, latency_s=self.latency_s)

    def for_run(self, run: Run) -> Model:
        """See `Models.for_run`."""
        return self.model

    def offers(self, alias: str) -> bool:
        """See `Models.offers`."""
        return bool(alias)

    def _rule(self, request: ModelRequest) -> ModelReply:
        text = request.messages[0].text
        title = next(name for name in self.brains if text.startswith(f"You are {name},"))
        self.titles.append(title)
        return call(model_name(SUBMIT), **_object(self.brains[title](given(request))))


def given(request: ModelRequest) -> JsonObject:
    """Return what a model was shown behind the fences: its inputs, and what rules make of them."""
    text = request.messages[1].text
    found = _fenced(text, "What you are given:")
    if RULES in text:
        found["rules"] = _fenced(text, RULES)
    return found


def _fenced(text: str, under: str) -> JsonObject:
    """Return the first JSON object that stands in the text under these words."""
    start = text.index("\n{", text.index(under)) + 1
    value, _ = json.JSONDecoder().raw_decode(text[start:])
    return _object(value)


def _object(value: Any) -> JsonObject:
    assert isinstance(value, dict)
    return value


@dataclass(slots=True)
class House:
    """One in-memory installation with the shipped catalogue."""

    world: ServicesFile
    models: Models | None = None
    book: AlertBook = field(default_factory=MemoryIncidentStore)
    tools: Sequence[Tool] = ()
    """Taken instead of those of the same name."""
    clock: Callable[[], float] = time
    store: MemoryStore = field(init=False)

    def __post_init__(self) -> None:
        """Open the store."""
        self.store = MemoryStore(self.clock)

    @property
    def runs(self) -> Runs:
        """The runs."""
        return Runs(self.store, self.clock)

    def executor(self) -> Executor:
        """Return the one worker's executor."""
        tools = all_tools(self.book, RunPoster(self.runs))
        tools = rehearsal_tools(Toolbox((*tools.values(), *self.tools)), (), THREADS)
        return Executor(
            runs=self.runs,
            agents=CATALOGUE.agents,
            toolbox=tools,
            rules=Rules(world=self.world, policies=CATALOGUE.policies),
            clock=self.clock,
            worker="w1",
            models=self.models,
            workflows=CATALOGUE.workflows,
        )

    async def start(self, workflow: str, inputs: JsonObject, **goal: Any) -> Run:
        """Start a run of a shipped workflow."""
        fields: dict[str, Any] = {
            "text": f"a goal for {workflow}",
            "requester_id": "source:support",
            "requester_name": "support",
            "origin": Origin.FORM,
            "thread": THREAD,
            "inputs": inputs,
            **goal,
        }
        plan = plan_from_workflow(CATALOGUE.workflows[workflow])
        return await self.runs.start(RUN_ID, Goal(**fields), plan)

    async def play(self, people: People | None = None, **how: Any) -> Rehearsal:
        """Work on the run until it ends."""
        return await rehearse(self.store, self.runs, self.executor(), RUN_ID, people, **how)
