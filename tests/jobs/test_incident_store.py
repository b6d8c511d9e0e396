"""Both incident stores keep the same promises."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import redis.asyncio as aioredis

from jobs import incident_store as module
from jobs.incident_store import (
    IncidentStore,
    MemoryIncidentStore,
    RedisIncidentStore,
    alerts_key,
    incident_key,
)
from jobs.redis_client import connect
from jobs.store import StoreUnavailableError
from tests.contracts.incident_store import IncidentStoreContract
from tests.jobs.alerts import NOW, arrivals, firing, resolved


class TestMemoryIncidentStore(IncidentStoreContract):
    """The twin."""

    @pytest.fixture
    def incident_store(self) -> IncidentStore:
        """Return an empty store."""
        return MemoryIncidentStore()


class TestRedisIncidentStore(IncidentStoreContract):
    """The real one, on a real server."""

    @pytest.fixture
    def incident_store(self, redis_client: aioredis.Redis) -> IncidentStore:
        """Return a store on an empty server."""
        return RedisIncidentStore(redis_client)

    async def test_rival_processes_lose_nothing(self, redis_client: aioredis.Redis) -> None:
        """Stores that know nothing of each other fold into one incident."""
        rivals = [RedisIncidentStore(redis_client) for _ in range(8)]

        outcomes = await asyncio.gather(
            *(rival.accept(arrivals(firing(f"A{n}")), NOW) for n, rival in enumerate(rivals))
        )

        assert len({outcome.incident_id for (outcome,) in outcomes}) == 1
        incident = await rivals[0].get(outcomes[0][0].incident_id)
        assert incident is not None
        assert (incident.total, incident.version) == (8, 8)

    async def test_commit_sent_twice_counts_once(
        self, redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A commit that the client repeats, because no answer came, is carried out once."""
        store = RedisIncidentStore(redis_client)
        script = store._commit_script

        async def twice(*, keys: list[str], args: list[object]) -> object:
            await script(keys=keys, args=args)
            return await script(keys=keys, args=args)

        monkeypatch.setattr(store, "_commit_script", twice)
        (outcome,) = await store.accept(arrivals(firing()), NOW)

        incident = await store.get(outcome.incident_id)
        assert incident is not None
        assert (incident.version, incident.firings) == (1, 1)
        assert await redis_client.xlen(module.FEED) == 1

    async def test_resolved_incident_is_kept_for_a_while(
        self, redis_client: aioredis.Redis
    ) -> None:
        """It expires once it is resolved, and no longer when it fires again; the list follows."""
        store = RedisIncidentStore(redis_client, keep_s=500)
        (outcome,) = await store.accept(arrivals(firing()), NOW)
        key = incident_key(outcome.incident_id)
        assert await redis_client.ttl(key) == -1
        await store.accept(arrivals(resolved()), NOW + 1)
        assert await redis_client.ttl(key) > 0
        assert await redis_client.ttl(alerts_key(outcome.incident_id)) > 0
        await store.accept(arrivals(firing(starts_at=NOW + 2)), NOW + 3)
        assert await redis_client.ttl(key) == -1

        await redis_client.delete(key)

        assert list(await store.list()) == []
        assert await store.due() == ()
        assert await redis_client.zcard(module.INCIDENTS) == 0

    async def test_groups_outlive_a_short_retention(self, redis_client: aioredis.Redis) -> None:
        """An incident may be open for longer than resolved ones are kept: it is still found."""
        store = RedisIncidentStore(redis_client, keep_s=500)
        await store.accept(arrivals(firing()), NOW)
        (group,) = await redis_client.keys(f"{module.INCIDENTS}:group:*")

        assert await redis_client.ttl(group) > module.KEEP_S - 60

    async def test_index_forgets_incidents_whose_time_is_over(
        self, redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The hourly look goes through the whole index, page by page, and drops what is gone."""
        monkeypatch.setattr(module, "INDEX_PAGE", 2)
        store = RedisIncidentStore(redis_client)
        alerts = [firing(service=f"service-{n}") for n in range(7)]
        ids = [outcome.incident_id for outcome in await store.accept(arrivals(*alerts), NOW)]
        await redis_client.delete(*(incident_key(ids[n]) for n in (0, 1, 4)))

        await store.open_threads()

        left = await redis_client.zrange(module.INCIDENTS, 0, -1)
        assert set(left) == {ids[n].encode() for n in (2, 3, 5, 6)}

    async def test_stored_json_with_missing_fields_is_read(
        self, redis_client: aioredis.Redis
    ) -> None:
        """Fields that were added later have defaults, so what is stored stays readable."""
        store = RedisIncidentStore(redis_client)
        (outcome,) = await store.accept(arrivals(firing()), NOW)
        key = incident_key(outcome.incident_id)
        stored = json.loads(await redis_client.hget(key, "incident") or "{}")
        for name in ("cut_off", "counted", "waiting", "reopened"):
            del stored[name]
        await redis_client.hset(key, "incident", json.dumps(stored))

        assert await store.get(outcome.incident_id) is not None


async def test_unreachable_server_is_said_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever delivers is told to try again, also after others were told so."""
    monkeypatch.setattr("jobs.redis_client.RETRIES", 0)
    client = connect(f"unix://{tmp_path}/none.sock")
    store = RedisIncidentStore(client)

    for _ in range(2):
        with pytest.raises(StoreUnavailableError, match="try again"):
            await store.accept(arrivals(firing()), NOW)
    await client.aclose()
