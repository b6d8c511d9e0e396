"""Model calls of a step: what is told of them meanwhile, and a store that is away."""

from __future__ import annotations

import pytest

from agents.models.port import ModelReply, ModelRequest
from agents.models.scripted import ScriptedModel, say
from config.specs import AgentSpec
from jobs.run import MAX_NOTE_CHARS
from jobs.state import Status
from jobs.store import StoreUnavailableError
from jobs.thinking import last_words
from tests.jobs.world import World, agent_step, plan

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
