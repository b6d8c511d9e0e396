"""Goals and deliveries become incidents and runs, once each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.domain import Goal, Origin, Plan, ThreadRef
from bot import intake as intake_module
from bot.intake import BadDeliveryError, Intake, UnknownSourceError
from bot.platforms.memory import MemoryPlatform
from bot.platforms.port import PlatformBusyError, PlatformError
from config.contents import Catalogue
from config.specs import AgentSpec, RouteSpec
from jobs.commands import StopRun
from jobs.filling import filled
from jobs.incident_store import MemoryIncidentStore
from jobs.incidents import Incident
from jobs.memory_store import MemoryStore
from jobs.service import Runs
from jobs.state import Run
from jobs.store import StoreUnavailableError
from jobs.summary import variables
from tests.bot.samples import ALICE, CATALOGUE, am_alert, am_body

RESOLVED = am_alert(status="resolved", ended="2026-11-20T21:31:05Z")
LATER = "2026-11-20T21:33:05Z"
EPOCH = 1_795_210_230.0
"""Shortly after the sample alerts began."""


class World:
    """Everything an intake stands between, in memory."""

    def __init__(
        self,
        catalogue: Catalogue = CATALOGUE,
        most: int = 10,
        secrets: tuple[str, ...] = (),
        aliases: tuple[str, ...] = (),
    ) -> None:
        self.now = EPOCH
        self.platform = MemoryPlatform("console")
        self.incidents = MemoryIncidentStore()
        self.runs = Runs(MemoryStore(self.clock), self.clock)
        self.intake = Intake(
            catalogue=catalogue,
            runs=self.runs,
            incidents=self.incidents,
            platforms={"console": self.platform},
            clock=self.clock,
            starts_per_minute=most,
            secrets=secrets,
            aliases=aliases,
        )

    def clock(self) -> float:
        """Return the time that was set."""
        return self.now

    async def deliver(self, *alerts: dict[str, Any]) -> Any:
        """Deliver alerts as Alertmanager does."""
        return await self.intake.deliver("alertmanager", am_body(*alerts))

    async def incident(self, index: int = 0) -> Incident:
        """Return an incident, newest first."""
        return list(await self.incidents.list())[index]

    async def run_ids(self) -> list[str]:
        """Return the ids of all runs."""
        return await self.runs.store.run_ids()

    async def run(self, run_id: str) -> Run:
        """Return a run."""
        return await self.runs.get(run_id)


@pytest.fixture
def world() -> World:
    """Return an empty world."""
    return World()


async def test_typed_goal_starts_the_fitting_workflow(world: World) -> None:
    """The run has the requester, the inputs found in the text, and a thread of its own."""
    told = await world.intake.submit("why is checkout failing?", ALICE, "incidents", "k1")

    assert told.run_id
    run = await world.run(told.run_id)
    assert run.goal.inputs == {"service": "checkout"}
    assert run.goal.origin is Origin.MESSAGE
    assert run.goal.requester_id == ALICE.id
    assert world.platform.titles == {run.goal.thread: "why is checkout failing?"}
    assert world.platform.shown == {}
    assert told.sentence.startswith("Started Incident response, because")


SUPERVISED = replace(
    CATALOGUE,
    agents={
        **CATALOGUE.agents,
        "supervisor": AgentSpec(
            name="supervisor",
            title="Supervisor",
            description="Plans.",
            model="smart",
            supervises=True,
        ),
    },
)


async def test_with_a_model_the_supervisor_takes_typed_goals() -> None:
    """The plan is one step; the words of the goal are no expression, whatever they hold."""
    world = World(SUPERVISED, aliases=("smart",))

    told = await world.intake.submit("sum up {{ everything }}", ALICE, "incidents", "k1")

    assert told.run_id
    run = await world.run(told.run_id)
    (step,) = run.plan.steps
    assert (step.agent, step.title, run.plan.answer) == (
        "supervisor",
        "sum up {{ everything }}",
        "goal",
    )
    assert filled(step, variables(run, step)).instruction == "sum up {{ everything }}"
    assert run.goal.inputs == {}
    assert told.sentence == "Supervisor is planning it."


async def test_a_supervisor_without_a_model_takes_nothing() -> None:
    """Without a model words choose, as if there were no supervisor."""
    world = World(SUPERVISED, aliases=("fast",))

    told = await world.intake.submit("why is checkout failing?", ALICE, "incidents", "k1")

    assert told.run_id
    assert (await world.run(told.run_id)).plan.workflow == "incident"


async def test_a_goal_knows_the_runs_of_its_thread(world: World) -> None:
    """A follow-up remembers what was asked before in the same conversation."""
    thread = ThreadRef("console", "ops", "t9")
    first = await world.intake.submit("payments is slow", ALICE, "ops", "k1", thread)
    await world.intake.submit("payments is slow", ALICE, "ops", "other")

    second = await world.intake.submit("payments is down", ALICE, "ops", "k2", thread)

    assert second.run_id
    assert (await world.run(second.run_id)).goal.earlier == (first.run_id,)


async def test_same_key_gives_the_same_run(world: World) -> None:
    """A goal that is sent twice runs once and opens one thread."""
    first = await world.intake.submit("why is checkout failing?", ALICE, "incidents", "k1")
    again = await world.intake.submit("why is checkout failing?", ALICE, "incidents", "k1")
    other = await world.intake.submit("why is checkout failing?", ALICE, "incidents", "k2")

    assert first.run_id == again.run_id != other.run_id
    assert len(world.platform.titles) == 2


async def test_goal_in_a_thread_stays_there(world: World) -> None:
    """What is asked in a conversation is answered in it."""
    thread = ThreadRef("console", "ops", "t9")

    told = await world.intake.submit("payments is slow", ALICE, "ops", "k", thread)

    assert told.run_id
    assert (await world.run(told.run_id)).goal.thread == thread
    assert world.platform.titles == {}


@pytest.mark.parametrize("text", ["hello", "   "])
async def test_goal_that_fits_nothing_starts_nothing(world: World, text: str) -> None:
    """The sentence and the choices say what can be done; no thread is opened."""
    told = await world.intake.submit(text, ALICE, "incidents", "k")

    assert told.run_id is None
    assert told.sentence
    assert "why is checkout failing?" in told.choices
    assert world.platform.titles == {}


async def test_secret_in_a_goal_is_not_kept(world: World) -> None:
    """What looks like a secret is taken out before anything is stored."""
    text = "why is checkout failing? password=hunter2hunter2"

    told = await world.intake.submit(text, ALICE, "incidents", "k")

    assert told.run_id
    assert "hunter2" not in repr(await world.run(told.run_id))


async def test_goal_without_a_thread_says_why(world: World) -> None:
    """A platform that refuses is named to the requester, and nothing runs."""
    world.platform.refusals.append(PlatformError("there is no channel #x"))

    told = await world.intake.submit("why is checkout failing?", ALICE, "x", "k")

    assert told.run_id is None
    assert "no channel #x" in told.sentence


async def test_alert_starts_a_run_in_a_thread(world: World) -> None:
    """One delivery: an incident, a thread, a run with the alert's label and facts."""
    receipt = await world.deliver()

    assert (receipt.accepted, receipt.repeated) == (1, 0)
    incident = await world.incident()
    assert receipt.incident_ids == (incident.id,)
    assert incident.run_ids == (f"run-{incident.id}-1",)
    assert not incident.is_due
    run = await world.run(incident.run_ids[0])
    assert run.goal.inputs == {"service": "checkout"}
    assert run.goal.requester_id == "source:alertmanager"
    assert run.goal.incident_id == incident.id
    assert run.goal.thread == incident.thread
    assert run.goal.facts["alert_count"] == 1
    assert [moment.text for moment in run.signals] == ["Alert fired: CheckoutErrorRateHigh"]
    assert list(world.platform.titles.values()) == ["checkout: CheckoutErrorRateHigh"]


