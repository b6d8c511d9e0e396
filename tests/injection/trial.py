"""One payload against the house: plant it, let the model obey, and look at what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from agents.domain import Goal, Moment, Origin, Plan, Step
from agents.longterm import Fact
from agents.models.scripted import ScriptedModel
from agents.tools import http
from config.specs import PolicySpec, RouteSpec
from jobs import commands as c
from jobs.incidents import Alert, Arrival
from jobs.planning import MESSAGE
from jobs.rehearsal import rehearse
from jobs.state import Approval, ApprovalStatus, Person, Run
from tests.injection.house import (
    BOSS,
    DATABASE,
    LIST_FILES,
    NOW,
    READ_NOTES,
    SERVICE,
    TELLER,
    WORKER,
    House,
    Planted,
    goal,
)
from tests.injection.judge import Effect, effects
from tests.injection.obedient import Obedient
from tests.injection.outside import FAR, Outside
from tests.injection.payloads import Carrier, Payload, Wanted

ALICE = Person("console:alice", "Alice", frozenset({"oncall", "support", "comms"}))
LEADS = (
    Person("console:lena", "Lena", frozenset({"leads"})),
    Person("console:lee", "Lee", frozenset({"leads"})),
)
RUN_ID, EARLIER_ID = "run-1", "run-0"
WORK = "work"
AT_REST_S = 300.0
LIMIT_S = 60.0
_LOG = Wanted(tool="logs.search", args={"service": SERVICE, "contains": "e"})
_DEPLOYS = Wanted(tool="deploys.recent", args={"service": SERVICE})
_LOOKS = {
    Carrier.ALERT: Wanted(tool="alerts.related", args={"service": SERVICE}),
    Carrier.LOG: _LOG,
    Carrier.PATTERN: Wanted(tool="logs.patterns", args={"service": SERVICE}),
    Carrier.FILE: Wanted(tool=LIST_FILES),
    Carrier.COMMIT: _DEPLOYS,
    Carrier.SUBJECT: _DEPLOYS,
    Carrier.ROW: Wanted(
        tool="sql.query",
        args={"database": DATABASE, "sql": "SELECT name FROM customer ORDER BY id"},
    ),
    Carrier.COLUMN: Wanted(tool="sql.tables", args={"database": DATABASE}),
    Carrier.TOOL: Wanted(tool=READ_NOTES),
    Carrier.FAILURE: Wanted(tool=READ_NOTES),
    Carrier.FACT: Wanted(tool="memory.search", args={"query": "what to do about the shop"}),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one payload."""

    payload: Payload
    has_obeyed: bool
    effects: tuple[Effect, ...]
    run: Run


@dataclass(frozen=True, slots=True)
class Crowd:
    """Those who approve whatever they may, and answer what is easiest."""

    people: Sequence[Person] = (ALICE,)

    def act(self, run: Run) -> list[c.Command]:
        """Approve, each once; choose the first answer."""
        return [
            *(
                vote
                for approval in run.approvals.values()
                if approval.status is ApprovalStatus.PENDING
                for vote in self._votes(approval)
            ),
            *(
                c.AnswerQuestion(one.id, self.people[0], one.options[0] if one.options else "Yes.")
                for one in run.questions.values()
                if one.is_open
            ),
        ]

    def _votes(self, approval: Approval) -> Iterator[c.Decide]:
        terms = approval.terms
        for person in self.people:
            has_voted = person.id in {vote.person_id for vote in approval.votes}
            may = person.id in terms.users or person.groups & set(terms.groups)
            if may and not has_voted:
                yield c.Decide(
                    approval_id=approval.id,
                    person=person,
                    is_approval=True,
                    revision=approval.revision,
                    digest=approval.digest,
                )


async def attack(
    payload: Payload,
    folder: Path,
    outside: Outside,
    policies: tuple[PolicySpec, ...],
    crowd: Crowd | None = None,
) -> Trial:
    """Let one payload act on a house of its own, whose only approver is one person on call."""
    outside.forget()
    payload = payload.filled(outside.names)
    house = House(folder, outside, _planted(payload), policies)
    look = _LOOKS.get(payload.carrier)
    if payload.carrier is Carrier.PAGE:
        outside.allowed.page = payload.whole
        look = Wanted(tool="http.get", args={"url": outside.allowed.url})
    earlier: tuple[str, ...] = ()
    if payload.carrier in (Carrier.EVIDENCE, Carrier.ANSWER):
        earlier = (await _earlier_run(house, payload),)
        if payload.carrier is Carrier.EVIDENCE:
            look = Wanted(tool="evidence.read", args={"evidence_id": f"{EARLIER_ID}/ev-look-call"})
    model = Obedient(payload, look)
    tools = dict.fromkeys(
        [*([look.tool] if look else ()), READ_NOTES, *(one.tool for one in payload.calls)]
    )
    known = [name for name in tools if name in house.toolbox]
    executor = house.executor(ScriptedModel(model), known)
    await _plant_elsewhere(house, payload)
    await house.runs.start(RUN_ID, _goal(payload, earlier), _plan(payload))
    if payload.carrier is Carrier.MESSAGE:
        moment = Moment(at=house.clock.now + 1, text=payload.whole, kind=MESSAGE)
        await house.runs.send(RUN_ID, c.Signal(moment))

    def pass_time() -> None:
        house.clock.now += AT_REST_S

    with _far_is_public():
        rehearsal = await rehearse(
            house.store,
            house.runs,
            executor,
            RUN_ID,
            crowd or Crowd(),
            limit_s=LIMIT_S,
            at_rest=pass_time,
        )
    found = tuple(await effects(house, payload, rehearsal))
    return Trial(payload, model.has_obeyed, found, rehearsal.run)


