"""What all tests share: one private embedded Redis per process, and whole stories first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import redis.asyncio as aioredis
from hypothesis import settings

from jobs.embedded import EmbeddedRedis
from jobs.redis_client import connect, connect_sync

LONG = (
    "tests/scenarios/",
    "tests/crash/",
    "tests/demo/test_shop.py",
    "tests/bot/cli/test_stack.py",
)
"""Tests that mostly wait for other processes: the others fit in beside them."""


# How long an example takes says what else the machine does, not whether the code is right.
settings.register_profile("muster", deadline=None)
settings.load_profile("muster")


def pytest_configure(config: pytest.Config) -> None:
    """Hand out tests one by one: behind a whole story no other test should have to queue."""
    if getattr(config.option, "maxschedchunk", 0) is None:
        config.option.maxschedchunk = 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, a short test behind each: a process is given two at once."""
    long = [item for item in items if item.nodeid.startswith(LONG)]
    short = [item for item in items if not item.nodeid.startswith(LONG)]
    pairs = [item for pair in zip(long, short, strict=False) for item in pair]
    items[:] = [*pairs, *long[len(short) :], *short[len(long) :]]


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