async def test_repeated_delivery_starts_nothing(world: World) -> None:
    """The sender's repeats are counted; there is one run."""
    await world.deliver()
    receipt = await world.deliver()

    assert (receipt.accepted, receipt.repeated) == (0, 1)
    assert len(await world.run_ids()) == 1
    assert (await world.incident()).folded == 1


async def test_second_service_gets_its_own_incident(world: World) -> None:
    """Alerts of two services in one delivery are two incidents with a run each."""
    receipt = await world.deliver(am_alert(), am_alert(service="payments"))

    assert receipt.accepted == 2
    assert len(receipt.incident_ids) == 2
    assert len(await world.run_ids()) == 2


async def test_storm_of_one_service_starts_one_run(world: World) -> None:
    """Two hundred alerts of a service are one incident and one run."""
    receipt = await world.deliver(*(am_alert(f"A{n}") for n in range(200)))

    assert receipt.accepted == 200
    assert len(await world.run_ids()) == 1
    assert (await world.incident()).total == 200


async def test_resolution_is_told_to_the_run(world: World) -> None:
    """The run hears of the recovery with its time, once."""
    await world.deliver()
    await world.deliver(RESOLVED)
    await world.deliver(RESOLVED)

    incident = await world.incident()
    assert incident.is_resolved
    assert not incident.is_due
    run = await world.run(incident.run_ids[0])
    recoveries = [moment for moment in run.signals if moment.kind == "recovery"]
    assert [moment.text for moment in recoveries] == ["Alert resolved: CheckoutErrorRateHigh"]


