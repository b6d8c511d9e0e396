"""What language models behind their port promise; both twins are held to it.

`tell(...)` says what the model answers next, in words both twins understand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import pytest
from pydantic import JsonValue

from agents.models.port import (
    BadOutputError,
    Finish,
    Message,
    Model,
    ModelRequest,
    ModelTool,
    NoModelError,
    Role,
    ToolRequest,
)

ALIAS = "smart"
ONSET = ModelTool(
    "metrics.onset",
    "When a number became bad.",
    {"type": "object", "properties": {"service": {"type": "string"}}},
)
BOTH: tuple[tuple[str, dict[str, JsonValue]], ...] = (
    ("metrics.onset", {"service": "checkout"}),
    ("metrics.onset", {"service": "payments"}),
)
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"cause": {"type": "string"}, "score": {"type": "number"}},
    "required": ["cause"],
    "additionalProperties": False,
}


class Trouble(StrEnum):
    """Ways to give nothing."""

    BUSY = "busy"
    REFUSAL = "refusal"


@dataclass(frozen=True, slots=True)
class Told:
    """One answer: words, calls, a value, or trouble."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, JsonValue]], ...] = ()
    value: JsonValue = None
    trouble: Trouble | None = None


Tell = Callable[..., None]


def asking(
    *messages: Message, tools: tuple[ModelTool, ...] = (), has_schema: bool = False
) -> ModelRequest:
    """Return a request."""
    conversation = messages or (
        Message(Role.SYSTEM, "You look into incidents."),
        Message(Role.USER, "Why is checkout slow?"),
    )
    return ModelRequest(
        ALIAS, conversation, tools=tools, output_schema=SCHEMA if has_schema else None
    )


