"""Model calls of a step: what is told of them meanwhile, and a store that is away."""

from __future__ import annotations

import asyncio

import pytest

from agents.models.port import Model, ModelReply, ModelRequest
from agents.models.scripted import ScriptedModel, say
from agents.tool import ToolContext
from config.specs import AgentSpec, CallSpec
from jobs.run import MAX_NOTE_CHARS
from jobs.spending import BudgetReachedError, Reached, Scope, Unit
from jobs.state import Run, Status
from jobs.store import StoreUnavailableError
from jobs.thinking import grants, last_words
from tests.jobs.plans import GOAL
from tests.jobs.world import RUN_ID, Args, World, agent, agent_step, plan

KEY = "sk-" + "a1b2" * 12


@pytest.mark.parametrize(
    "said",
    [
        f"the key is {KEY} and " + "x " * ((MAX_NOTE_CHARS - 20) // 2),
        f"the key is {KEY[:12]}",
        "so password: hunt",
        f"{'y' * MAX_NOTE_CHARS}{KEY} end",
    ],
    ids=["cut in two", "not yet whole", "not yet whole after its name", "after a long word"],
)
def test_half_a_secret_is_not_told(said: str) -> None:
    """Where the text is cut, or still being said, a secret no longer looks like one."""
    told = last_words(said)

    assert len(told) <= MAX_NOTE_CHARS
    assert "a1b2" not in told
    assert "hunt" not in told


def test_the_end_of_a_long_text_is_told() -> None:
    """What is said now matters on a card, in whole words."""
    told = last_words(" ".join(f"word{n}" for n in range(1_000)))

    assert told.startswith("word")
    assert told.endswith("word998")


class Granting:
    """Models whose budget is used up until a person has said "continue" in the run."""

    def __init__(self, model: ScriptedModel) -> None:
        self.model = model

    def for_run(self, run: Run) -> Model:
        """Return the models as this state of the run may use them."""
        return self.model if grants(run) else ScriptedModel([used_up])

    def offers(self, alias: str) -> bool:
        """Say that there is a model."""
        return self.model.offers(alias)


async def used_up(_: ModelRequest) -> ModelReply:
    """Be a budget without room."""
    raise BudgetReachedError(Reached(Scope.RUN, Unit.TOKENS, 10, 10, 0, 5))


async def test_continue_said_to_one_step_holds_for_another_at_work() -> None:
    """A step that was in a call meanwhile does not ask again, nor wait for an answer."""
    began, may_go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_: ToolContext, __: Args) -> str:
        began.set()
        await may_go_on.wait()
        return "seen"

    eager = AgentSpec(name="eager", title="E", description="Thinks.", model="smart")
    slow = agent("slow", CallSpec(id="saw", tool="look.at"), model="smart", start_with_runbook=True)
    house = World(agents=(eager, slow), behaviours={"look.at": slowly})
    house.models = Granting(ScriptedModel([say("done"), say('{"saw": "it"}')]))
    await house.runs().start(RUN_ID, GOAL, plan(agent_step("a", "slow"), agent_step("b", "eager")))
    at_work = await house.begin()
    await began.wait()
    await house.drive()

    await house.answer("continue")
    may_go_on.set()
    await at_work
    run = await house.drive()

    assert len(run.questions) == 1
    assert {run.steps[key].status for key in "ab"} == {Status.SUCCEEDED}


async def test_stop_said_to_one_step_holds_for_the_others() -> None:
    """Who stopped at a budget is not asked about it again by the next step."""
    eager = AgentSpec(name="eager", title="E", description="Thinks.", model="smart")
    house = World(agents=(eager,))
    house.models = Granting(ScriptedModel([say("never said")]))
    await house.start(plan(agent_step("a", "eager"), agent_step("b", "eager", after=("a",))))

    run = await house.answer("stop")

    assert len(run.questions) == 1
    assert run.is_over
    for key in "ab":
        assert run.steps[key].status is Status.FAILED
        assert "Alice said to stop" in run.steps[key].error


async def test_the_newest_answer_about_a_budget_counts() -> None:
    """A budget that is reached again is asked about again, until somebody says stop."""
    eager = AgentSpec(name="eager", title="E", description="Thinks.", model="smart")
    house = World(agents=(eager,), model=ScriptedModel([used_up] * 9))
    await house.start(plan(agent_step("a", "eager"), agent_step("b", "eager", after=("a",))))
    await house.answer("continue")
    house.clock.now += 1
    assert (await house.question()).id.endswith("-a-budget-run-2")
    await house.answer("continue")
    house.clock.now += 1

    run = await house.answer("stop")

    assert [one.answer for one in run.questions.values()] == ["continue", "continue", "stop"]
    assert run.is_over


async def test_store_that_is_away_before_a_model_call_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Budgets and breakers stand in the store: its absence is nobody's failure."""

    async def away(_: ModelRequest) -> ModelReply:
        raise StoreUnavailableError("not now")

    monkeypatch.setattr("jobs.patience.STORE_RETRY_S", 0)
    thinker = AgentSpec(name="thinker", title="Thinker", description="Thinks.", model="smart")
    house = World(agents=(thinker,), model=ScriptedModel([away, say("done")]))

    await house.start(plan(agent_step("s", "thinker")))

    state = await house.step("s")
    assert (state.status, state.output) == (Status.SUCCEEDED, "done")