async def come_back_during_the_run(world: World) -> Incident:
    """Let the alert be resolved and fire again while its run goes on."""
    await world.deliver()
    await world.deliver(RESOLVED)
    world.now = EPOCH + 300
    await world.deliver(am_alert(started=LATER))
    return await world.incident()


async def test_alert_that_comes_back_is_told_to_the_run_that_goes_on(world: World) -> None:
    """It hears that the alert fired again; no second run starts beside it."""
    incident = await come_back_during_the_run(world)
    await world.intake.reconcile()

    assert len(incident.run_ids) == 1
    run = await world.run(incident.run_ids[0])
    assert run.signals[-1].text == "Alert fired again: CheckoutErrorRateHigh"
    assert incident.waiting.startswith("It fired again: another run starts")


async def test_alert_that_comes_back_while_its_run_ends_is_looked_at(world: World) -> None:
    """A run may be past looking: once it has ended, the next one starts and hears why."""
    incident = await come_back_during_the_run(world)
    await world.runs.send(incident.run_ids[0], StopRun(ALICE))
    await world.intake.reconcile()
    await world.intake.reconcile()

    again = await world.incident()
    assert again.run_ids == (f"run-{incident.id}-1", f"run-{incident.id}-2")
    assert (again.waiting, again.is_due) == ("", False)
    run = await world.run(again.run_ids[1])
    assert [moment.text for moment in run.signals] == ["Alert fired again: CheckoutErrorRateHigh"]


async def test_alert_that_recovers_before_its_run_ended_needs_no_other(world: World) -> None:
    """The next run is called off by the recovery."""
    incident = await come_back_during_the_run(world)
    ended = "2026-11-20T21:34:05Z"
    await world.deliver(am_alert(status="resolved", started=LATER, ended=ended))
    await world.intake.reconcile()
    await world.runs.send(incident.run_ids[0], StopRun(ALICE))
    await world.intake.reconcile()

    over = await world.incident()
    assert len(over.run_ids) == 1
    assert (over.waiting, over.is_due) == ("", False)


async def test_alert_that_comes_back_after_its_run_starts_another(world: World) -> None:
    """Same incident, same thread, next run."""
    await world.deliver()
    incident = await world.incident()
    await world.runs.send(incident.run_ids[0], StopRun(ALICE))
    await world.deliver(RESOLVED)
    world.now = EPOCH + 300
    await world.deliver(am_alert(started=LATER))

    again = await world.incident()
    assert again.id == incident.id
    assert again.run_ids == (f"run-{incident.id}-1", f"run-{incident.id}-2")
    assert (await world.run(again.run_ids[1])).goal.thread == incident.thread


async def test_incident_that_keeps_coming_back_is_left_to_people(world: World) -> None:
    """After a number of runs no more are started, and the incident says so."""
    for n in range(7):
        start = f"2026-11-20T21:{30 + n}:05Z"
        world.now = EPOCH + 60 * n
        await world.deliver(am_alert(started=start))
        for run_id in (await world.incident()).run_ids:
            run = await world.run(run_id)
            if not run.is_over:
                await world.runs.send(run_id, StopRun(ALICE))
        end = f"2026-11-20T21:{30 + n}:25Z"
        await world.deliver(am_alert(started=start, status="resolved", ended=end))

    incident = await world.incident()
    assert len(incident.run_ids) == 5
    assert "ask for one by hand" in incident.waiting


