"""Questions: who may answer, when nobody may any more, and on whose terms they are asked."""

from __future__ import annotations

import pytest

from agents.tool import OutcomeUnknownError, ToolContext
from config.specs import ApprovalSpec, ApproversSpec, EscalationSpec, Verdict
from jobs import commands as c
from jobs.commands import Refusal, Refused, TimerKind
from jobs.questions import answerers_text
from jobs.run import decide
from jobs.state import Person, Question, Run, Status
from tests.jobs.plans import ALICE, NOW, STRANGER, plan, send, started, step, take
from tests.jobs.world import ALLOW, Args, World, policy, tool_step
from tests.jobs.world import plan as answered_plan

LEA = Person("console:lea", "Lea", frozenset({"leads"}))
ESCALATING = ApprovalSpec(
    approvers=ApproversSpec(groups=("oncall",)),
    expires_after_s=600,
    escalation=EscalationSpec(after_s=60, to=ApproversSpec(groups=("leads",))),
)
ASKS = policy("ask", Verdict.ASK, ESCALATING, tool="act.*")


def asking() -> Run:
    """Return a run that waits for an answer of oncall, and after a minute of the leads too."""
    question = Question(
        "q-1",
        "fix",
        "Did it happen?",
        groups=("oncall",),
        expires_at=NOW + 600,
        escalate_at=NOW + 60,
        escalate_groups=("leads",),
    )
    run = take(started(plan(step("fix"), step("end", after=("fix",)))), "fix")
    return send(run, c.AskQuestion("fix", 1, question))


def refusal(run: Run, person: Person, now: float = NOW) -> Refusal:
    """Return why the person's answer does not count."""
    with pytest.raises(Refused) as refused:
        decide(run, c.AnswerQuestion("q-1", person, "yes"), now)
    return refused.value.refusal


def test_escalation_lets_others_answer() -> None:
    """After the escalation its people may answer too; it happens once."""
    run = asking()
    timer = c.FireTimer(TimerKind.ESCALATION, "q-1")
    assert refusal(run, LEA) is Refusal.NOT_ALLOWED

    run = send(run, timer, NOW + 60)

    assert decide(run, timer, NOW + 61) == []
    assert answerers_text(run.questions["q-1"]) == "group oncall or group leads"
    assert refusal(run, STRANGER) is Refusal.NOT_ALLOWED
    run = send(run, c.AnswerQuestion("q-1", LEA, "yes"))
    assert run.steps["fix"].status is Status.QUEUED


def test_question_that_anybody_may_answer_stays_open_to_all() -> None:
    """An escalation pings; it never narrows who may answer."""
    question = Question("q-1", "fix", "Which?", escalate_at=NOW, escalate_groups=("leads",))
    run = send(take(started(plan(step("fix"))), "fix"), c.AskQuestion("fix", 1, question))

    run = send(run, c.FireTimer(TimerKind.ESCALATION, "q-1"))

    assert send(run, c.AnswerQuestion("q-1", STRANGER, "this")).questions["q-1"].answer == "this"


def test_question_expires_and_fails_its_step() -> None:
    """When nobody answered in time the step fails, once, and an answer comes too late."""
    run = asking()
    timer = c.FireTimer(TimerKind.EXPIRY, "q-1")
    assert refusal(run, ALICE, NOW + 600) is Refusal.EXPIRED

    run = send(run, timer, NOW + 600)

    assert run.steps["fix"].status is Status.FAILED
    assert run.steps["fix"].error == "nobody answered its question in time"
    assert run.steps["end"].status is Status.QUEUED
    assert refusal(run, ALICE) is Refusal.EXPIRED
    assert decide(run, timer, NOW + 601) == []
    assert decide(run, c.FireTimer(TimerKind.ESCALATION, "q-1"), NOW + 601) == []


def test_answered_question_does_not_expire() -> None:
    """A timer that comes after the answer changes nothing."""
    run = send(asking(), c.AnswerQuestion("q-1", ALICE, "yes"))

    assert decide(run, c.FireTimer(TimerKind.EXPIRY, "q-1"), NOW + 600) == []


async def cut(_: ToolContext, __: Args) -> str:
    """Be a write whose outcome nobody sees."""
    raise OutcomeUnknownError("cut off")


async def test_question_about_a_write_has_the_terms_of_its_approval() -> None:
    """It waits as long as the approval did, and who approved after an escalation may answer."""
    world = World(policies=(ASKS,), behaviours={"act.once": cut})
    await world.start(answered_plan(tool_step("s", "act.once")))
    await world.later(100)
    await world.decide(LEA)

    question = await world.question()

    assert question.groups == ("oncall", "leads")
    assert question.expires_at == NOW + 100 + 600
    assert question.escalate_at == NOW + 100 + 60
    run = await world.answer("done", LEA)
    assert run.status is Status.SUCCEEDED


async def test_unanswered_write_fails_its_step_and_says_to_look() -> None:
    """Even a write that needed no approval does not hold its step for ever."""
    world = World(policies=(ALLOW,), behaviours={"act.once": cut})
    run = await world.start(answered_plan(tool_step("s", "act.once", inputs={"text": "x"})))
    question = await world.question()
    assert (question.users, question.groups) == ((), ())
    assert question.expires_at is not None

    await world.runs().send(run.id, c.FireTimer(TimerKind.EXPIRY, question.id))

    state = await world.step("s")
    assert state.status is Status.FAILED
    assert "outcome unknown" in state.error
    assert "act.once x" in state.error
