"""Clients of Redis keep what asyncio promises."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio as aioredis

from jobs.redis_client import connect

MOMENTS = 60


@pytest.mark.parametrize("is_connected", [False, True])
async def test_a_cancellation_is_never_swallowed(redis_url: str, is_connected: bool) -> None:
    """Whenever it comes, while connecting, sending or waiting, the task ends as cancelled."""
    for moment in range(1, MOMENTS):
        client = connect(redis_url)
        if is_connected:
            await client.ping()

        async def follow(client: aioredis.Redis = client) -> None:
            await client.xread({"feed": "0"}, block=50)

        task = asyncio.create_task(follow())
        for _ in range(moment):
            await asyncio.sleep(0)
        task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await task

        assert await client.ping()
        await client.aclose()