async def test_full_channel_makes_incidents_wait_visibly() -> None:
    """Runs beyond the cap start when there is room; until then the incident says so."""
    services = dict.fromkeys("abc", CATALOGUE.services["checkout"])
    world = World(replace(CATALOGUE, services=services), most=2)
    await world.deliver(am_alert(service="a"), am_alert(service="b"))
    world.now += 1
    await world.deliver(am_alert(service="c"))

    waiting = await world.incident()
    assert waiting.run_ids == ()
    assert waiting.waiting.startswith("Waiting: 2 runs were started in incidents")
    assert waiting.thread is not None
    world.now += 61
    assert await world.intake.reconcile() == 1

    started = await world.incident()
    assert len(started.run_ids) == 1
    assert started.waiting == ""
    assert not started.is_due


async def test_crash_before_the_run_started_is_mended(world: World) -> None:
    """What was accepted starts when the next process looks, and only once."""
    arrivals = world.intake.arrivals("alertmanager", am_body())
    await world.incidents.accept(arrivals, EPOCH)

    await world.intake.reconcile()
    await world.intake.reconcile()

    incident = await world.incident()
    assert len(incident.run_ids) == 1
    assert await world.incidents.due() == ()


async def test_crash_between_start_and_note_starts_no_second_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's id is the incident's, so starting again finds the run."""

    async def crash(before: Incident, after: Incident) -> Incident:
        raise StoreUnavailableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(world.incidents, "update", crash)
        receipt = await world.deliver()
    assert receipt.accepted == 1
    assert (await world.incident()).is_due

    await world.intake.reconcile()

    assert len(await world.run_ids()) == 1
    assert len((await world.incident()).run_ids) == 1


async def test_silent_platform_is_tried_again(world: World) -> None:
    """No thread now means later; the delivery is accepted all the same."""
    world.platform.refusals.extend([PlatformBusyError(5), PlatformError("no such channel")])
    await world.deliver()
    await world.intake.reconcile()
    assert "no such channel" in (await world.incident()).waiting

    await world.intake.reconcile()

    incident = await world.incident()
    assert incident.thread is not None
    assert len(incident.run_ids) == 1
    assert incident.waiting == ""


@pytest.mark.parametrize(
    ("alert", "said"),
    [
        (am_alert(service="unknown"), "services.yaml"),
        (am_alert() | {"labels": {"alertname": "NoService"}}, "has no label service"),
    ],
)
async def test_alert_without_usable_inputs_is_shown_with_the_reason(
    world: World, alert: dict[str, Any], said: str
) -> None:
    """The incident has a thread and says what to mend; nothing runs and nothing stays due."""
    await world.deliver(alert)

    incident = await world.incident()
    assert incident.thread is not None
    assert said in incident.waiting
    assert await world.run_ids() == []
    assert not incident.is_due


async def test_route_to_an_unknown_workflow_or_platform_is_said() -> None:
    """A route that names what does not exist shows where to mend it."""
    routes = (
        RouteSpec(name="typo", match={"service": "checkout"}, workflow="incidnt"),
        RouteSpec(name="lost", workflow="incident", platform="slack"),
    )
    world = World(replace(CATALOGUE, routes=routes))
    await world.deliver(am_alert(), am_alert(service="payments"))

    by_service = {incident.service: incident for incident in await world.incidents.list()}
    assert "did you mean" in by_service["checkout"].waiting
    assert "names the platform slack" in by_service["payments"].waiting


async def test_alert_that_no_route_matches_is_shown() -> None:
    """It has an incident with a thread, and no run."""
    world = World(replace(CATALOGUE, routes=()))
    await world.deliver()

    incident = await world.incident()
    assert (incident.route, incident.workflow) == ("unrouted", "")
    assert incident.thread is not None
    assert await world.run_ids() == []


async def test_unknown_source_and_bad_body_are_refused(world: World) -> None:
    """Nothing is kept of what cannot be read."""
    with pytest.raises(UnknownSourceError, match="did you mean"):
        await world.intake.deliver("alertmanger", am_body())
    with pytest.raises(BadDeliveryError, match="not JSON"):
        await world.intake.deliver("alertmanager", b"x")

    assert list(await world.incidents.list()) == []


async def test_empty_delivery_is_accepted(world: World) -> None:
    """A delivery without alerts is no error."""
    receipt = await world.intake.deliver("alertmanager", am_body(alerts=[]))

    assert (receipt.accepted, receipt.repeated, receipt.incident_ids) == (0, 0, ())


async def test_store_that_is_down_is_said_to_the_sender(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the alert is kept, the sender has to keep it."""

    async def down(*args: object) -> None:
        raise StoreUnavailableError("down")

    monkeypatch.setattr(world.incidents, "accept", down)

    with pytest.raises(StoreUnavailableError):
        await world.deliver()


