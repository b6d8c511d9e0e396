"""What comes in: typed goals and delivered alerts become incidents and runs.

Nothing that was accepted is lost: alerts and the work that follows from them are kept in one
atomic step; `reconcile` does what a crash, a full channel or a silent platform left undone.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from agents.domain import Goal, JsonObject, Moment, Origin, ThreadRef
from agents.matching import Match, allowed_values, choices, convert, match
from agents.plan import plan_for_goal, plan_from_workflow, supervisor_of
from agents.redact import redact, redact_json
from agents.wording import one_line
from bot.platforms.port import Platform, PlatformBusyError, PlatformError
from bot.routes import route_for
from bot.sources import ALERT_SOURCES
from bot.sources.base import BadDeliveryError, without
from config.contents import Catalogue
from config.nearest import hint
from config.specs import WorkflowSpec
from jobs.commands import Refused, Signal
from jobs.incident_store import IncidentStore
from jobs.incidents import (
    MAX_TOLD_ALERTS,
    AlertState,
    Arrival,
    Incident,
    held_back,
    run_not_needed,
    run_started,
    tell,
    told,
    with_thread,
)
from jobs.observe import report_error
from jobs.service import Runs, UnknownRunError
from jobs.state import Person, Run
from jobs.store import ConflictError, StoreUnavailableError

__all__ = ["BadDeliveryError", "Intake", "Receipt", "Submission", "UnknownSourceError"]

log = structlog.get_logger(__name__)

MAX_GOAL_CHARS = 2_000
MAX_TITLE_CHARS = 100
MAX_STARTS_PER_MINUTE = 10
"""Runs that alerts may start in one channel within a minute; the others wait, visibly."""
MAX_RUNS_PER_INCIDENT = 5
"""An alert that comes back again and again is not investigated each time."""
MAX_DUE = 100
MAX_SETTLED_AT_ONCE = 20
"""Incidents that a delivery starts itself; the sender waits for them, so the rest comes later."""
MAX_TRIES = 20
RECONCILE_S = 1.0
BEHIND = "It fired again: another run starts if it still fires when this one has ended."
DEFAULT_PLATFORM = "console"


class UnknownSourceError(BadDeliveryError):
    """No alert source of that name is configured."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What became of a typed goal. Without a run, `choices` are goals that would fit."""

    run_id: str | None
    sentence: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Enclosed:
    """What comes with a goal besides its words; `facts` are never to be trusted.

    `origin` says whose the words are: a message that somebody else wrote is no goal of the
    person who points to it.
    """

    facts: JsonObject = field(default_factory=dict)
    origin: Origin = Origin.MESSAGE


