"""Model calls that are paid from budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

import pytest

from agents.domain import ThreadRef
from agents.models.port import (
    BadOutputError,
    Message,
    ModelReply,
    ModelRequest,
    NoModelError,
    Role,
    Usage,
    Watch,
)
from config.specs import BudgetSpec, BudgetsSpec
from jobs import metered
from jobs.metered import MeteredModel, MeteredModels, estimated_input, most_tokens
from jobs.spending import Account, BudgetReachedError, Reservation, Scope, Spent
from jobs.spending_store import MemoryLedger
from jobs.state import Question
from jobs.store import StoreUnavailableError
from tests.jobs.plans import plan, started, step

NOW = 1_700_000_000.0
ACCOUNT = Account("run-1", ThreadRef("console", "incidents", "t-1"))
REQUEST = ModelRequest("smart", (Message(Role.USER, "x" * 40),), max_output_tokens=90)
"""About 10 tokens in, at most 90 out."""
PRICE_USD = 0.001
"""Of each token."""
BUDGETS = BudgetsSpec(run=BudgetSpec(usd=0.15))
Answer = Callable[[], Awaitable[ModelReply]]


class OneModel:
    """A model that does what it is told for each call."""

    def __init__(
        self, answer: Answer, *, price_usd: float | None = PRICE_USD, fallback_times: float = 1.0
    ) -> None:
        self.answer = answer
        self.fallback_times = fallback_times
        self.calls = 0
        self._price_usd = price_usd

    async def complete(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply:
        """Answer."""
        self.calls += 1
        if watch is not None:
            watch("so far")
        return await self.answer()

    def offers(self, alias: str) -> bool:
        """Know one alias."""
        return alias == "smart"

    def price_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """Charge each token alike."""
        return None if self._price_usd is None else self._price_usd * (input_tokens + output_tokens)

    def most_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """Have a fallback that is so many times as dear."""
        price = self.price_usd(alias, input_tokens, output_tokens)
        return None if price is None else price * self.fallback_times


async def short() -> ModelReply:
    """Say little."""
    return ModelReply("m", "ok", usage=Usage(input_tokens=12, output_tokens=8, cost_usd=0.02))


def meter(model: OneModel, ledger: MemoryLedger, room_wait_s: float = 0.0) -> MeteredModel:
    """Return the model on ACCOUNT."""
    return MeteredModel(model, ledger, ACCOUNT, lambda: NOW, room_wait_s=room_wait_s)


async def spent(ledger: MemoryLedger) -> Spent:
    """Return what the run used."""
    found: Mapping[Scope, Spent] = await ledger.spent(ACCOUNT, NOW)
    return found[Scope.RUN]


async def test_usage_is_counted() -> None:
    """A call counts what it really used, and its reply and progress come through."""
    ledger, heard = MemoryLedger(BUDGETS), list[str]()

    reply = await meter(OneModel(short), ledger).complete(REQUEST, heard.append)

    assert reply.text == "ok"
    assert heard == ["so far"]
    assert await spent(ledger) == Spent.of(0.02, 20)


async def test_budget_is_checked_before_the_call() -> None:
    """Without room the model is not called at all."""
    ledger, model = MemoryLedger(BUDGETS), OneModel(short)
    for _ in range(3):
        await meter(model, ledger).complete(REQUEST)

    with pytest.raises(BudgetReachedError) as caught:
        await meter(model, ledger).complete(REQUEST)

    assert model.calls == 3
    assert (caught.value.scope, caught.value.limit) == (Scope.RUN, "$0.15")


async def test_room_is_for_the_dearest_model() -> None:
    """A dearer fallback may have to answer: its price is what must still fit."""
    model = OneModel(short, fallback_times=2.0)

    with pytest.raises(BudgetReachedError):
        await meter(model, MemoryLedger(BUDGETS)).complete(REQUEST)

    assert model.calls == 0


async def test_room_is_for_asking_twice() -> None:
    """An output that does not fit is asked for once more, with the first one in the prompt."""
    model = OneModel(short)
    asked = replace(REQUEST, output_schema={"type": "object"})

    with pytest.raises(BudgetReachedError):
        await meter(model, MemoryLedger(BUDGETS)).complete(asked)

    assert model.calls == 0
    assert most_tokens(REQUEST) == (10, 90)
    assert most_tokens(asked) == (2 * estimated_input(asked) + 90, 180)


async def test_call_that_was_not_made_costs_nothing() -> None:
    """The store is needed before a call: when it is away then, nothing was sent."""

    async def away() -> ModelReply:
        raise StoreUnavailableError("not now")

    ledger = MemoryLedger(BUDGETS)

    with pytest.raises(StoreUnavailableError):
        await meter(OneModel(away), ledger).complete(REQUEST)

    assert await spent(ledger) == Spent()


async def test_unknown_price_counts_tokens() -> None:
    """Where nobody knows the price, tokens are held to their budget."""
    ledger = MemoryLedger(BudgetsSpec(run=BudgetSpec(usd=0.01, tokens=100)))

    async def unpriced() -> ModelReply:
        return ModelReply("m", usage=Usage(input_tokens=1))

    model = OneModel(unpriced, price_usd=None)
    await meter(model, ledger).complete(REQUEST)

    assert await spent(ledger) == Spent(0, 1)
    with pytest.raises(BudgetReachedError, match="tokens"):
        await meter(model, ledger).complete(REQUEST)


async def test_call_waits_for_room_that_others_hold() -> None:
    """Calls reserve their longest; a person is not asked while that may still come back."""
    ledger, begun, go_on = MemoryLedger(BUDGETS), asyncio.Event(), asyncio.Event()

    async def slow() -> ModelReply:
        begun.set()
        await go_on.wait()
        return await short()

    first = asyncio.create_task(meter(OneModel(slow), ledger).complete(REQUEST))
    await begun.wait()
    second = asyncio.create_task(meter(OneModel(short), ledger, 60.0).complete(REQUEST))
    await asyncio.sleep(0)
    assert not second.done()
    go_on.set()

    await asyncio.gather(first, second)
    assert await spent(ledger) == Spent.of(0.04, 40)


async def test_failed_call_gives_its_room_back() -> None:
    """A call that never happened costs nothing."""
    ledger = MemoryLedger(BUDGETS)

    async def nobody() -> ModelReply:
        raise NoModelError("smart", {"m": "away"})

    for _ in range(3):
        with pytest.raises(NoModelError):
            await meter(OneModel(nobody), ledger).complete(REQUEST)

    assert await spent(ledger) == Spent()


async def test_usage_of_an_error_is_counted() -> None:
    """A reply that was no use was paid for all the same."""
    ledger = MemoryLedger(BUDGETS)

    async def nonsense() -> ModelReply:
        raise BadOutputError("no JSON", Usage(input_tokens=5, cost_usd=0.01))

    with pytest.raises(BadOutputError):
        await meter(OneModel(nonsense), ledger).complete(REQUEST)

    assert await spent(ledger) == Spent.of(0.01, 5)


async def test_cancelled_call_counts_what_was_sent() -> None:
    """Whoever stops a run has still sent the prompt; its room is given back."""
    ledger, begun = MemoryLedger(BUDGETS), asyncio.Event()

    async def for_ever() -> ModelReply:
        begun.set()
        return await asyncio.Future()

    call = asyncio.create_task(meter(OneModel(for_ever), ledger).complete(REQUEST))
    await begun.wait()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    assert await spent(ledger) == Spent.of(0.01, 10)
    assert isinstance(await ledger.reserve(ACCOUNT, 0.14, 1, NOW), Reservation)


async def test_unknown_alias_is_the_models_business() -> None:
    """Nothing is reserved for an alias that has no model."""
    ledger = MemoryLedger(BudgetsSpec(run=BudgetSpec(tokens=1)))
    model = OneModel(short)

    await meter(model, ledger).complete(ModelRequest("other", REQUEST.messages))

    assert model.calls == 1
    assert not meter(model, ledger).offers("other")


async def test_long_call_keeps_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the model speaks its reservation is renewed."""
    monkeypatch.setattr(metered, "RENEW_S", 0.001)
    renewed = asyncio.Event()

    class Ledger(MemoryLedger):
        async def renew(self, reservation: Reservation, now: float) -> None:
            renewed.set()
            raise StoreUnavailableError("away for a moment")

    async def until_renewed() -> ModelReply:
        await renewed.wait()
        return await short()

    ledger = Ledger(BUDGETS)
    await meter(OneModel(until_renewed), ledger).complete(REQUEST)

    assert await spent(ledger) == Spent.of(0.02, 20)