async def test_runs_that_are_down_do_not_lose_the_alert(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once kept, an alert is accepted, whatever happens after."""

    async def down(run_id: str, goal: Goal, plan: Plan) -> Run:
        raise StoreUnavailableError("down")

    with monkeypatch.context() as patch:
        patch.setattr(world.runs, "start", down)
        assert (await world.deliver()).accepted == 1
    await world.intake.reconcile()

    assert len(await world.run_ids()) == 1


async def test_bug_with_one_incident_does_not_hold_up_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash in one is reported; the next incident starts, and the first stays due."""
    claim = world.incidents.claim_start

    async def buggy(place: str, run_id: str, now: float, most: int) -> bool:
        if run_id == f"run-{first}-1":
            raise ZeroDivisionError
        return await claim(place, run_id, now, most)

    arrivals = world.intake.arrivals("alertmanager", am_body())
    (outcome,) = await world.incidents.accept(arrivals, EPOCH)
    first = outcome.incident_id
    reported: list[BaseException] = []
    monkeypatch.setattr(intake_module, "report_error", lambda error, **_: reported.append(error))
    monkeypatch.setattr(world.incidents, "claim_start", buggy)
    world.now += 1
    await world.deliver(am_alert(service="payments"))
    await world.intake.reconcile()

    assert len((await world.incident()).run_ids) == 1
    assert [incident.id for incident in await world.incidents.due()] == [first]
    assert {type(error) for error in reported} == {ZeroDivisionError}


async def test_large_delivery_leaves_some_starts_for_later() -> None:
    """The sender does not wait for hundreds of threads; reconciling opens the rest."""
    services = {f"s{number}": CATALOGUE.services["checkout"] for number in range(30)}
    world = World(replace(CATALOGUE, services=services), most=100)
    await world.deliver(*(am_alert(service=name) for name in services))
    assert len(world.platform.titles) == 20

    await world.intake.reconcile()

    assert len(await world.run_ids()) == 30


async def test_incidents_that_wait_for_ever_hold_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Reconciling goes on behind those that stay due, and comes back to them."""
    monkeypatch.setattr(intake_module, "MAX_DUE", 2)
    monkeypatch.setattr(intake_module, "MAX_SETTLED_AT_ONCE", 0)
    routes = (
        RouteSpec(name="lost", match={"service": "s*"}, workflow="incident", platform="slack"),
        *CATALOGUE.routes,
    )
    world = World(replace(CATALOGUE, routes=routes))
    await world.deliver(*(am_alert(service=f"s{number}") for number in range(5)))
    world.now += 1
    await world.deliver()

    looked_at = [await world.intake.reconcile() for _ in range(4)]

    assert looked_at == [2, 2, 2, 2]
    assert len(await world.run_ids()) == 1


async def test_resolved_while_it_waited_needs_no_run() -> None:
    """An incident that is over before its turn came is not investigated."""
    world = World(most=0)
    await world.deliver()
    assert (await world.incident()).waiting.startswith("Waiting")
    await world.deliver(RESOLVED)
    await world.intake.reconcile()

    incident = await world.incident()
    assert incident.waiting == "It was resolved before a run could start."
    assert not incident.is_due


async def test_known_secret_in_alerts_and_goals_is_not_kept() -> None:
    """A token of ours that somebody puts into a label or a goal is masked at the door."""
    world = World(secrets=("open sesame",))

    await world.deliver({**am_alert(), "annotations": {"summary": "say open sesame"}})
    given = await world.intake.submit(
        "why is checkout failing? open sesame", ALICE, "incidents", "k"
    )

    assert given.run_id is not None
    runs = [await world.run(run_id) for run_id in await world.run_ids()]
    assert len(runs) == 2
    assert "sesame" not in repr((await world.incident(), runs))
