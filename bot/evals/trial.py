"""One trial: a scenario comes in through intake, its run goes to its end, and it is judged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor as Threads
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog

from agents.domain import Goal, Origin, ThreadRef
from agents.plan import plan_from_workflow
from agents.tool import Toolbox
from agents.tools.alerts import AlertBook
from agents.tools.chat import Poster
from bot.evals.judge import unmet
from bot.evals.monitor import Monitor
from bot.evals.outcome import Outcome, outcome_of, turned_away
from bot.evals.scenario import AlertSpec, PeopleSpec, Scenario
from bot.evals.tools import rehearsal_tools
from bot.evals.world import LivingWorld, living_world
from bot.intake import Intake
from bot.platforms.memory import MemoryPlatform
from config.contents import Catalogue
from config.nearest import hint
from config.specs import HttpSpec, RouteSpec, SourceSpec
from jobs.assembly import rules_of
from jobs.executor import Executor
from jobs.incident_store import MemoryIncidentStore
from jobs.incidents import Arrival
from jobs.memory_store import MemoryStore
from jobs.posting import RunPoster
from jobs.rehearsal import Decision, Reply, ScriptedPeople, ScriptError, rehearse
from jobs.service import Runs
from jobs.state import Person
from jobs.thinking import Models

log = structlog.get_logger(__name__)

SOURCE = "recorded"
"""The alert source that a scenario's alerts come from."""
CONSOLE = "console"
CHANNEL = "incidents"
REQUESTER = Person("console:requester", "Requester")
SOON_S = 1.0
WATCH_EVERY_S = 0.1
KNOWN = RouteSpec(name="known", channel=CHANNEL, platform=CONSOLE)
"""Takes alerts that are known already: no workflow starts."""


@dataclass(frozen=True, slots=True)
class Thinker:
    """Who thinks in a row of the report: runbooks (no models), or models under a name.

    `aliases` are those that have a model.
    """

    mode: str
    name: str
    models: Models | None = None
    aliases: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class House:
    """What all trials share: what is evaluated, and where their worlds are served."""

    catalogue: Catalogue
    tools: Callable[[AlertBook, Poster], Toolbox]
    monitor: Monitor
    threads: Threads


@dataclass(frozen=True, slots=True)
class Trial:
    """How one trial went; it passed when nothing was missed."""

    scenario: Scenario
    thinker: Thinker
    outcome: Outcome
    missed: tuple[str, ...]

    @property
    def has_passed(self) -> bool:
        """Whether all expectations were met."""
        return not self.missed


async def try_once(scenario: Scenario, thinker: Thinker, house: House) -> Trial:
    """Run the scenario once and judge it; a trial that breaks has failed, and says why."""
    now = time.time()
    with ExitStack() as stack:
        place = living_world(scenario, house.monitor, uuid.uuid4().hex, now)
        try:
            world = await asyncio.to_thread(stack.enter_context, place)
            outcome = await _Stage(scenario, thinker, house, world).play()
        except ScriptError as error:
            return Trial(scenario, thinker, Outcome(), (str(error),))
        except Exception as error:  # One broken case must not keep the others from their report.
            log.exception("trial_broke", scenario=scenario.name)
            reason = f"the trial broke ({type(error).__name__}): {error}"
            return Trial(scenario, thinker, Outcome(), (reason,))
    return Trial(scenario, thinker, outcome, tuple(unmet(scenario, outcome, world.releases)))


