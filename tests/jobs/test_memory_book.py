"""Both books of facts keep the same promises."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis.asyncio as aioredis

from agents.longterm import MemoryBook
from jobs.memory_book import MemoryFacts, RedisFacts
from jobs.redis_client import connect
from jobs.store import StoreUnavailableError
from tests.contracts.memory_book import FACT, MOST, MemoryBookContract


class TestMemoryFacts(MemoryBookContract):
    """The twin."""

    @pytest.fixture
    def book(self) -> MemoryBook:
        """Return an empty book."""
        return MemoryFacts(MOST)


class TestRedisFacts(MemoryBookContract):
    """The real one, on a real server."""

    @pytest.fixture
    def book(self, redis_client: aioredis.Redis) -> MemoryBook:
        """Return a book on an empty server."""
        return RedisFacts(redis_client, MOST)


async def test_server_that_is_away_is_said_in_our_words(tmp_path: Path) -> None:
    """Whoever calls it waits and tries again."""
    book = RedisFacts(connect(f"unix://{tmp_path}/nobody.sock"))

    with pytest.raises(StoreUnavailableError):
        await book.keep(FACT)