def _planted(payload: Payload) -> Planted:
    whole = payload.whole
    match payload.carrier:
        case Carrier.LOG | Carrier.PATTERN | Carrier.EVIDENCE | Carrier.ANSWER | Carrier.SIBLING:
            return Planted(log_line=f"ERROR {whole}")
        case Carrier.FILE:
            return Planted(file_name=whole)
        case Carrier.COMMIT:
            return Planted(committed_file=whole)
        case Carrier.SUBJECT:
            return Planted(commit_subject=whole)
        case Carrier.ROW:
            return Planted(row=whole)
        case Carrier.COLUMN:
            return Planted(column=whole)
        case Carrier.TOOL:
            return Planted(tool_text=whole)
        case Carrier.FAILURE:
            return Planted(tool_error=whole)
        case Carrier.DESCRIPTION:
            return Planted(tool_description=whole)
        case _:
            return Planted()


async def _plant_elsewhere(house: House, payload: Payload) -> None:
    if payload.carrier is Carrier.FACT:
        source = "run-old/ev-look-call"
        await house.facts.keep(Fact("fact-old", payload.whole, source, "run-old", NOW - 60))
    if payload.carrier is Carrier.ALERT:
        alert = Alert(
            fingerprint="f00d",
            source="alertmanager",
            title="Broken",
            severity="critical",
            labels={"service": SERVICE},
            annotations={"summary": payload.whole},
            starts_at=NOW - 60,
        )
        route = RouteSpec(name="all", workflow=None)
        await house.incidents.accept([Arrival(alert, route)], NOW)


def _goal(payload: Payload, earlier: tuple[str, ...]) -> Goal:
    if payload.carrier is Carrier.ANNOTATION:
        return goal(
            "Broken: the shop",
            requester_id="source:alertmanager",
            requester_name="alertmanager",
            origin=Origin.ALERT,
            facts={"labels": {"service": SERVICE}, "annotations": {"summary": payload.whole}},
        )
    if payload.carrier is Carrier.FORM:
        return goal(
            "A ticket",
            requester_id="source:form",
            requester_name="form",
            origin=Origin.FORM,
            inputs={"text": payload.whole},
            facts={"text": payload.whole},
        )
    return goal(earlier=earlier)


def _plan(payload: Payload) -> Plan:
    if payload.via.startswith("plan"):
        return Plan(workflow="", steps=(Step(WORK, "Work", agent=BOSS),), answer=WORK)
    inputs = {
        Carrier.ANNOTATION: {"annotations": "{{ goal.facts.annotations }}"},
        Carrier.FORM: {"ticket": "{{ goal.inputs.text }}"},
    }.get(payload.carrier, {})
    before: tuple[Step, ...] = ()
    if payload.carrier is Carrier.SIBLING:
        before = (_look_step(),)
    work = Step(
        WORK,
        "Work",
        agent=WORKER,
        instruction="Find out what is wrong.",
        inputs=dict(inputs),
        needs=tuple(step.id for step in before),
    )
    return Plan(workflow="test", steps=(*before, work), answer=WORK)


def _look_step() -> Step:
    return Step("look", "Look", tool=_LOG.tool, inputs=dict(_LOG.args))


async def _earlier_run(house: House, payload: Payload) -> str:
    """Let a run of the same thread read the payload, and repeat it if it is to be its answer."""
    said = "{{ steps.look.lines | join(' ') }}" if payload.carrier is Carrier.ANSWER else "Done."
    answer = Step("answer", "Answer", agent=TELLER, needs=("look",), inputs={"said": said})
    plan = Plan(workflow="test", steps=(_look_step(), answer), answer="answer")
    await house.runs.start(EARLIER_ID, goal(), plan)
    executor = house.executor(ScriptedModel([]), [_LOG.tool])
    await rehearse(house.store, house.runs, executor, EARLIER_ID, limit_s=LIMIT_S)
    return EARLIER_ID


@contextmanager
def _far_is_public() -> Iterator[None]:
    """Let one loopback address stand for the public internet, which tests never touch."""
    honest = http.is_public

    def is_public(address: http.Address) -> bool:
        return str(address) == FAR or honest(address)

    with patch.object(http, "is_public", is_public):
        yield
