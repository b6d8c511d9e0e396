"""Both books of posts keep their promises."""

from __future__ import annotations

import pytest
import redis.asyncio as aioredis

from bot.platforms.slack.book import (
    CLAIM_S,
    KEEP_S,
    PLAIN_S,
    Claimed,
    Held,
    MemoryBook,
    Posted,
    RedisBook,
)
from bot.platforms.slack.clients import TIMEOUT_S
from tests.contracts.slack_book import BookContract


class TestMemoryBook(BookContract):
    """The in-memory twin."""

    @pytest.fixture
    def book(self) -> MemoryBook:
        """Return an empty book."""
        return MemoryBook(lambda: 1_000.0)


class TestRedisBook(BookContract):
    """The book on a real server."""

    @pytest.fixture
    def book(self, redis_client: aioredis.Redis) -> RedisBook:
        """Return an empty book."""
        return RedisBook(redis_client)


async def test_a_claim_runs_out() -> None:
    """A process that hangs holds nobody off for ever, and its post is looked for."""
    now = 1_000.0
    book = MemoryBook(lambda: now)
    await book.claim("k", "a")
    now += CLAIM_S - 1
    assert isinstance(await book.claim("k", "b"), Held)
    now += 2

    assert await book.claim("k", "b") == Claimed(1_000.0)


async def test_a_claim_in_redis_runs_out(redis_client: aioredis.Redis) -> None:
    """The same where the server's clock counts."""
    book = RedisBook(redis_client)
    await book.claim("k", "a")
    await redis_client.hset("muster:slack:post:k", "until", "1")

    assert isinstance(await book.claim("k", "b"), Claimed)


async def test_plain_workspaces_are_tried_again_after_a_week() -> None:
    """Slack may have brought them what they lacked."""
    now = 0.0
    book = MemoryBook(lambda: now)
    await book.make_plain("T1")
    now = PLAIN_S + 1

    assert not await book.is_plain("T1")


async def test_nothing_stays_in_redis_for_ever(redis_client: aioredis.Redis) -> None:
    """Every key has a time to live."""
    book = RedisBook(redis_client)
    await book.claim("claimed", "a")
    await book.keep("posted", Posted("C1", "1"))
    await book.opened("C1/1", "k")
    await book.take_root("C1/1", "card")
    await book.move("C1/2", "3")
    await book.shown("C1/1", 1)
    await book.keep_file("k", "F1")
    await book.make_plain("T1")

    keys = await redis_client.keys("muster:slack:*")
    lives = [await redis_client.ttl(key) for key in keys]

    assert len(keys) == 7
    assert all(0 < seconds <= KEEP_S for seconds in lives)


def test_a_claim_lasts_longer_than_a_call() -> None:
    """Nobody takes a claim over while its owner still waits for Slack."""
    assert CLAIM_S > TIMEOUT_S
