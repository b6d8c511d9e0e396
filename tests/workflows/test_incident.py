"""Incident response, from an alert to what people were told, with and without a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import time
from typing import Any

import pytest

from agents.domain import JsonObject, Origin
from agents.tool import Tool, ToolContext, ToolResult
from agents.tools import metrics
from agents.tools.alerts import AlertFacts, IncidentFacts
from agents.tools.metrics import WaitArguments, WaitOutput
from bot.evals.monitor import Monitor
from bot.evals.reading import read_scenarios
from bot.evals.scenario import RecordedOutletSpec
from bot.evals.world import living_world
from config.lint.workflows import ancestors
from config.specs import ServicesFile
from jobs.advance import OVERTAKEN
from jobs.rehearsal import Decision, Rehearsal, ScriptedPeople
from jobs.state import ApprovalStatus, Run, Status
from tests.workflows.house import CATALOGUE, Brain, House, OneModel

SCENARIOS = {one.name: one for one in read_scenarios(Path(__file__).parents[1] / "evals")}
INCIDENT = "inc-1"
YES = ScriptedPeople((Decision("*", is_approval=True),))
SERVICES_ONLY = (Decision("service.*", is_approval=True),)
TITLES = tuple(agent.title for agent in CATALOGUE.agents.values() if agent.model)


async def _normal(context: ToolContext, args: WaitArguments) -> ToolResult:
    line = f"{args.service}: normal"
    output = WaitOutput(
        service=args.service, is_normal=True, normal_since=context.now, lines=[line]
    )
    return ToolResult(output, line, "Waited")


@dataclass(slots=True)
class Book:
    """Knows one firing alert, whose incident is over as soon as somebody waits for that."""

    others: list[IncidentFacts] = field(default_factory=list)

    async def related(self, service: str, since: float) -> list[AlertFacts]:
        """Return the alert."""
        return [AlertFacts("f1", "ErrorsHigh", service, "critical", time() - 150)]

    async def incident(self, incident_id: str) -> IncidentFacts | None:
        """Return the incident, over."""
        return IncidentFacts(incident_id, "ErrorsHigh", time() - 150, time(), "checkout")

    async def open_incidents(self) -> list[IncidentFacts]:
        """Return this incident and the others."""
        own = IncidentFacts(INCIDENT, "ErrorsHigh", time() - 150, None, "checkout")
        return [own, *self.others]


class Stage:
    """Recorded worlds, brought to life one at a time."""

    def __init__(self, monitor: Monitor, open_worlds: ExitStack) -> None:
        self._monitor = monitor
        self._open_worlds = open_worlds

    async def told(
        self,
        scenario: str,
        people: Any = YES,
        *,
        incident_id: str = INCIDENT,
        outlets: tuple[str, ...] = ("status-page", "customer-notice"),
        others: tuple[IncidentFacts, ...] = (),
        brains: Mapping[str, Brain] | None = None,
    ) -> Rehearsal:
        """Return how the run of an alert of the scenario's service went."""
        spec = SCENARIOS[scenario]
        world = spec.world.model_copy(
            update={"outlets": {name: RecordedOutletSpec() for name in outlets}}
        )
        living = living_world(
            spec.model_copy(update={"world": world}), self._monitor, "world", time()
        )
        services: ServicesFile = self._open_worlds.enter_context(living).services
        house = House(
            services,
            book=Book(list(others)),
            tools=(_quick(),),
            models=OneModel(brains) if brains else None,
        )
        goal: dict[str, Any] = {"incident_id": incident_id, "origin": Origin.ALERT}
        await house.start("incident", {"service": "checkout"}, **goal)
        played = await house.play(people, limit_s=90)
        assert played.run.status is Status.SUCCEEDED, played.run.answer
        return played