class ModelContract:
    """Inherit and give `model` and `tell`."""

    @pytest.fixture
    def model(self) -> Model:
        """Return the model."""
        raise NotImplementedError

    @pytest.fixture
    def tell(self) -> Tell:
        """Return what sets the model's next answers."""
        raise NotImplementedError

    async def test_words_come_back(self, model: Model, tell: Tell) -> None:
        """What the model says is the reply's text, with who said it and what it used."""
        tell(Told("A deploy at noon."))

        reply = await model.complete(asking())

        assert (reply.text, reply.finish, reply.requests) == ("A deploy at noon.", Finish.STOP, ())
        assert reply.model
        assert reply.usage.input_tokens > 0
        assert reply.usage.output_tokens > 0

    async def test_tool_call_comes_back(self, model: Model, tell: Tell) -> None:
        """A call has the name that was offered, its arguments, and an id."""
        tell(Told(calls=(("metrics.onset", {"service": "checkout"}),)))

        reply = await model.complete(asking(tools=(ONSET,)))

        (request,) = reply.requests
        assert (request.name, request.args) == ("metrics.onset", {"service": "checkout"})
        assert request.id
        assert reply.finish is Finish.TOOLS

    async def test_parallel_calls_come_back_in_order(self, model: Model, tell: Tell) -> None:
        """Several calls of one turn keep their order and have ids of their own."""
        tell(Told(calls=BOTH))

        reply = await model.complete(asking(tools=(ONSET,)))

        assert tuple((one.name, one.args) for one in reply.requests) == BOTH
        assert len({one.id for one in reply.requests}) == len(BOTH)

    async def test_results_go_back(self, model: Model, tell: Tell) -> None:
        """A conversation with calls, failed ones too, and their results can be continued."""
        tell(Told("It began at noon."))
        requests = (
            ToolRequest("c1", "metrics.onset", {"service": "checkout"}, '{"service": "checkout"}'),
            ToolRequest("c2", "metrics.onset", None, "{broken"),
        )

        reply = await model.complete(
            asking(
                Message(Role.USER, "Why?"),
                Message(Role.ASSISTANT, requests=requests),
                Message(Role.TOOL, "12:00", call_id="c1"),
                Message(Role.TOOL, "the arguments are no JSON object", call_id="c2"),
                tools=(ONSET,),
            )
        )

        assert reply.text == "It began at noon."

    async def test_output_fits_its_schema(self, model: Model, tell: Tell) -> None:
        """What was asked for as JSON comes as a value."""
        tell(Told(value={"cause": "deploy", "score": 0.9}))

        reply = await model.complete(asking(has_schema=True))

        assert reply.output == {"cause": "deploy", "score": 0.9}

    async def test_null_for_an_optional_field_is_left_out(self, model: Model, tell: Tell) -> None:
        """Models write null for "not there"; who asked for a number sees none."""
        tell(Told(value={"cause": "deploy", "score": None}))

        reply = await model.complete(asking(has_schema=True))

        assert reply.output == {"cause": "deploy"}

    async def test_slips_of_syntax_are_mended(self, model: Model, tell: Tell) -> None:
        """A trailing comma is not worth a second call."""
        tell(Told('```json\n{"cause": "deploy", "score": 0.9,}\n```'))

        reply = await model.complete(asking(has_schema=True))

        assert reply.output == {"cause": "deploy", "score": 0.9}

    async def test_wrong_output_gets_a_second_chance(self, model: Model, tell: Tell) -> None:
        """The model is told its faults once; both calls are paid for."""
        tell(Told(value={"score": "high"}), Told(value={"cause": "deploy"}))
        once = await self._usage_of_one(model, tell)
        tell(Told(value={"score": "high"}), Told(value={"cause": "deploy"}))

        reply = await model.complete(asking(has_schema=True))

        assert reply.output == {"cause": "deploy"}
        assert reply.usage.input_tokens > once

    async def _usage_of_one(self, model: Model, tell: Tell) -> int:
        tell(Told(value={"cause": "deploy"}))
        return (await model.complete(asking(has_schema=True))).usage.input_tokens

    async def test_output_that_stays_wrong_is_an_error(self, model: Model, tell: Tell) -> None:
        """Prose is not searched for something that looks like JSON; the sentence says what."""
        tell(Told("The cause is a deploy."), Told(value={"score": 1}))

        with pytest.raises(BadOutputError, match="cause") as caught:
            await model.complete(asking(has_schema=True))

        assert caught.value.usage is not None

    async def test_refusal_is_a_reply(self, model: Model, tell: Tell) -> None:
        """Who asked decides what to do about it; there is nothing to retry."""
        tell(Told(trouble=Trouble.REFUSAL))

        reply = await model.complete(asking())

        assert reply.finish is Finish.REFUSED

    async def test_refusal_of_an_output_is_a_reply(self, model: Model, tell: Tell) -> None:
        """It is not mistaken for an output that is wrong."""
        tell(Told(trouble=Trouble.REFUSAL))

        reply = await model.complete(asking(has_schema=True))

        assert (reply.finish, reply.output) == (Finish.REFUSED, None)

    async def test_trouble_that_passes_is_not_seen(self, model: Model, tell: Tell) -> None:
        """A call that fails for a moment is made again."""
        tell(Told(trouble=Trouble.BUSY), Told("Here I am."))

        assert (await model.complete(asking())).text == "Here I am."

    async def test_trouble_that_stays_means_no_model(self, model: Model, tell: Tell) -> None:
        """The error names the alias and each model's reason."""
        tell(*[Told(trouble=Trouble.BUSY)] * 3)

        with pytest.raises(NoModelError, match=ALIAS) as caught:
            await model.complete(asking())

        assert caught.value.alias == ALIAS
        assert all(caught.value.reasons.values())

    async def test_watcher_hears_the_words(self, model: Model, tell: Tell) -> None:
        """Who watches is told what was said so far, in the end all of it."""
        words = "Reading the logs of checkout, then those of payments, then the deploys. " * 3
        tell(Told(words))
        heard: list[str] = []

        reply = await model.complete(asking(), heard.append)

        assert reply.text == heard[-1] == words
        assert all(words.startswith(one) for one in heard)

    async def test_calls_come_to_who_watches_too(self, model: Model, tell: Tell) -> None:
        """Being watched changes nothing about the reply."""
        tell(Told(calls=BOTH))

        reply = await model.complete(asking(tools=(ONSET,)), lambda _: None)

        assert tuple((one.name, one.args) for one in reply.requests) == BOTH
        assert reply.finish is Finish.TOOLS

    async def test_alias_is_offered(self, model: Model) -> None:
        """Whether an alias has models is known without asking one."""
        assert model.offers(ALIAS)

    async def test_price_grows_with_tokens(self, model: Model) -> None:
        """A price, where it is known, is money for tokens."""
        small, large = model.price_usd(ALIAS, 100, 10), model.price_usd(ALIAS, 1_000, 100)

        assert small is not None
        assert large is not None
        assert 0 < small < large

    async def test_most_is_no_less_than_the_price(self, model: Model) -> None:
        """What is set aside for a call covers what it is estimated to cost."""
        price, most = model.price_usd(ALIAS, 1_000, 100), model.most_usd(ALIAS, 1_000, 100)

        assert price is not None
        assert most is not None
        assert most >= price
