"""A model whose calls are paid from budgets: room is reserved before each, usage settled after."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

import structlog

from agents.models.port import (
    CHARS_PER_TOKEN,
    Model,
    ModelError,
    ModelReply,
    ModelRequest,
    Usage,
    Watch,
    estimated_tokens,
)
from jobs.spending import (
    RESERVATION_S,
    Account,
    BudgetReachedError,
    Ledger,
    Reached,
    Reservation,
)
from jobs.state import Run
from jobs.store import StoreUnavailableError
from jobs.thinking import grants

ROOM_WAIT_S = 30.0
"""How long a call waits for others under way to settle, before a person is asked."""
ROOM_POLL_S = (0.1, 0.3)
RENEW_S = RESERVATION_S / 3
SETTLE_TRIES = 5
SETTLE_PAUSE_S = 1.0
NO_USAGE = Usage()

log = structlog.get_logger(__name__)


class MeteredModels:
    """`jobs.thinking.Models`: each run is given the models on its own account."""

    def __init__(self, model: Model, ledger: Ledger, clock: Callable[[], float]) -> None:
        self._model = model
        self._ledger = ledger
        self._clock = clock

    def for_run(self, run: Run) -> MeteredModel:
        """See `Models.for_run`."""
        account = Account(run.id, run.goal.thread, grants(run))
        return MeteredModel(self._model, self._ledger, account, self._clock)

    def offers(self, alias: str) -> bool:
        """See `Models.offers`."""
        return self._model.offers(alias)


class MeteredModel:
    """`agents.models.port.Model` on one account; raises BudgetReachedError before a call."""

    def __init__(
        self,
        model: Model,
        ledger: Ledger,
        account: Account,
        clock: Callable[[], float],
        *,
        room_wait_s: float = ROOM_WAIT_S,
    ) -> None:
        self._model = model
        self._ledger = ledger
        self._account = account
        self._clock = clock
        self._room_wait_s = room_wait_s

    def offers(self, alias: str) -> bool:
        """See `Model.offers`."""
        return self._model.offers(alias)

    def price_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """See `Model.price_usd`."""
        return self._model.price_usd(alias, input_tokens, output_tokens)

    def most_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """See `Model.most_usd`."""
        return self._model.most_usd(alias, input_tokens, output_tokens)

    async def complete(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply:
        """See `Model.complete`; what the call used is counted however it ends."""
        if not self._model.offers(request.alias):
            return await self._model.complete(request, watch)
        input_tokens = estimated_input(request)
        reservation = await self._room(request)
        # Cut off in the middle, a call has been sent its input, and nobody hears what it cost.
        usage = Usage(
            input_tokens=input_tokens,
            cost_usd=self._model.price_usd(request.alias, input_tokens, 0),
        )
        try:
            async with self._kept(reservation):
                reply = await self._model.complete(request, watch)
            usage = reply.usage
        except ModelError as error:
            usage = usage_of(error)
            raise
        except StoreUnavailableError:
            usage = NO_USAGE  # It was needed before the call, which was not made.
            raise
        finally:
            await self._settle(reservation, usage)
        return reply

    async def _room(self, request: ModelRequest) -> Reservation:
        input_tokens, output_tokens = most_tokens(request)
        tokens = input_tokens + output_tokens
        usd = self._model.most_usd(request.alias, input_tokens, output_tokens)
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._room_wait_s
        while True:
            found = await self._ledger.reserve(self._account, usd, tokens, self._clock())
            if not isinstance(found, Reached):
                return found
            # Calls are reserved for at their longest: most give much of it back.
            if not found.may_pass or loop.time() >= give_up_at:
                raise BudgetReachedError(found)
            await asyncio.sleep(random.uniform(*ROOM_POLL_S))  # noqa: S311 - jitter

    @contextlib.asynccontextmanager
    async def _kept(self, reservation: Reservation) -> AsyncIterator[None]:
        renewing = asyncio.create_task(self._renew(reservation))
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    async def _renew(self, reservation: Reservation) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            with contextlib.suppress(StoreUnavailableError):
                await self._ledger.renew(reservation, self._clock())

    async def _settle(self, reservation: Reservation, usage: Usage) -> None:
        """Count the usage; a paid reply is not lost because it cannot be counted."""
        for _ in range(SETTLE_TRIES):
            try:
                await self._ledger.settle(reservation, usage)
            except StoreUnavailableError:
                await asyncio.sleep(SETTLE_PAUSE_S)
            else:
                return
        log.error(
            "model_usage_not_counted",
            run_id=self._account.run_id,
            tokens=usage.tokens,
            cost_usd=usage.cost_usd,
        )


def estimated_input(request: ModelRequest) -> int:
    """Return roughly how many tokens a request sends."""
    schema = len(str(request.output_schema)) // CHARS_PER_TOKEN if request.output_schema else 0
    return estimated_tokens(request.messages, request.tools) + schema


def most_tokens(request: ModelRequest) -> tuple[int, int]:
    """Return roughly how many tokens a request may send and get back, at most.

    An output that does not fit its schema is asked for once more, together with what was wrong;
    see `agents.models.structured`.
    """
    sent, got = estimated_input(request), request.max_output_tokens
    return (sent, got) if request.output_schema is None else (2 * sent + got, 2 * got)


def usage_of(error: ModelError) -> Usage:
    """Return what a failed call used, as far as its error says so."""
    usage = getattr(error, "usage", NO_USAGE)
    return usage if isinstance(usage, Usage) else NO_USAGE
