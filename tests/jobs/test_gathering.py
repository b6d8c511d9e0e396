"""An agent that starts with its runbook has the results before its first turn."""

from __future__ import annotations

import asyncio
from typing import Any

from agents.fencing import nonce_of, opening_mark
from agents.models.port import ModelReply, ModelRequest
from agents.models.scripted import ScriptedModel, say
from agents.tool import ToolContext, ToolFailed
from config.specs import CallSpec, Verdict
from jobs.state import Status
from tests.jobs.plans import GOAL
from tests.jobs.world import (
    RUN_ID,
    Args,
    World,
    agent,
    agent_step,
    kill_everything,
    plan,
    policy,
)

LOOK = CallSpec(id="look", tool="look.at", args={"text": "{{ inputs.text }}"})
TRUSTED = CallSpec(id="sure", tool="look.trusted", args={"text": "y"}, optional=True)
STEP = agent_step("s", "starter", inputs={"text": "x"})


def world(script: Any, *calls: CallSpec, **fields: Any) -> World:
    """Return a house with such an agent."""
    starter = agent("starter", *calls, model="fast", start_with_runbook=True)
    return World(agents=(starter,), model=ScriptedModel(script), **fields)


def first_request(house: World) -> str:
    """Return what the model was told with its step."""
    assert isinstance(house.model, ScriptedModel)
    return house.model.requests[0].messages[-1].text


async def test_one_model_call_is_enough() -> None:
    """The results, their evidence and what rules make of them stand in the first message."""
    house = world([say('{"look": "mine", "sure": "too"}')], LOOK, TRUSTED)

    run = await house.start(plan(STEP))

    assert run.steps["s"].status is Status.SUCCEEDED
    assert house.called == [("look.at", "x"), ("look.trusted", "y")]
    told = first_request(house)
    assert "look.at, kept as evidence ev-s-look:\n<<data" in told
    assert '{"look": "saw x", "sure": "saw y"}' in told
    assert run.spent.calls == 1


async def test_a_takeover_looks_nothing_up_again() -> None:
    """Whoever goes on recalls what was gathered."""
    gone = asyncio.Event()

    async def die(_: ModelRequest) -> ModelReply:
        gone.set()
        await asyncio.Event().wait()
        raise AssertionError

    house = world([die, say('{"look": "mine"}')], LOOK)
    await house.runs().start(RUN_ID, GOAL, plan(STEP))
    await house.begin()
    await gone.wait()
    await kill_everything()

    run = await house.take_over()

    assert run.steps["s"].status is Status.SUCCEEDED
    assert house.called == [("look.at", "x")]


async def test_what_failed_or_was_denied_is_told() -> None:
    """The model goes on with what there is; without it the runbook would have given up."""

    async def broken(_: ToolContext, __: Args) -> str:
        raise ToolFailed("the disk is full")

    no = policy("no", Verdict.DENY, tool="look.trusted")
    house = world([say("done")], LOOK, TRUSTED, policies=(no,), behaviours={"look.at": broken})

    run = await house.start(plan(STEP))

    assert run.steps["s"].status is Status.SUCCEEDED
    told = first_request(house)
    assert f"It failed:\n{opening_mark(nonce_of(RUN_ID, 's'))}\nthe disk is full" in told
    assert "sure" in told
