"""From an alias to the first of its models that answers: retries, fallbacks, breakers, places."""

from __future__ import annotations

import asyncio
import functools
import random as chance
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Protocol

import structlog

from agents.models import lite
from agents.models.gate import Gate, ProviderFullError
from agents.models.naming import breaker_name, provider_name
from agents.models.pace import Pace
from agents.models.patience import pause_s
from agents.models.port import (
    BadOutputError,
    ModelBusyError,
    ModelError,
    ModelReply,
    ModelRequest,
    ModelRequestError,
    NoModelError,
    Usage,
    Watch,
)
from agents.models.structured import add
from config.specs import ModelsFile, ModelSpec, ProviderSpec

BROKEN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}) | {
    HTTPStatus.PAYMENT_REQUIRED
}
"""Refusals that say something about the model's entry, not about this one request."""

log = structlog.get_logger(__name__)


class Attempt(Protocol):
    """One call to one model: `agents.models.lite.attempt`."""

    def __call__(
        self, spec: ModelSpec, key: str | None, request: ModelRequest, watch: Watch | None
    ) -> Awaitable[ModelReply]:
        """Return the reply, or raise ModelBusyError, ModelRequestError or BadOutputError."""


class Price(Protocol):
    """A model's price: `agents.models.lite.price_usd`."""

    def __call__(self, spec: ModelSpec, input_tokens: int, output_tokens: int) -> float | None:
        """Return what a call of that size costs; None when nobody knows."""


class _SkippedError(ModelError):
    """The model was not asked, or not again; the message is the reason."""


class ModelRouter:
    """`agents.models.port.Model` over models.yaml; `keys` are by environment variable."""

    def __init__(
        self,
        models: ModelsFile,
        gate: Gate,
        keys: Mapping[str, str],
        attempt: Attempt = lite.attempt,
        *,
        price: Price = lite.price_usd,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = chance.random,
    ) -> None:
        self._models = models
        self._gate = gate
        self._keys = keys
        self._attempt = attempt
        self._price = price
        self._sleep = sleep
        self._random = random
        self._pace = Pace()

    def offers(self, alias: str) -> bool:
        """See `Model.offers`."""
        return bool(self._models.models.get(alias))

    def price_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """See `Model.price_usd`."""
        specs = self._models.models.get(alias, ())
        return self._price(specs[0], input_tokens, output_tokens) if specs else None

    def most_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """See `Model.most_usd`."""
        specs = self._models.models.get(alias, ())
        prices = [self._price(spec, input_tokens, output_tokens) for spec in specs]
        return max((price for price in prices if price is not None), default=None)

    async def complete(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply:
        """See `Model.complete`."""
        failures: dict[str, ModelError] = {}
        wasted: list[Usage] = []
        for spec in self._models.models.get(request.alias, ()):
            try:
                reply = await self._call(spec, request, watch, wasted)
            except ModelError as error:
                failures[breaker_name(spec)] = error
                log.warning(
                    "model_gave_nothing",
                    alias=request.alias,
                    model=spec.model,
                    purpose=request.purpose,
                    reason=str(error),
                )
            else:
                return replace(reply, usage=functools.reduce(add, wasted, reply.usage))
        failure = _all_failed(request.alias, failures)
        failure.usage = functools.reduce(add, wasted) if wasted else None
        raise failure

    async def _call(
        self, spec: ModelSpec, request: ModelRequest, watch: Watch | None, wasted: list[Usage]
    ) -> ModelReply:
        """Return the reply of one model, tried as often as its entry says.

        What calls used that gave nothing is added to `wasted`: it is paid for all the same.
        """
        key = self._key(spec)
        retry = 0
        while True:
            if not await self._gate.may_try(breaker_name(spec)):
                raise _SkippedError("failed again and again, and is left alone for a while")
            try:
                return await self._try(spec, key, request, watch)
            except ModelError as error:
                if error.usage is not None:
                    wasted.append(error.usage)
                pause = self._pause(spec, retry, error)
                if isinstance(error, ModelBusyError):
                    await self._note_busy(spec, error, is_last=pause is None)
                if pause is None:
                    raise
                log.info(
                    "model_call_retried", model=spec.model, pause_s=round(pause, 3), why=str(error)
                )
            await self._sleep(pause)
            retry += 1

    def _pause(self, spec: ModelSpec, retry: int, error: ModelError) -> float | None:
        """Return how long to wait before the next try, None when there is none."""
        if not isinstance(error, ModelBusyError) or retry >= spec.retries:
            return None
        return pause_s(retry, error.retry_after_s, self._random)

    async def _note_busy(self, spec: ModelSpec, error: ModelBusyError, *, is_last: bool) -> None:
        """Count a failure; who asks for patience is not broken, unless patience does not help."""
        if is_last or error.status != HTTPStatus.TOO_MANY_REQUESTS:
            await self._gate.note(breaker_name(spec), is_success=False)

    async def _try(
        self, spec: ModelSpec, key: str | None, request: ModelRequest, watch: Watch | None
    ) -> ModelReply:
        """Make one call at a place of its provider, and note what it says about the model."""
        name = breaker_name(spec)
        provider = provider_name(spec)
        limits = self._models.providers.get(provider, ProviderSpec())
        try:
            async with self._gate.place(provider, limits.max_concurrent, limits.queue_s):
                reply = await self._ask(spec, key, request, watch)
        except ProviderFullError as error:
            raise _SkippedError(str(error)) from error
        except ModelRequestError as error:
            await self._gate.note(name, is_success=error.status not in BROKEN)
            raise
        except BadOutputError:
            await self._gate.note(name, is_success=True)
            raise
        await self._gate.note(name, is_success=True)
        return reply

    async def _ask(
        self, spec: ModelSpec, key: str | None, request: ModelRequest, watch: Watch | None
    ) -> ModelReply:
        """Make the call; who watches a quick model is told all of its words at once."""
        name = breaker_name(spec)
        is_streamed = watch is not None and self._pace.is_slow(name)
        reply = await self._attempt(spec, key, request, watch if is_streamed else None)
        self._pace.note(name, reply.duration_s)
        if watch is not None and not is_streamed and request.output_schema is None and reply.text:
            watch(reply.text)
        return reply

    def _key(self, spec: ModelSpec) -> str | None:
        """Return the model's key, None when it needs none."""
        if spec.key_env is None:
            return None
        key = self._keys.get(spec.key_env)
        if not key:
            raise _SkippedError(f"has no key; set {spec.key_env}")
        return key


def _all_failed(alias: str, failures: Mapping[str, ModelError]) -> ModelError:
    """Return what to say when no model gave anything.

    One that answered badly was reached all the same; a request that every model refuses is wrong
    itself. Everything else means: there is no model now.
    """
    bad = [error for error in failures.values() if isinstance(error, BadOutputError)]
    if bad:
        return BadOutputError(str(bad[-1]))
    errors = list(failures.values())
    refused = [one for one in errors if isinstance(one, ModelRequestError)]
    if refused and len(refused) == len(errors) and not any(one.status in BROKEN for one in refused):
        return ModelRequestError(str(refused[-1]), status=refused[-1].status)
    return NoModelError(alias, {model: str(error) for model, error in failures.items()})
