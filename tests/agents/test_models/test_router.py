"""From an alias to the model that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from agents.models.memory_gate import BREAKER_FAILURES, MemoryGate
from agents.models.port import (
    BadOutputError,
    ModelBusyError,
    ModelReply,
    ModelRequest,
    ModelRequestError,
    NoModelError,
    Usage,
    Watch,
)
from agents.models.router import ModelRouter
from config.specs import ModelsFile, ModelSpec, ProviderSpec
from tests.contracts.model import ALIAS, asking

Outcome = ModelReply | Exception
FULL = ProviderSpec(max_concurrent=1, queue_s=0)
BILL = Usage(10, 0, 5, 0.25)


@dataclass
class Provider:
    """Stands for litellm: outcomes by model, in order; the last one stays."""

    outcomes: dict[str, list[Outcome]]
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    watched: list[bool] = field(default_factory=list)
    """Whether each call was to be streamed."""

    async def attempt(
        self, spec: ModelSpec, key: str | None, request: ModelRequest, watch: Watch | None
    ) -> ModelReply:
        """Answer as told."""
        self.asked.append((spec.model, key))
        self.watched.append(watch is not None)
        left = self.outcomes[spec.model]
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def sleep(self, seconds: float) -> None:
        """Note the pause."""
        self.slept.append(seconds)

    @property
    def models(self) -> list[str]:
        """The models that were asked, in order."""
        return [model for model, _ in self.asked]


def reply(model: str) -> ModelReply:
    """Return what a model says."""
    return ModelReply(model, f"{model} speaks", usage=BILL)


def busy(status: int | None = 503, retry_after_s: float | None = None) -> Exception:
    """Return a failure that may pass."""
    return ModelBusyError(f"busy ({status})", retry_after_s, status=status)


def refused(status: int) -> Exception:
    """Return a failure that stays."""
    return ModelRequestError(f"refused ({status})", status=status)


def bad_output() -> Exception:
    """Return what comes of a model that cannot write JSON."""
    error = BadOutputError("no JSON")
    error.usage = BILL
    return error


def router(
    provider: Provider, *specs: ModelSpec, gate: MemoryGate | None = None, **keys: str
) -> ModelRouter:
    """Return a router over these models, all of one alias."""
    return ModelRouter(
        ModelsFile(
            models={ALIAS: specs}, providers={"full": ProviderSpec(max_concurrent=1, queue_s=0)}
        ),
        gate or MemoryGate(),
        keys,
        provider.attempt,
        price=lambda spec, tokens_in, tokens_out: tokens_in * 1.0,
        sleep=provider.sleep,
        random=lambda: 0.5,
    )


A, B = ModelSpec(model="a", retries=2), ModelSpec(model="b", retries=0)


async def test_first_model_answers() -> None:
    """Fallbacks are not asked while they are not needed."""
    provider = Provider({"a": [reply("a")]})

    assert (await router(provider, A, B).complete(asking())).model == "a"
    assert provider.models == ["a"]


async def test_quick_model_is_not_streamed_again() -> None:
    """Streaming costs CPU: words that come within a moment are told as a whole."""
    provider = Provider({"a": [replace(reply("a"), duration_s=0.2)]})
    asked, heard = router(provider, A), list[str]()

    for _ in range(2):
        await asked.complete(asking(), heard.append)

    assert provider.watched == [True, False]
    assert heard == ["a speaks"]  # Of the first the provider itself would have told.


async def test_slow_model_is_streamed() -> None:
    """Words that take a while are told as they come."""
    provider = Provider({"a": [replace(reply("a"), duration_s=5.0)]})
    asked, heard = router(provider, A), list[str]()

    for _ in range(2):
        await asked.complete(asking(), heard.append)

    assert provider.watched == [True, True]


async def test_transient_failures_are_tried_again() -> None:
    """As often as the entry says, with pauses between."""
    provider = Provider({"a": [busy(), busy(), reply("a")]})

    assert (await router(provider, A, B).complete(asking())).model == "a"
    assert provider.models == ["a", "a", "a"]
    assert len(provider.slept) == 2
    assert provider.slept[0] < provider.slept[1]


async def test_next_model_takes_over() -> None:
    """When retries are used up."""
    provider = Provider({"a": [busy()], "b": [reply("b")]})

    assert (await router(provider, A, B).complete(asking())).model == "b"
    assert provider.models == ["a", "a", "a", "b"]


async def test_retry_after_is_honoured() -> None:
    """The pause is at least what the provider asks for."""
    provider = Provider({"a": [busy(429, 7.0), reply("a")]})

    await router(provider, A).complete(asking())

    assert provider.slept[0] >= 7.0


async def test_too_long_a_pause_means_the_next_model() -> None:
    """Nobody waits an hour for a model while another one is there."""
    provider = Provider({"a": [busy(429, 3_600.0)], "b": [reply("b")]})

    assert (await router(provider, A, B).complete(asking())).model == "b"
    assert provider.slept == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
async def test_refused_request_is_not_repeated(status: int) -> None:
    """Asking the same model again cannot help; another may take it."""
    provider = Provider({"a": [refused(status)], "b": [reply("b")]})

    assert (await router(provider, A, B).complete(asking())).model == "b"
    assert provider.models == ["a", "b"]


async def test_missing_key_is_a_reason() -> None:
    """The model is not asked, and the sentence names the variable."""
    provider = Provider({"b": [reply("b")]})
    spec = ModelSpec(model="a", key_env="A_KEY")

    with pytest.raises(NoModelError, match="set A_KEY"):
        await router(provider, spec).complete(asking())
    assert (await router(provider, spec, B).complete(asking())).model == "b"


async def test_keys_reach_their_models() -> None:
    """Each model gets the key that its entry names."""
    provider = Provider({"a": [busy(None)], "b": [reply("b")]})
    specs = [ModelSpec(model="a", key_env="A_KEY", retries=0), B]

    await router(provider, *specs, A_KEY="secret").complete(asking())

    assert provider.asked == [("a", "secret"), ("b", None)]


async def test_no_model_has_a_reason_each() -> None:
    """A person sees at once what is the matter with which."""
    provider = Provider({"a": [busy()], "b": [refused(401)]})

    with pytest.raises(NoModelError) as caught:
        await router(provider, A, B).complete(asking())

    assert caught.value.reasons == {"a": "busy (503)", "b": "refused (401)"}


async def test_alias_without_models() -> None:
    """It is not offered, and asking it says that none is configured."""
    models = router(Provider({}), A)

    assert not models.offers("other")
    assert models.price_usd("other", 1, 1) is None
    with pytest.raises(NoModelError, match="none is configured"):
        await models.complete(ModelRequest("other", ()))


async def test_request_that_all_refuse_is_wrong_itself() -> None:
    """Too long for every model: that is no reason to look for another way to reach one."""
    provider = Provider({"a": [refused(400)], "b": [refused(413)]})

    with pytest.raises(ModelRequestError):
        await router(provider, A, B).complete(asking())


async def test_wrong_key_everywhere_is_no_model() -> None:
    """The request may be fine: it is the entries that are wrong."""
    provider = Provider({"a": [refused(401)], "b": [refused(400)]})

    with pytest.raises(NoModelError):
        await router(provider, A, B).complete(asking())


async def test_bad_output_is_asked_of_the_next_model() -> None:
    """A more capable one may manage; both are paid for."""
    provider = Provider({"a": [bad_output()], "b": [reply("b")]})

    found = await router(provider, A, B).complete(asking())

    assert found.model == "b"
    assert found.usage == Usage(20, 0, 10, 0.5)


async def test_bad_output_of_all_is_said_and_paid() -> None:
    """A model was there: that is not the same as none."""
    provider = Provider({"a": [bad_output()], "b": [busy()]})

    with pytest.raises(BadOutputError) as caught:
        await router(provider, A, B).complete(asking())

    assert caught.value.usage == BILL


async def test_broken_model_is_left_alone() -> None:
    """Its breaker opens, and calls go to the next one at once."""
    gate = MemoryGate(lambda: 0.0)
    provider = Provider({"a": [busy()], "b": [reply("b")]})
    models = router(provider, A, B, gate=gate)
    for _ in range(3):
        await models.complete(asking())

    assert provider.models.count("a") == BREAKER_FAILURES
    assert provider.models.count("b") == 3


@pytest.mark.parametrize(
    ("make", "is_counted"),
    [
        (lambda: refused(401), True),
        (lambda: refused(403), True),
        (lambda: refused(404), True),
        (lambda: refused(400), False),
        (lambda: refused(413), False),
        (bad_output, False),
        (lambda: busy(429), True),
        (lambda: busy(None), True),
    ],
)
async def test_only_what_speaks_against_a_model_counts(
    make: Callable[[], Exception], is_counted: bool
) -> None:
    """A request that is too long says nothing about the model; a wrong key does."""
    gate = MemoryGate(lambda: 0.0)
    models = router(Provider({"b": [make()]}), B, gate=gate)
    for _ in range(BREAKER_FAILURES):
        with pytest.raises((NoModelError, ModelRequestError, BadOutputError)):
            await models.complete(asking())

    assert await gate.may_try("b") is not is_counted


async def test_asking_for_patience_counts_once_a_call() -> None:
    """A burst that is slowed down by 429 does not open the breaker for everybody."""
    gate = MemoryGate(lambda: 0.0)
    turns: list[Outcome] = [busy(429), busy(429), reply("a")]
    provider = Provider({"a": turns * 4})
    models = router(provider, A, gate=gate)
    for _ in range(4):
        assert (await models.complete(asking())).model == "a"


async def test_full_provider_means_the_next_model() -> None:
    """A call does not queue longer than the provider's entry says."""
    gate = MemoryGate()
    provider = Provider({"b": [reply("b")]})
    spec = ModelSpec(model="full/a")

    async with gate.place("full", 1, 0.0):
        found = await router(provider, spec, B, gate=gate).complete(asking())

    assert found.model == "b"


