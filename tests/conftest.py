"""Fixtures for tests against a real server: one private embedded Redis per test process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio as aioredis

from jobs.embedded import EmbeddedRedis
from jobs.redis_client import connect, connect_sync


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one server for all tests of this process."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """Return the address of an empty server."""
    client = connect_sync(redis_server)
    client.flushall()
    client.close()
    return redis_server


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    """Return a client of an empty server."""
    client = connect(redis_url)
    yield client
    await client.aclose()
