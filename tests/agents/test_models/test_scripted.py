"""The scripted model."""

from __future__ import annotations

import asyncio

import pytest

from agents.models.port import Model, ModelBusyError, ModelReply, ModelRequest, ModelRequestError
from agents.models.scripted import (
    Answer,
    Line,
    ScriptedModel,
    ScriptEndedError,
    call,
    calls,
    output,
    refuse,
    say,
)
from tests.contracts.model import ModelContract, Tell, Told, Trouble, asking


def line(told: Told) -> Line:
    """Return a line of the script."""
    if told.trouble is Trouble.BUSY:
        return ModelBusyError("busy")
    if told.trouble is Trouble.REFUSAL:
        return refuse()
    if told.calls:
        return calls(*told.calls)
    return output(told.value) if told.value is not None else say(told.text)


class TestScriptedModel(ModelContract):
    """The twin keeps the contract."""

    @pytest.fixture
    def script(self) -> list[Line]:
        """Return the lines that are still to be said."""
        return []

    @pytest.fixture
    def model(self, script: list[Line]) -> Model:
        """Return a model that takes the first line there is."""

        def answer(_: ModelRequest) -> Answer:
            said = script.pop(0)
            assert not callable(said)
            return said

        return ScriptedModel(answer, usd_per_token=0.001)

    @pytest.fixture
    def tell(self, script: list[Line]) -> Tell:
        """Return what replaces the script."""

        def replace(*told: Told) -> None:
            script[:] = [line(one) for one in told]

        return replace


async def test_lines_are_said_in_order() -> None:
    """A list is a script; what was asked can be looked at."""
    model = ScriptedModel([say("one"), call("dns.look_up", name="x")])

    first = await model.complete(asking())
    second = await model.complete(asking())

    assert first.text == "one"
    assert second.requests[0].args == {"name": "x"}
    assert model.requests == model.finished == [asking(), asking()]


async def test_script_that_ended_is_a_fault_of_the_test() -> None:
    """One call too many is not mistaken for a model's failure."""
    model = ScriptedModel([])

    with pytest.raises(ScriptEndedError, match="once more"):
        await model.complete(asking())


async def test_rule_sees_the_request() -> None:
    """One function may answer everything, also as a coroutine."""

    async def rule(request: ModelRequest) -> ModelReply:
        await asyncio.sleep(0)
        return say(request.messages[-1].text.upper())

    assert (await ScriptedModel(rule).complete(asking())).text == "WHY IS CHECKOUT SLOW?"


async def test_errors_of_a_script_are_raised() -> None:
    """A line may be the error itself; then nothing was finished."""
    model = ScriptedModel([ModelRequestError("too long")])

    with pytest.raises(ModelRequestError, match="too long"):
        await model.complete(asking())

    assert model.finished == []


async def test_price_may_be_unknown() -> None:
    """Budgets in money have to live with models without a price."""
    model = ScriptedModel([say("x")], usd_per_token=None)

    assert model.price_usd("smart", 1, 1) is None
    assert (await model.complete(asking())).usage.cost_usd is None


async def test_calls_at_once_are_counted() -> None:
    """How many calls were under way together, for tests of what runs in parallel."""
    model = ScriptedModel(lambda _: say("x"), latency_s=0.01)

    await asyncio.gather(*(model.complete(asking()) for _ in range(4)))

    assert (model.max_in_flight, model.in_flight) == (4, 0)