NOTHING_ENCLOSED = Enclosed()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery. `cut_off` counts alerts that the source left out of it."""

    accepted: int
    repeated: int
    incident_ids: tuple[str, ...] = ()
    cut_off: int = 0


class Intake:
    """Turns what comes in into incidents and runs. `clock` gives Unix seconds.

    With a model behind the supervisor's alias (one of `aliases`), it takes the typed goals;
    without one their words choose a workflow.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        runs: Runs,
        incidents: IncidentStore,
        platforms: Mapping[str, Platform],
        clock: Callable[[], float] = time.time,
        starts_per_minute: int = MAX_STARTS_PER_MINUTE,
        secrets: Sequence[str] = (),
        aliases: Collection[str] = (),
    ) -> None:
        self._catalogue = catalogue
        self._runs = runs
        self._incidents = incidents
        self._platforms = platforms
        self._clock = clock
        self._starts_per_minute = starts_per_minute
        self._secrets = secrets
        self._supervisor = supervisor_of(catalogue.agents, aliases)
        self._looked_past = 0
        """How many incidents at the head of those due stay due: `reconcile` looks behind them."""
        self._sources = {source.name: source for source in ALERT_SOURCES}

    async def submit(
        self,
        text: str,
        person: Person,
        channel: str,
        key: str,
        thread: ThreadRef | None = None,
        enclosed: Enclosed = NOTHING_ENCLOSED,
    ) -> Submission:
        """Start the run that a typed goal asks for; the same key gives the same run."""
        run_id = goal_run_id(key)
        known = await self._runs.store.load(run_id)
        if known is not None:
            return Submission(run_id, f"That goal was taken before; its run is {run_id}.")
        text = redact(text.strip()[:MAX_GOAL_CHARS], self._secrets)
        workflows = self._catalogue.workflows
        if not text:
            return Submission(None, "Say what is wanted, for example:", choices(workflows))
        inputs: JsonObject = {}
        if self._supervisor is not None:
            plan = plan_for_goal(text, self._supervisor)
            sentence = f"{self._supervisor.title} is planning it."
        else:
            found = match(text, workflows, self._catalogue.services)
            if not isinstance(found, Match):
                log.info("goal_matches_nothing", person=person.id)
                return Submission(None, found.sentence, found.choices)
            plan, inputs = plan_from_workflow(found.workflow), found.inputs
            sentence = f"Started {found.why}"
        earlier = await self._runs.store.runs_of_thread(thread) if thread is not None else []
        if thread is None:
            try:
                platform = self._platform_of(person)
                title = one_line(text, MAX_TITLE_CHARS)
                thread = await platform.open_thread(channel, title, f"{run_id}:thread")
            except PlatformError as error:
                return Submission(None, f"No thread could be opened in {channel}: {error}")
        goal = Goal(
            text=text,
            requester_id=person.id,
            requester_name=person.name,
            origin=enclosed.origin,
            thread=thread,
            inputs=inputs,
            facts=_without_secrets(enclosed.facts, self._secrets),
            earlier=tuple(earlier),
        )
        await self._runs.start(run_id, goal, plan)
        log.info("goal_started", run_id=run_id, workflow=plan.workflow, person=person.id)
        return Submission(run_id, sentence)

    def _platform_of(self, person: Person) -> Platform:
        """Return the platform that the person's id names, else the console, else any."""
        names = (person.id.partition(":")[0], DEFAULT_PLATFORM, *self._platforms)
        return self._platforms[next(name for name in names if name in self._platforms)]

    async def deliver(self, source_name: str, body: bytes) -> Receipt:
        """Take in one delivery as a whole; BadDeliveryError when it cannot be read.

        Once this returns, the alerts are kept and their runs will start. They are started here
        at once where that is possible, so that nobody waits for the next `reconcile`.
        """
        arrivals = self.arrivals(source_name, body)
        if not arrivals:
            return Receipt(0, 0)
        outcomes = await self._incidents.accept(arrivals, self._clock())
        repeated = sum(outcome.is_repeat for outcome in outcomes)
        due = dict.fromkeys(outcome.incident_id for outcome in outcomes if outcome.is_due)
        receipt = Receipt(
            accepted=len(outcomes) - repeated,
            repeated=repeated,
            incident_ids=tuple(dict.fromkeys(outcome.incident_id for outcome in outcomes)),
            cut_off=max(arrival.alert.cut_off for arrival in arrivals),
        )
        log.info(
            "alerts_accepted",
            source=source_name,
            accepted=receipt.accepted,
            repeated=repeated,
            cut_off=receipt.cut_off,
            incidents=len(receipt.incident_ids),
        )
        for incident_id in list(due)[:MAX_SETTLED_AT_ONCE]:
            await self._settle_safely(incident_id)
        return receipt

    def arrivals(self, source_name: str, body: bytes) -> list[Arrival]:
        """Read a delivery and find the route of each alert."""
        spec = self._catalogue.sources.get(source_name)
        if spec is None:
            known = hint(source_name, self._catalogue.sources) or "add it to sources.yaml"
            raise UnknownSourceError(f"There is no alert source {source_name!r}; {known}")
        alerts = [
            without(alert, self._secrets)
            for alert in self._sources[spec.kind].parse(body, source_name, spec)
        ]
        routes = self._catalogue.routes
        return [Arrival(alert, route_for(routes, alert)) for alert in alerts]

    async def reconcile(self) -> int:
        """Do what is still due for a page of incidents; return how many were looked at.

        The next call goes on behind those that stay due, and begins anew after the last of them:
        incidents that wait for long hold up no others.
        """
        due = await self._incidents.due(MAX_DUE, self._looked_past)
        if not due and self._looked_past:
            self._looked_past = 0
            due = await self._incidents.due(MAX_DUE)
        left = [incident.id for incident in due if await self._settle_safely(incident.id)]
        self._looked_past = self._looked_past + len(left) if len(due) == MAX_DUE else 0
        return len(due)

    async def keep_reconciling(self, every_s: float = RECONCILE_S) -> None:
        """Reconcile again and again until cancelled; one leader does it."""
        while True:
            try:
                await self.reconcile()
            except StoreUnavailableError as error:
                log.warning("reconcile_waits_for_store", reason=str(error))
            await asyncio.sleep(every_s)

    async def _settle_safely(self, incident_id: str) -> bool:
        """Do what is due for an incident; whether something stays so for a later `reconcile`."""
        try:
            return await self._settle(incident_id)
        except (StoreUnavailableError, ConflictError) as error:
            log.warning("incident_left_for_later", incident_id=incident_id, reason=str(error))
        except Exception as error:  # a bug with one incident must not hold up the others
            log.exception("incident_crashed", incident_id=incident_id)
            report_error(error, incident_id=incident_id)
        return True

    async def _settle(self, incident_id: str) -> bool:
        """Open the thread, start the run, tell it what happened: each noted when it is done.

        Returns whether something stays due. Every part may be repeated: threads and runs have
        keys made of the incident's id.
        """
        for _ in range(MAX_TRIES):
            before = await self._incidents.get(incident_id)
            if before is None or not before.is_due:
                return False
            after = await self._with_thread(before)
            is_busy = bool(after.run_ids) and await self._is_going(after.run_ids[-1])
            if after.thread is not None and after.needs_run:
                after = _behind(after) if is_busy else await self._with_run(after, after.thread)
            if after.unsent and (is_busy or not after.needs_run):
                after = await self._with_signals(after)
            if after == before:
                return True
            try:
                await self._incidents.update(before, after)
            except ConflictError:
                continue
            return after.is_due
        raise ConflictError(incident_id)

    async def _with_thread(self, incident: Incident) -> Incident:
        if incident.thread is not None:
            return incident
        platform = self._platforms.get(incident.platform)
        if platform is None:
            known = hint(incident.platform, self._platforms)
            why = f"Route {incident.route} names the platform {incident.platform}; {known}"
            return held_back(incident, why)
        title = one_line(
            f"{incident.service}: {incident.title}" if incident.service else incident.title,
            MAX_TITLE_CHARS,
        )
        try:
            thread = await platform.open_thread(
                incident.channel, title, f"incident:{incident.id}:thread"
            )
        except PlatformBusyError:
            return incident
        except PlatformError as error:
            return held_back(incident, f"No thread could be opened: {error}")
        return with_thread(incident, thread)

    async def _with_run(self, incident: Incident, thread: ThreadRef) -> Incident:
        """Start the run that the incident needs, or note why there is none (yet)."""
        if incident.is_resolved and incident.waiting:
            return run_not_needed(incident, "It was resolved before a run could start.")
        if len(incident.run_ids) >= MAX_RUNS_PER_INCIDENT:
            count = len(incident.run_ids)
            why = f"It came back, but {count} runs have looked at it already: ask for one by hand."
            return run_not_needed(incident, why)
        workflow = self._catalogue.workflows.get(incident.workflow)
        if workflow is None:
            known = hint(incident.workflow, self._catalogue.workflows)
            why = f"Route {incident.route} names the workflow {incident.workflow}; {known}"
            return run_not_needed(incident, why)
        lead = _lead(incident)
        inputs, problem = alert_inputs(workflow, lead, self._catalogue.services)
        if problem:
            return run_not_needed(incident, f"No run was started: {problem}")
        run_id = incident.next_run_id
        place = f"{incident.platform}:{incident.channel}"
        most = self._starts_per_minute
        if not await self._incidents.claim_start(place, run_id, self._clock(), most):
            why = (
                f"Waiting: {most} runs were started in {incident.channel} within a minute; "
                "this one starts as soon as there is room."
            )
            return held_back(incident, why)
        goal = Goal(
            text=_goal_text(incident, lead),
            requester_id=f"source:{lead.alert.source}",
            requester_name=lead.alert.source,
            origin=Origin.ALERT,
            thread=thread,
            inputs=inputs,
            facts=_facts(incident, lead),
            incident_id=incident.id,
        )
        await self._runs.start(run_id, goal, plan_from_workflow(workflow))
        log.info("incident_run_started", incident_id=incident.id, run_id=run_id)
        return _told_what_fired(run_started(incident, run_id), lead, self._clock())

    async def _with_signals(self, incident: Incident) -> Incident:
        """Tell the incident's run what happened; a run that has ended need not know."""
        if incident.run_ids:
            for moment in incident.unsent:
                try:
                    await self._runs.send(incident.run_ids[-1], Signal(moment))
                except (UnknownRunError, Refused):
                    break
        return told(incident, incident.unsent)

    async def _is_going(self, run_id: str) -> bool:
        run: Run | None = await self._runs.store.load(run_id)
        return run is not None and not run.is_over