def test_the_most_is_what_the_dearest_model_costs() -> None:
    """A fallback may be dearer than the first; a price that nobody knows hides no other."""
    prices = {"a": 1.0, "b": 3.0, "local": None}

    def price(spec: ModelSpec, input_tokens: int, output_tokens: int) -> float | None:
        usd = prices[spec.model]
        return None if usd is None else usd * (input_tokens + output_tokens)

    local = ModelSpec(model="local")
    file = ModelsFile(models={ALIAS: (local, A, B), "free": (local,)})
    models = ModelRouter(file, MemoryGate(), {}, Provider({}).attempt, price=price)

    assert models.price_usd(ALIAS, 7, 1) is None
    assert models.most_usd(ALIAS, 7, 1) == 24.0
    assert models.most_usd("free", 7, 1) is None
    assert models.most_usd("other", 7, 1) is None


async def test_bugs_are_not_hidden() -> None:
    """What is not a model's failure rises."""
    provider = Provider({"a": [KeyError("bug")], "b": [reply("b")]})

    with pytest.raises(KeyError):
        await router(provider, A, B).complete(asking())


async def test_price_is_that_of_the_first_model() -> None:
    """Estimates count with the model that is asked first."""
    assert router(Provider({}), A, B).price_usd(ALIAS, 7, 1) == 7.0
