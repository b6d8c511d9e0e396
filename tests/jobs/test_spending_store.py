"""Both ledgers keep the same promises."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from jobs.redis_client import connect
from jobs.spending import DAY_KEPT_S, Ledger, Reached, Reservation, Scope, Spent
from jobs.spending_store import SETTLED, MemoryLedger, RedisLedger, spending_keys
from jobs.store import StoreUnavailableError
from tests.contracts.ledger import ACCOUNT, BUDGETS, NOW, LedgerContract, held, spend, usage


class TestMemoryLedger(LedgerContract):
    """The twin."""

    @pytest.fixture
    def ledger(self) -> Ledger:
        """Return an empty ledger."""
        return MemoryLedger(BUDGETS)


class TestRedisLedger(LedgerContract):
    """The real one, on a real server."""

    @pytest.fixture
    def ledger(self, redis_client: aioredis.Redis) -> Ledger:
        """Return a ledger on an empty server."""
        return RedisLedger(redis_client, BUDGETS)

    async def test_rival_workers_share_the_budgets(self, redis_client: aioredis.Redis) -> None:
        """Ledgers that know nothing of each other give no more than there is."""
        rivals = [RedisLedger(redis_client, BUDGETS) for _ in range(16)]

        found = await asyncio.gather(*(one.reserve(ACCOUNT, 0.25, 1, NOW) for one in rivals))

        assert sum(isinstance(one, Reservation) for one in found) == 4

    async def test_reserve_sent_twice_holds_once(
        self, redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A reservation that the client repeats, because no answer came, is made once."""
        ledger = RedisLedger(redis_client, BUDGETS)
        script = ledger._reserve

        async def twice(*, keys: list[str], args: list[object]) -> object:
            await script(keys=keys, args=args)
            return await script(keys=keys, args=args)

        monkeypatch.setattr(ledger, "_reserve", twice)

        assert isinstance(await ledger.reserve(ACCOUNT, 1.0, 10, NOW), Reservation)
        assert isinstance(await ledger.reserve(ACCOUNT, 0.1, 1, NOW), Reached)

    async def test_counters_go_away(self, redis_client: aioredis.Redis) -> None:
        """What a run or thread used is kept as long as runs are, that of a day for eight."""
        ledger = RedisLedger(redis_client, BUDGETS, keep_s=100.0)
        await spend(ledger, ACCOUNT, 0.5, 10)

        keys = spending_keys(ACCOUNT, "2023-11-14")
        lives = {scope: await redis_client.ttl(key) for scope, key in keys.items()}

        assert 0 < lives[Scope.RUN] <= 100
        assert 0 < lives[Scope.THREAD] <= 100
        assert 100 < lives[Scope.CHANNEL_DAY] <= DAY_KEPT_S
        assert 100 < lives[Scope.DAY] <= DAY_KEPT_S
        assert await redis_client.ttl(SETTLED) > 0

    async def test_reservations_leave_nothing_behind(self, redis_client: aioredis.Redis) -> None:
        """After settling only the two counters are left."""
        ledger = RedisLedger(redis_client, BUDGETS)
        await spend(ledger, ACCOUNT, 0.5, 10)

        for key in spending_keys(ACCOUNT, "2023-11-14").values():
            assert set(await redis_client.hkeys(key)) == {b"usd", b"tokens"}

    async def test_dead_reservations_are_swept(self, redis_client: aioredis.Redis) -> None:
        """What ran out does not pile up."""
        ledger = RedisLedger(redis_client, BUDGETS)
        await held(ledger, ACCOUNT, 0.1, 10)
        await ledger.settle(await held(ledger, ACCOUNT, 0.1, 10), usage(0.1, 10))
        found = await ledger.reserve(ACCOUNT, 0.1, 1, NOW + 3_600)
        assert isinstance(found, Reservation)
        await ledger.settle(found, usage(0.0, 0))

        key = spending_keys(ACCOUNT, "2023-11-14")[Scope.RUN]
        assert set(await redis_client.hkeys(key)) == {b"usd", b"tokens"}

    async def test_large_sums_stay_exact(self, redis_client: aioredis.Redis) -> None:
        """Counters are whole numbers: a thousand dollars and a nanodollar are told apart."""
        ledger = RedisLedger(redis_client, BUDGETS)
        reservation = await held(ledger, ACCOUNT, 0.1, 10)
        await ledger.settle(reservation, usage(1_000.000000001, 10))

        assert (await ledger.spent(ACCOUNT, NOW))[Scope.RUN] == Spent(1_000_000_000_001, 10)

    async def test_server_that_is_away_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody pays for a call that cannot be counted: reserving raises."""
        monkeypatch.setattr("jobs.redis_client.RETRIES", 0)
        client = connect(f"unix://{tmp_path}/nobody.sock")

        with pytest.raises(StoreUnavailableError):
            await RedisLedger(client, BUDGETS).reserve(ACCOUNT, 0.1, 1, NOW)
        await client.aclose()