class _Stage:
    """Everything of one trial: a store, an intake and a worker of its own."""

    def __init__(
        self, scenario: Scenario, thinker: Thinker, house: House, world: LivingWorld
    ) -> None:
        self._scenario = scenario
        self._world = world
        self._store = MemoryStore(time.time)
        self._runs = Runs(self._store, time.time)
        self._incidents = MemoryIncidentStore()
        self._catalogue = catalogue = _catalogue(house.catalogue, world)
        platforms = {CONSOLE, *(route.platform for route in catalogue.routes)}
        self._intake = Intake(
            catalogue=catalogue,
            runs=self._runs,
            incidents=self._incidents,
            platforms={name: MemoryPlatform(name) for name in platforms},
            aliases=thinker.aliases,
        )
        self._executor = Executor(
            runs=self._runs,
            agents=catalogue.agents,
            toolbox=rehearsal_tools(
                house.tools(self._incidents, RunPoster(self._runs)),
                scenario.world.calls,
                house.threads,
            ),
            rules=rules_of(catalogue),
            clock=time.time,
            worker="rehearsal",
            models=thinker.models,
            workflows=catalogue.workflows,
            budgets=catalogue.models.budgets,
        )

    async def play(self) -> Outcome:
        """Let it come in, and let everybody work on it."""
        for alert in self._scenario.world.alerts:
            await self._make_known(alert)
        run_id, sentence = await self._start()
        if run_id is None:
            return turned_away(sentence)
        async with self._resolving():
            rehearsal = await rehearse(
                self._store,
                self._runs,
                self._executor,
                run_id,
                _people(self._scenario.people),
                limit_s=self._scenario.expect.max_s,
            )
        return outcome_of(rehearsal)

    async def _start(self) -> tuple[str | None, str]:
        """Return the id of the run that was started, or why none was."""
        scenario = self._scenario
        if scenario.alert is not None:
            return await self._deliver(scenario.alert)
        text = scenario.goal or ""
        if scenario.workflow is None:
            submission = await self._intake.submit(text, REQUESTER, CHANNEL, scenario.name)
            return submission.run_id, " ".join((submission.sentence, *submission.choices))
        workflow = self._catalogue.workflows.get(scenario.workflow)
        if workflow is None:
            known = hint(scenario.workflow, self._catalogue.workflows)
            return None, f"there is no workflow {scenario.workflow!r}; {known}"
        run_id = f"run-{scenario.name}"
        goal = Goal(
            text=text,
            requester_id=REQUESTER.id,
            requester_name=REQUESTER.name,
            origin=Origin.MESSAGE,
            thread=ThreadRef(CONSOLE, CHANNEL, f"thread-{scenario.name}"),
            inputs=dict(scenario.inputs),
            facts=dict(scenario.facts),
        )
        await self._runs.start(run_id, goal, plan_from_workflow(workflow))
        return run_id, ""

    async def _deliver(self, alert: AlertSpec) -> tuple[str | None, str]:
        receipt = await self._intake.deliver(SOURCE, self._delivery(alert, is_over=False))
        for incident_id in receipt.incident_ids:
            incident = await self._incidents.get(incident_id)
            if incident is not None and incident.run_ids:
                return incident.run_ids[0], ""
            if incident is not None:
                why = incident.waiting or "its route starts none"
                return None, f"the alert started no run: {why}"
        return None, "the alert was not taken in"

    async def _make_known(self, alert: AlertSpec) -> None:
        is_over = alert.resolved_at_s is not None
        for is_resolved in (False, True) if is_over else (False,):
            arrivals = self._intake.arrivals(SOURCE, self._delivery(alert, is_over=is_resolved))
            known = [Arrival(arrival.alert, KNOWN) for arrival in arrivals]
            await self._incidents.accept(known, self._world.began_at)

    def _delivery(self, alert: AlertSpec, *, is_over: bool) -> bytes:
        """Return the alert as Alertmanager would send it."""
        began = self._world.began_at
        labels = {"alertname": alert.title, "severity": alert.severity, **alert.labels}
        if alert.service:
            labels["service"] = alert.service
        ended_at = time.time() if alert.resolved_at_s is None else began + alert.resolved_at_s
        item = {
            "status": "resolved" if is_over else "firing",
            "labels": labels,
            "annotations": alert.annotations,
            "startsAt": _rfc3339(began + alert.at_s),
            **({"endsAt": _rfc3339(ended_at)} if is_over else {}),
        }
        return json.dumps({"version": "4", "alerts": [item]}).encode()

    @contextlib.asynccontextmanager
    async def _resolving(self) -> AsyncIterator[None]:
        """Tell that the alert is over once it is."""
        alert = self._scenario.alert
        if alert is None or alert.resolves == "never":
            yield
            return
        resolving = asyncio.create_task(self._resolve(alert))
        try:
            yield
        finally:
            resolving.cancel()
            await asyncio.gather(resolving, return_exceptions=True)

    async def _resolve(self, alert: AlertSpec) -> None:
        if alert.resolves == "soon":
            await asyncio.sleep(SOON_S)
        else:
            while not self._world.is_repaired:  # noqa: ASYNC110 - a command leaves the mark
                await asyncio.sleep(WATCH_EVERY_S)
        await self._intake.deliver(SOURCE, self._delivery(alert, is_over=True))


def _catalogue(catalogue: Catalogue, world: LivingWorld) -> Catalogue:
    """Return the catalogue in the recorded world: nothing outside of it can be reached."""
    return replace(
        catalogue,
        services=world.services.services,
        databases=world.services.databases,
        outlets=world.services.outlets,
        http=HttpSpec(),
        sources={SOURCE: SourceSpec(kind="alertmanager")},
    )


def _people(spec: PeopleSpec) -> ScriptedPeople:
    return ScriptedPeople(
        decisions=tuple(
            Decision(
                tool=one.tool,
                is_approval=one.decision == "approve",
                args=None if one.edit is None else dict(one.edit),
                comment=one.comment,
            )
            for one in spec.decisions
        ),
        replies=tuple(Reply(one.contains, one.answer) for one in spec.answers),
    )


def _rfc3339(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
