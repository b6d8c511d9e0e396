"""A rehearsal drives a run to its end: tickets, timers, approvals and questions."""

from __future__ import annotations

import asyncio

import pytest

from agents.domain import Plan
from agents.tool import ToolContext, TransientError
from config.specs import ApprovalSpec, ApproversSpec, Retries, Verdict
from jobs.executor import Executor
from jobs.rehearsal import Decision, Rehearsal, ScriptedPeople, ScriptError, rehearse
from jobs.state import CallStatus, Status
from tests.jobs.plans import GOAL
from tests.jobs.world import (
    ALLOW,
    LEADS,
    ONCALL,
    RUN_ID,
    Args,
    World,
    forever,
    plan,
    policy,
    tool_step,
)

YES = ScriptedPeople((Decision("act.*", is_approval=True),))
STEP_S = 1.0


def executor(world: World) -> Executor:
    """Return the worker of a house."""
    return world.executor()


async def rehearsed(
    world: World, a_plan: Plan, people: ScriptedPeople | None = None, limit_s: float = 30.0
) -> Rehearsal:
    """Start the plan and let it end; time passes only while nothing else can happen."""

    def pass_time() -> None:
        world.clock.now += STEP_S

    runs = world.runs()
    await runs.start(RUN_ID, GOAL, a_plan)
    return await rehearse(
        world.store,
        runs,
        executor(world),
        RUN_ID,
        people,
        limit_s=limit_s,
        at_rest=pass_time,
    )


async def test_a_plan_runs_to_its_answer() -> None:
    """Steps run as soon as they can, and the evidence is there in the end."""
    rehearsal = await rehearsed(World(), plan(tool_step("a"), tool_step("b", needs=("a",))))

    assert rehearsal.run.status is Status.SUCCEEDED
    assert not rehearsal.is_cut_off
    assert set(rehearsal.evidence) == {"ev-a-call", "ev-b-call"}
    assert rehearsal.events[-1].seq == rehearsal.run.version


async def test_slots_run_at_the_same_time() -> None:
    """Steps that do not need each other overlap."""
    meeting = asyncio.Barrier(2)

    async def meet(context: ToolContext, args: Args) -> str:
        async with asyncio.timeout(5):
            await meeting.wait()
        return "met"

    world = World(behaviours={"look.at": meet})
    rehearsal = await rehearsed(world, plan(tool_step("a"), tool_step("b")))

    assert rehearsal.run.status is Status.SUCCEEDED


async def test_what_nobody_scripted_is_denied() -> None:
    """Nothing is approved by leaving something out."""
    rehearsal = await rehearsed(World(), plan(tool_step("write", "act.keyed")))

    assert rehearsal.run.steps["write"].status is Status.SKIPPED
    assert rehearsal.run.calls == {}


async def test_as_many_people_approve_as_it_takes() -> None:
    """A quorum of two is two people, and neither is the requester."""
    world = World(policies=(policy("two", Verdict.ASK, LEADS, tool="act.*"),))
    rehearsal = await rehearsed(world, plan(tool_step("write", "act.keyed")), YES)

    (approval,) = rehearsal.run.approvals.values()
    assert [vote.person_id for vote in approval.votes] == ["script:1", "script:2"]
    assert rehearsal.run.steps["write"].status is Status.SUCCEEDED


async def test_an_edit_comes_before_the_vote() -> None:
    """What runs is what was edited."""
    people = ScriptedPeople((Decision("act.*", is_approval=True, args={"text": "gently"}),))
    a_plan = plan(tool_step("write", "act.keyed", inputs={"text": "hard"}))
    world = World(policies=(policy("ask", Verdict.ASK, ONCALL, tool="act.*"),))
    rehearsal = await rehearsed(world, a_plan, people)

    (call,) = rehearsal.run.calls.values()
    assert (call.status, call.args["text"]) == (CallStatus.SUCCEEDED, "gently")


async def test_a_refused_decision_is_the_scripts_fault() -> None:
    """A script that cannot be followed is told, instead of waiting for ever."""
    named = ApprovalSpec(approvers=ApproversSpec(users=("console:alice",)), quorum=2)
    world = World(policies=(policy("named", Verdict.ASK, named, tool="act.*"),))

    with pytest.raises(ScriptError, match="was refused"):
        await rehearsed(world, plan(tool_step("write", "act.keyed")), YES)


async def test_retries_happen_when_time_passes() -> None:
    """A step that failed is tried again after its pause, without anybody waiting for it."""
    tries: list[int] = []

    async def fail_once(context: ToolContext, args: Args) -> str:
        tries.append(1)
        if len(tries) == 1:
            raise TransientError("not yet")
        return "done"

    world = World(behaviours={"look.at": fail_once}, policies=(ALLOW,))
    retries = Retries(times=1, backoff_s=120)
    rehearsal = await rehearsed(world, plan(tool_step("a", retries=retries)))

    assert len(tries) == 2
    assert rehearsal.run.steps["a"].status is Status.SUCCEEDED


async def test_a_run_that_does_not_end_is_cut_off() -> None:
    """The time is up, and what the run came to is told all the same."""
    world = World(behaviours={"look.at": forever})
    runs = world.runs()
    await runs.start(RUN_ID, GOAL, plan(tool_step("a")))

    rehearsal = await rehearse(world.store, runs, executor(world), RUN_ID, limit_s=0.1)

    assert rehearsal.is_cut_off
    assert rehearsal.run.steps["a"].status is Status.RUNNING