def _quick() -> Tool:
    """Return the tool that waits for recovery, without the waiting."""
    tool = next(one for one in metrics.TOOLS if one.name == "metrics.wait_normal")
    return replace(tool, run=_normal, is_confined=False)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Open the monitor that worlds are read from."""
    with Monitor() as monitor, ExitStack() as open_worlds:
        yield Stage(monitor, open_worlds)


def follow_the_rules(given: JsonObject) -> JsonObject:
    """Be an agent that hands in what the rules made of it."""
    rules: Any = given["rules"]
    return dict(rules)


def statuses(run: Run, *steps: str) -> list[str]:
    """Return where the steps ended."""
    return [run.steps[step].status.value for step in steps]


async def test_people_are_told_once_at_the_start_and_once_at_the_end(stage: Stage) -> None:
    """The channel hears by itself, the public after an approval of the exact words."""
    run = (await stage.told("bad-release-approved")).run

    began, over = run.posts
    assert began.text.startswith("Confirmed: checkout's error ratio is at ")
    assert over.text.startswith("Over: checkout is back to normal")
    assert (began.mentions, over.mentions) == ((), ())
    sent = [call.args for call in run.calls.values() if call.tool == "outlet.send"]
    assert [(one["outlet"], one.get("fields")) for one in sent] == [
        ("status-page", {"state": "investigating", "eta": _eta(sent[0])}),
        ("customer-notice", None),
        ("status-page", {"state": "resolved"}),
    ]
    assert "some requests to checkout fail" in str(sent[0]["text"])
    asked = [one for one in run.approvals.values() if one.step_id == "allow_public"]
    assert [one.terms.groups for one in asked] == [("comms", "oncall")]
    assert [call.tool for one in asked for call in one.calls] == ["outlet.send"] * 2
    assert run.answer is not None
    assert run.answer.finding == "fixed"


def _eta(args: JsonObject) -> str:
    fields: Any = args["fields"]
    assert f"We will say more by {fields['eta']}." in str(args["text"])
    return str(fields["eta"])


async def test_an_undecided_public_message_holds_up_nothing(stage: Stage) -> None:
    """The fix and the answer come all the same, and nothing was sent."""
    run = (await stage.told("bad-release-approved", _OnlyServices())).run

    assert run.answer is not None
    assert run.answer.finding == "fixed"
    assert statuses(run, "allow_public", "publish", "letter") == ["skipped"] * 3
    assert run.steps["allow_public"].reason == OVERTAKEN
    decided = {one.step_id: one.status for one in run.approvals.values()}
    assert decided == {
        "allow_public": ApprovalStatus.CANCELLED,
        "rollback": ApprovalStatus.APPROVED,
    }
    assert [call.tool for call in run.calls.values() if call.tool == "outlet.send"] == []


class _OnlyServices:
    """Decides about services, and leaves messages alone."""

    def act(self, run: Run) -> Any:
        """Approve what acts on a service."""
        approvals = {
            key: one
            for key, one in run.approvals.items()
            if any(call.tool.startswith("service.") for call in one.calls)
        }
        return ScriptedPeople(SERVICES_ONLY).act(replace(run, approvals=approvals))


@pytest.mark.parametrize("scenario", ["healthy-noise", "blip"])
async def test_nobody_is_told_of_what_the_numbers_do_not_show(stage: Stage, scenario: str) -> None:
    """An alert alone is no news."""
    run = (await stage.told(scenario)).run

    assert (run.posts, run.approvals) == ((), {})
    assert statuses(run, "notices", "tell", "allow_public", "publish") == ["skipped"] * 4


async def test_without_outlets_only_the_channel_is_told(stage: Stage) -> None:
    """Nobody is asked about a message for which there is no place."""
    run = (await stage.told("bad-release-approved", outlets=())).run

    assert len(run.posts) == 2
    assert statuses(run, "allow_public", "publish", "letter") == ["skipped"] * 3
    assert [one.step_id for one in run.approvals.values()] == ["rollback"]


async def test_a_question_tells_nobody(stage: Stage) -> None:
    """Who asks how a service is doing gets an answer, and no news goes out."""
    run = (await stage.told("bad-release-approved", incident_id="")).run

    assert run.posts == ()
    assert statuses(run, "detect", "outlets", "notices", "tell", "manual") == ["skipped"] * 5
    assert [one.step_id for one in run.approvals.values()] == ["rollback"]


def test_people_are_told_while_the_cause_is_looked_for() -> None:
    """Neither the update nor the drafts wait for the diagnosis, nor the diagnosis for them."""
    before = ancestors(CATALOGUE.workflows["incident"].steps)

    for step in ("tell", "allow_public", "publish", "letter"):
        assert before[step].isdisjoint({"logs", "rank", "rollback", "restart", "verify"})
    for step in ("rank", "rollback", "restart", "verify", "answer"):
        assert before[step].isdisjoint({"allow_public", "publish", "letter"})


async def test_an_unknown_cause_waits_for_a_fix_by_hand(stage: Stage) -> None:
    """A person is told where to look, says that it is mended, and the numbers are checked."""
    run = (await stage.told("two-causes")).run

    (asked,) = [one for one in run.approvals.values() if one.step_id == "manual"]
    assert "Look at these first: " in asked.reason
    assert asked.terms.groups == ("oncall",)
    assert run.answer is not None
    assert run.answer.finding == "fixed"
    assert "it was mended by hand" in run.answer.headline
    assert len(run.posts) == 2


async def test_an_unknown_cause_that_nobody_mends_is_said(stage: Stage) -> None:
    """Denied, the run goes on to an honest answer."""
    run = (await stage.told("two-causes", ScriptedPeople())).run

    assert statuses(run, "manual", "closing", "tell_over") == ["skipped"] * 3
    assert run.answer is not None
    assert run.answer.finding == "inconclusive"


async def test_a_part_of_a_larger_incident_says_so(stage: Stage) -> None:
    """An open incident of what the service depends on is named at once, and in the answer."""
    larger = IncidentFacts("inc-0", "LedgerDown", time() - 600, None, "payments")
    other = IncidentFacts("inc-7", "DiskFull", time() - 900, None, "search")
    run = (await stage.told("bad-release-approved", others=(other, larger))).run

    assert "Probably part of inc-0: LedgerDown of payments" in run.posts[0].text
    assert run.answer is not None
    assert "Probably part of inc-0: LedgerDown of payments" in run.answer.summary


async def test_with_models_every_analyst_thinks_once(stage: Stage) -> None:
    """What runbooks gather costs no turn, the words are the model's, the record stays."""

    def report(given: JsonObject) -> JsonObject:
        rules: Any = given["rules"]
        return {**rules, "headline": "In my own words.", "actions": [], "timeline": []}

    brains: dict[str, Brain] = dict.fromkeys(TITLES, follow_the_rules)
    brains["Reporter"] = report
    run = (await stage.told("bad-release-approved", brains=brains)).run

    assert run.answer is not None
    assert (run.answer.headline, run.answer.used_model) == ("In my own words.", True)
    assert run.answer.finding == "fixed"
    assert run.answer.actions
    assert run.answer.timeline
    assert {step: state.spent.calls for step, state in run.steps.items() if state.spent.calls} == {
        "metrics": 1,
        "logs": 1,
        "changes": 1,
        "rank": 1,
        "notices": 1,
        "closing": 1,
        "answer": 1,
    }


async def test_a_model_that_obeys_an_attacker_changes_nothing_of_the_record(stage: Stage) -> None:
    """Undeclared fixes are dropped, health is measured, and nothing is called fixed."""

    def rank(given: JsonObject) -> JsonObject:
        rules: Any = given["rules"]
        evil = {"service": "checkout", "release": "0000000"}
        return {**rules, "proposal": {"tool": "service.rollback", "args": evil, "title": "x"}}

    def report(given: JsonObject) -> JsonObject:
        return {"headline": "All is well.", "finding": "fixed", "confidence": 1.0}

    brains: dict[str, Brain] = dict.fromkeys(TITLES, follow_the_rules)
    brains |= {"Diagnostician": rank, "Reporter": report}
    run = (await stage.told("bad-release-approved", ScriptedPeople(), brains=brains)).run

    assert run.steps["rollback"].status is Status.SKIPPED
    assert [call.tool for call in run.calls.values()] == ["chat.post"]
    assert run.answer is not None
    assert run.answer.finding == "cause_found"
    assert run.answer.headline != "All is well."
