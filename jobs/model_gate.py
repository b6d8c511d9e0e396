"""What all workers share about models, kept in Redis: breakers and places at providers.

Its twin is `agents.models.memory_gate`; the contract suite is tests/contracts/gate.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import redis.asyncio as aioredis
import structlog

from agents.models.gate import ProviderFullError
from agents.models.memory_gate import BREAKER_FAILURES, BREAKER_PAUSE_S
from jobs.reaching import reaching
from jobs.store import StoreUnavailableError

PREFIX = "muster"
FAILURES_KEPT_S = 86_400
"""Failures in a row may lie far apart, but not so far."""
PLACE_S = 30.0
"""How long the place of a dead holder stays taken; a living one renews it."""
RENEW_S = PLACE_S / 3
POLL_S = (0.02, 0.12)
"""Between two looks for a free place, by chance: those who wait should not look in step."""

log = structlog.get_logger(__name__)


def failures_key(model: str) -> str:
    """Return the key of a model's failed calls since the last success, by time."""
    return f"{PREFIX}:models:failures:{model}"


def breaker_key(model: str) -> str:
    """Return the key of a model's breaker: `retry_at`, and the call that tries (`trial`)."""
    return f"{PREFIX}:models:breaker:{model}"


def places_key(provider: str) -> str:
    """Return the key of a provider's taken places, by when they run out."""
    return f"{PREFIX}:models:places:{provider}"


@dataclass(frozen=True, slots=True)
class Breaker:
    """How a model's breaker stands; it is open while `failures` reach BREAKER_FAILURES."""

    failures: int = 0
    retry_in_s: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether calls are held back; at `retry_in_s` 0 one may try."""
        return self.failures >= BREAKER_FAILURES


class RedisGate:
    """`agents.models.gate.Gate` for every worker of one Redis.

    What follows a call (its outcome, giving the place back) is not worth losing the call for: it
    is left out when Redis is away. What comes before one raises StoreUnavailableError then.
    """

    def __init__(self, client: aioredis.Redis) -> None:
        self.client: Any = client  # redis-py types answers as unions of all it may say
        self._try = _script(client, "breaker_try")
        self._note = _script(client, "breaker_note")
        self._take = _script(client, "place_take")
        self._keep = _script(client, "place_keep")

    @reaching
    async def may_try(self, model: str) -> bool:
        """See `Gate.may_try`."""
        keys = [failures_key(model), breaker_key(model)]
        return bool(
            await self._try(keys=keys, args=[uuid.uuid4().hex, BREAKER_FAILURES, BREAKER_PAUSE_S])
        )

    async def note(self, model: str, *, is_success: bool) -> None:
        """See `Gate.note`."""
        try:
            await self._count(model, is_success=is_success)
        except StoreUnavailableError as error:
            log.warning("model_outcome_not_counted", model=model, reason=str(error))

    @reaching
    async def _count(self, model: str, *, is_success: bool) -> None:
        keys = [failures_key(model), breaker_key(model)]
        if is_success:
            await self.client.delete(*keys)
            return
        call = uuid.uuid4().hex
        await self._note(keys=keys, args=[call, BREAKER_FAILURES, BREAKER_PAUSE_S, FAILURES_KEPT_S])

    @contextlib.asynccontextmanager
    async def place(self, provider: str, limit: int, wait_s: float) -> AsyncIterator[None]:
        """See `Gate.place`."""
        holder = uuid.uuid4().hex
        renewing: asyncio.Task[None] | None = None
        try:
            await self._wait_for_place(provider, holder, limit, wait_s)
            renewing = asyncio.create_task(self._renew(provider, holder))
            yield
        finally:
            # Also when waiting was cut off: the last look may have taken a place.
            if renewing is not None:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
            await self._leave(provider, holder)

    async def _wait_for_place(self, provider: str, holder: str, limit: int, wait_s: float) -> None:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + wait_s
        while not await self._take_place(provider, holder, limit):
            left_s = give_up_at - loop.time()
            if left_s <= 0:
                raise ProviderFullError(
                    f"every place at {provider} ({limit}) stayed taken for {wait_s:g} s; "
                    f"raise providers.{provider}.max_concurrent in models.yaml, or try later"
                )
            await asyncio.sleep(min(left_s, random.uniform(*POLL_S)))  # noqa: S311 - jitter

    @reaching
    async def _take_place(self, provider: str, holder: str, limit: int) -> bool:
        return bool(await self._take(keys=[places_key(provider)], args=[holder, limit, PLACE_S]))

    async def _renew(self, provider: str, holder: str) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._keep_place(provider, holder)
            except StoreUnavailableError as error:
                log.warning("model_place_not_renewed", provider=provider, reason=str(error))

    @reaching
    async def _keep_place(self, provider: str, holder: str) -> None:
        await self._keep(keys=[places_key(provider)], args=[holder, PLACE_S])

    async def _leave(self, provider: str, holder: str) -> None:
        try:
            await self._free_place(provider, holder)
        except StoreUnavailableError as error:
            log.warning("model_place_not_freed", provider=provider, reason=str(error))

    @reaching
    async def _free_place(self, provider: str, holder: str) -> None:
        await self.client.zrem(places_key(provider), holder)

    @reaching
    async def breakers(self, models: Iterable[str]) -> Mapping[str, Breaker]:
        """Return how the breakers of these models stand, for people."""
        names = list(dict.fromkeys(models))
        async with self.client.pipeline(transaction=False) as pipe:
            pipe.time()
            for name in names:
                pipe.zcard(failures_key(name))
                pipe.hget(breaker_key(name), "retry_at")
            (seconds, micros), *found = await pipe.execute()
        now = seconds + micros / 1e6
        return {
            name: Breaker(int(failures), max(0.0, float(retry_at or 0) - now))
            for name, failures, retry_at in zip(names, found[::2], found[1::2], strict=True)
        }


def _script(client: aioredis.Redis, name: str) -> Any:
    return client.register_script(files("jobs").joinpath("lua", f"{name}.lua").read_text())