def _behind(incident: Incident) -> Incident:
    """Keep the next run until the one that goes on has ended: that one may be past looking.

    An incident that is resolved by then needs no other run.
    """
    return run_not_needed(incident) if incident.is_resolved else held_back(incident, BEHIND)


def _told_what_fired(incident: Incident, lead: AlertState, now: float) -> Incident:
    """See to it that a run hears what it is about, though an earlier one heard it before."""
    if any(moment.kind == "alert" for moment in incident.unsent):
        return incident
    again = "fired again" if incident.reopened else "fired"
    moment = Moment(min(lead.starts_at, now), f"Alert {again}: {lead.alert.title}", "alert")
    return tell(incident, moment)


def _without_secrets(facts: JsonObject, secrets: Sequence[str]) -> JsonObject:
    clean = redact_json(facts, secrets)
    return clean if isinstance(clean, dict) else {}


def goal_run_id(key: str) -> str:
    """Return the id of the run that a goal of this key has."""
    return f"run-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def alert_inputs(
    workflow: WorkflowSpec, state: AlertState, services: Mapping[str, object]
) -> tuple[JsonObject, str]:
    """Return the workflow's inputs as the alert's labels give them, or a sentence on what lacks."""
    inputs: JsonObject = {}
    for name, spec in workflow.inputs.items():
        label = spec.label or name
        text = state.alert.labels.get(label)
        if text is None:
            if spec.default is not None:
                inputs[name] = spec.default
            elif spec.required:
                return {}, (
                    f"workflow {workflow.name} needs {name}, and the alert has no label {label}; "
                    "add the label, or a route for this alert with another workflow."
                )
            continue
        value, problem = convert(text, spec, allowed_values(spec, services))
        if problem:
            where = "; it must stand in services.yaml." if spec.one_of == "services" else ""
            return {}, f"label {label}: {problem}{where}"
        inputs[name] = value
    return inputs, ""