@pytest.mark.parametrize("failures", [1, 99])
async def test_paid_reply_is_not_lost(monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    """A ledger that is away for a while, or for good, does not cost the reply."""
    monkeypatch.setattr(metered, "SETTLE_PAUSE_S", 0.0)
    left = failures

    class Ledger(MemoryLedger):
        async def settle(self, reservation: Reservation, usage: Usage) -> None:
            nonlocal left
            left -= 1
            if left >= 0:
                raise StoreUnavailableError("away")
            await super().settle(reservation, usage)

    ledger = Ledger(BUDGETS)
    reply = await meter(OneModel(short), ledger).complete(REQUEST)

    assert reply.text == "ok"
    assert (await spent(ledger) == Spent.of(0.02, 20)) == (failures == 1)


def test_estimate_counts_the_schema() -> None:
    """What the reply must look like is sent too."""
    asked = ModelRequest("smart", REQUEST.messages, output_schema={"type": "object"})

    assert estimated_input(asked) > estimated_input(REQUEST) == 10


async def test_each_run_has_its_own_account() -> None:
    """A run's calls count for its thread, and people's "continue" gives it more."""
    ledger = MemoryLedger(BUDGETS)
    run = replace(started(plan(step("a"))), id="run-7")
    answered = Question(
        id="q-1",
        step_id="a",
        text="Go on?",
        kind="budget",
        about="run",
        answer="continue",
        answered_by="console:alice",
        answered_at=NOW,
    )
    models = MeteredModels(OneModel(short), ledger, lambda: NOW)
    for _ in range(3):
        await models.for_run(run).complete(REQUEST)
    with pytest.raises(BudgetReachedError):
        await models.for_run(run).complete(REQUEST)

    await models.for_run(replace(run, questions={"q-1": answered})).complete(REQUEST)

    found = await ledger.spent(Account("run-7", run.goal.thread), NOW)
    assert found[Scope.THREAD] == Spent.of(0.08, 80)
    assert models.offers("smart")
    assert not models.offers("other")
