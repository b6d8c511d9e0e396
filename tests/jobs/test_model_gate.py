"""The gate in Redis."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from agents.models.gate import Gate, ProviderFullError
from jobs import model_gate
from jobs.model_gate import Breaker, RedisGate, breaker_key, failures_key, places_key
from jobs.redis_client import connect
from jobs.store import StoreUnavailableError
from tests.contracts.gate import FAILURES, PAUSE_S, Advance, GateContract, fail


class TestRedisGate(GateContract):
    """The real one, on a real server."""

    @pytest.fixture
    def gate(self, redis_client: aioredis.Redis) -> Gate:
        """Return a gate on an empty server."""
        return RedisGate(redis_client)

    @pytest.fixture
    def advance(self, redis_client: aioredis.Redis) -> Advance:
        """Return what makes all that is stored older: the server's clock cannot be moved."""

        async def older(seconds: float) -> None:
            async for key in redis_client.scan_iter(breaker_key("*")):
                retry_at = await redis_client.hget(key, "retry_at")
                assert retry_at is not None
                await redis_client.hset(key, "retry_at", str(float(retry_at) - seconds))

        return older


async def twice(gate: RedisGate, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send a script of the gate twice, as a client does that gets no answer."""
    script = getattr(gate, name)

    async def repeated(*, keys: list[str], args: list[object]) -> object:
        await script(keys=keys, args=args)
        return await script(keys=keys, args=args)

    monkeypatch.setattr(gate, name, repeated)


async def test_workers_share_breakers_and_places(redis_client: aioredis.Redis) -> None:
    """What one worker finds out, the others know."""
    one, other = RedisGate(redis_client), RedisGate(redis_client)
    await fail(one, times=2)
    await fail(other, times=FAILURES - 2)

    assert not await one.may_try("m")
    async with one.place("p", 1, 0.0):
        with pytest.raises(ProviderFullError, match=r"providers\.p\.max_concurrent"):
            async with other.place("p", 1, 0.0):
                pass


async def test_failure_sent_twice_counts_once(
    redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated command does not open a breaker early."""
    gate = RedisGate(redis_client)
    await twice(gate, "_note", monkeypatch)

    await fail(gate, times=FAILURES - 1)

    assert await gate.may_try("m")
    assert (await gate.breakers(["m"]))["m"] == Breaker(FAILURES - 1, 0.0)


async def test_trial_sent_twice_is_still_let_through(
    redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one call after the pause is not lost to a repeated command."""
    gate = RedisGate(redis_client)
    await fail(gate)
    await redis_client.hset(breaker_key("m"), "retry_at", "0")
    await twice(gate, "_try", monkeypatch)

    assert await gate.may_try("m")
    assert not await gate.may_try("m")


async def test_place_sent_twice_is_one(
    redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repeated command takes no second place."""
    gate = RedisGate(redis_client)
    await twice(gate, "_take", monkeypatch)

    async with gate.place("p", 2, 0.0), gate.place("p", 2, 0.0):
        assert await redis_client.zcard(places_key("p")) == 2


async def test_place_of_a_dead_holder_becomes_free(redis_client: aioredis.Redis) -> None:
    """Nobody renews it, so it runs out."""
    await redis_client.zadd(places_key("p"), {"dead": 1.0})

    async with RedisGate(redis_client).place("p", 1, 0.0):
        assert await redis_client.zrange(places_key("p"), 0, -1) != [b"dead"]


async def test_long_call_keeps_its_place(
    redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that is still used is renewed again and again."""
    monkeypatch.setattr(model_gate, "RENEW_S", 0.005)

    async with RedisGate(redis_client).place("p", 1, 0.0):
        places = places_key("p")
        before = await redis_client.zrange(places, 0, -1, withscores=True)
        async with asyncio.timeout(10):
            while await redis_client.zrange(places, 0, -1, withscores=True) == before:  # noqa: ASYNC110 - only the server knows
                await asyncio.sleep(0.005)

    assert await redis_client.zcard(places_key("p")) == 0


async def test_breakers_are_told_to_people(redis_client: aioredis.Redis) -> None:
    """How many calls failed in a row, and when one may try again."""
    gate = RedisGate(redis_client)
    await fail(gate, times=FAILURES + 3)

    found = await gate.breakers(["m", "fresh"])

    assert found["fresh"] == Breaker()
    assert found["m"].is_open
    assert not found["fresh"].is_open
    assert 0 < found["m"].retry_in_s <= PAUSE_S


async def test_nothing_is_kept_for_ever(redis_client: aioredis.Redis) -> None:
    """Models that nobody calls any more leave nothing behind."""
    gate = RedisGate(redis_client)
    await fail(gate)
    async with gate.place("p", 1, 0.0):
        for key in (failures_key("m"), breaker_key("m"), places_key("p")):
            assert await redis_client.ttl(key) > 0


async def test_call_is_not_lost_when_redis_goes_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes before a call is refused, what follows one is left out."""
    monkeypatch.setattr("jobs.redis_client.RETRIES", 0)
    client = connect(f"unix://{tmp_path}/nobody.sock")
    gate = RedisGate(client)

    await gate.note("m", is_success=False)
    with pytest.raises(StoreUnavailableError):
        await gate.may_try("m")
    with pytest.raises(StoreUnavailableError):
        async with gate.place("p", 1, 0.0):
            pass
    await client.aclose()