def _lead(incident: Incident) -> AlertState:
    """Return the alert that a run is about: the first that fires, else the first."""
    states = [incident.alerts[key] for key in incident.shown if key in incident.alerts]
    return next((state for state in states if state.alert.is_firing), states[0])


def _summary(state: AlertState) -> str:
    annotations = state.alert.annotations
    return annotations.get("summary") or annotations.get("description", "")


def _goal_text(incident: Incident, lead: AlertState) -> str:
    about = f" on {incident.service}" if incident.service else ""
    summary = _summary(lead)
    return one_line(
        f"Find out why {lead.alert.title} fires{about}" + (f": {summary}" if summary else "."),
        MAX_GOAL_CHARS,
    )


def _facts(incident: Incident, lead: AlertState) -> JsonObject:
    """Return what came with the incident; untrusted text. `alert` is the one it is about."""
    states = [incident.alerts[key] for key in incident.shown if key in incident.alerts]
    return {
        "alert": _alert_facts(lead),
        "alerts": [_alert_facts(state) for state in states[:MAX_TOLD_ALERTS]],
        "alert_count": incident.total,
        "incident": {
            "id": incident.id,
            "title": incident.title,
            "service": incident.service,
            "severity": incident.severity,
            "opened_at": incident.opened_at,
        },
    }


def _alert_facts(state: AlertState) -> JsonObject:
    alert = state.alert
    return {
        "title": alert.title,
        "severity": alert.severity,
        "summary": _summary(state),
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "started_at": state.starts_at,
        "source": alert.source,
        "fingerprint": alert.fingerprint,
        "url": alert.url,
    }
