"""A server that is away, full or a replica is "not now"; a mistake of ours is not."""

from __future__ import annotations

import pytest
import redis.asyncio as aioredis
import redis.exceptions

from jobs.reaching import reaching
from jobs.redis_store import RedisStore
from jobs.service import Runs
from jobs.store import StoreUnavailableError
from tests.jobs.plans import GOAL, NOW, plan, step


@pytest.mark.parametrize(
    "error",
    [
        redis.exceptions.ConnectionError("refused"),
        redis.exceptions.TimeoutError("slow"),
        redis.exceptions.ReadOnlyError("a replica"),
        redis.exceptions.ResponseError("MISCONF Errors writing to the AOF file"),
    ],
)
async def test_server_that_cannot_take_it_now_is_unavailable(error: Exception) -> None:
    """Whoever sent it waits and sends it again."""

    @reaching
    async def ask() -> None:
        raise error

    with pytest.raises(StoreUnavailableError):
        await ask()


async def test_wrong_command_is_a_bug() -> None:
    """What trying again cannot mend rises as it is."""

    @reaching
    async def ask() -> None:
        raise redis.exceptions.ResponseError("WRONGTYPE")

    with pytest.raises(redis.exceptions.ResponseError):
        await ask()


async def test_full_memory_is_waited_for(redis_client: aioredis.Redis) -> None:
    """A commit that finds no room is not lost: it goes through once there is some."""
    runs = Runs(RedisStore(redis_client), lambda: NOW)
    before = (await redis_client.config_get("maxmemory"))["maxmemory"] or 0
    await redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailableError):
            await runs.start("run-1", GOAL, plan(step("a")))
    finally:
        await redis_client.config_set("maxmemory", before)

    assert (await runs.start("run-1", GOAL, plan(step("a")))).version > 1
