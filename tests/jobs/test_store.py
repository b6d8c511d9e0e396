"""Both stores keep the same promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

import pytest
import redis.asyncio as aioredis

from agents.domain import Evidence
from jobs import broker, redis_store
from jobs import commands as c
from jobs.memory_store import MemoryStore
from jobs.redis_client import connect, connect_sync
from jobs.redis_store import RedisStore
from jobs.service import Runs
from jobs.store import Store, StoreUnavailableError
from tests.contracts.store import PLAN, RUN_ID, StoreContract
from tests.jobs.plans import ALICE, GOAL, NOW


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return the time that was set."""
        return self.now


class TestMemoryStore(StoreContract):
    """The twin."""

    @pytest.fixture
    def store(self) -> Store:
        """Return an empty store whose clock can be moved."""
        return MemoryStore(Clock())

    async def tickets(self, store: Store) -> list[str]:
        """Return the waiting job ids."""
        return [ticket.job_id for ticket in cast(MemoryStore, store).queue]

    async def lose_tickets(self, store: Store) -> None:
        """Empty the queue."""
        cast(MemoryStore, store).lose_queue()

    async def age_leases(self, store: Store) -> None:
        """Move the clock."""
        cast(Clock, cast(MemoryStore, store).clock).now += 60


class TestRedisStore(StoreContract):
    """The real one, on a real server."""

    @pytest.fixture
    async def store(self, redis_url: str) -> AsyncIterator[Store]:
        """Return a store on an empty server."""
        client = connect(redis_url)
        yield RedisStore(client)
        await client.aclose()

    async def tickets(self, store: Store) -> list[str]:
        """Return the waiting job ids, each with its job."""
        client = cast(RedisStore, store).client
        ids = [job_id.decode() for job_id in await client.lrange(broker.queue_key(), 0, -1)]
        for job_id in ids:
            assert await client.hget(broker.job_key(job_id), "data")
        return ids

    async def lose_tickets(self, store: Store) -> None:
        """Delete the queue."""
        await cast(RedisStore, store).client.delete(broker.queue_key())

    async def age_leases(self, store: Store) -> None:
        """Set every lease's end to the past."""
        client = cast(RedisStore, store).client
        for member in await client.zrange(redis_store.LEASES, 0, -1):
            await client.zadd(redis_store.LEASES, {member: 1})

    async def test_same_commit_sent_twice_is_one(self, redis_url: str) -> None:
        """A client that repeats the script, because no answer came, changes nothing more."""
        client: aioredis.Redis = connect(redis_url)
        store = RedisStore(client)
        send = store._commit

        async def twice(**arguments: object) -> object:
            first = await send(**arguments)
            assert await send(**arguments) == first
            return first

        store._commit = twice
        run = await Runs(store, lambda: NOW).start(RUN_ID, GOAL, PLAN)

        assert len(await store.events(RUN_ID)) == run.version
        assert await client.llen(broker.queue_key()) == 1
        await client.aclose()

    async def test_unreachable_server_is_said_in_our_words(self) -> None:
        """Whoever called learns that the store is away, not what redis-py calls it."""
        client = aioredis.Redis(unix_socket_path="/nowhere/redis.sock")

        with pytest.raises(StoreUnavailableError):
            await RedisStore(client).load(RUN_ID)

        await client.aclose()

    async def test_values_are_json(self, redis_url: str) -> None:
        """Nothing that Muster stores is pickled."""
        client = connect_sync(redis_url)
        async_client = connect(redis_url)
        await Runs(RedisStore(async_client), lambda: NOW).start(RUN_ID, GOAL, PLAN)

        texts = [client.hget(redis_store.run_key(RUN_ID), "run")]
        texts += [client.hget(broker.job_key("run-1_S_a_A1"), "data")]

        assert all(bytes(cast(bytes, text))[:1] in b"{[" for text in texts)
        client.close()
        await async_client.aclose()

    async def test_forgotten_run_leaves_no_key(self, redis_url: str) -> None:
        """What is forgotten takes no memory: the feed alone still names it, and it is bounded."""
        client: aioredis.Redis = connect(redis_url)
        store = RedisStore(client)
        runs = Runs(store, lambda: NOW)
        await runs.start(RUN_ID, GOAL, PLAN)
        await store.put_evidence(Evidence("ev", RUN_ID, "a", "t", "t", "t", NOW), b"data")
        await runs.send(RUN_ID, c.StopRun(ALICE))

        await store.forget_runs(NOW + 1)

        keys = await client.keys(f"{redis_store.PREFIX}:*")
        assert keys == [redis_store.FEED.encode()]
        await client.aclose()
