"""Keeping facts: the in-memory twin and Redis keep the same promise.

The contract suite is tests/contracts/memory_book.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import redis.asyncio as aioredis
from pydantic import TypeAdapter

from agents.longterm import Doubt, Fact, weakest
from jobs.reaching import reaching

MAX_FACTS = 1_000
MAX_DOUBTS = 20
"""More doubts about one fact are not kept: it weighs nothing by then."""
PREFIX = "muster"
FACTS = f"{PREFIX}:memory:facts"

FACT = TypeAdapter(Fact)
DOUBT = TypeAdapter(Doubt)


def doubts_key(fact_id: str) -> str:
    """Return the key of what speaks against a fact (a hash of JSON by the doubt's id)."""
    return f"{PREFIX}:memory:doubts:{fact_id}"


class MemoryFacts:
    """The in-memory twin of `RedisFacts`."""

    def __init__(self, most: int = MAX_FACTS) -> None:
        self._most = most
        self._facts: dict[str, Fact] = {}

    async def keep(self, fact: Fact) -> None:
        """See `agents.longterm.MemoryBook.keep`."""
        self._facts.setdefault(fact.id, replace(fact, doubts=()))
        if len(self._facts) > self._most:
            await self.forget(weakest(await self.facts(), fact.at).id)

    async def doubt(self, fact_id: str, doubt: Doubt) -> bool:
        """See `agents.longterm.MemoryBook.doubt`."""
        fact = self._facts.get(fact_id)
        if fact is None:
            return False
        is_new = doubt.id not in {one.id for one in fact.doubts}
        if is_new and len(fact.doubts) < MAX_DOUBTS:
            self._facts[fact_id] = replace(fact, doubts=(*fact.doubts, doubt))
        return True

    async def facts(self) -> list[Fact]:
        """See `agents.longterm.MemoryBook.facts`."""
        return sorted(map(_with_doubts_in_order, self._facts.values()), key=_by_age)

    async def forget(self, fact_id: str) -> None:
        """See `agents.longterm.MemoryBook.forget`."""
        self._facts.pop(fact_id, None)


class RedisFacts:
    """`agents.longterm.MemoryBook` on one Redis or Valkey; any number of processes share it."""

    def __init__(self, client: aioredis.Redis, most: int = MAX_FACTS) -> None:
        self.client: Any = client  # redis-py types answers as unions of all it may say
        self._most = most

    @reaching
    async def keep(self, fact: Fact) -> None:
        """See `agents.longterm.MemoryBook.keep`."""
        await self.client.hsetnx(FACTS, fact.id, FACT.dump_json(replace(fact, doubts=())))
        if await self.client.hlen(FACTS) > self._most:
            await self.forget(weakest(await self.facts(), fact.at).id)

    @reaching
    async def doubt(self, fact_id: str, doubt: Doubt) -> bool:
        """See `agents.longterm.MemoryBook.doubt`."""
        if not await self.client.hexists(FACTS, fact_id):
            return False
        key = doubts_key(fact_id)
        if await self.client.hlen(key) < MAX_DOUBTS:
            await self.client.hsetnx(key, doubt.id, DOUBT.dump_json(doubt))
        return True

    @reaching
    async def facts(self) -> list[Fact]:
        """See `agents.longterm.MemoryBook.facts`."""
        stored = await self.client.hgetall(FACTS)
        facts = [FACT.validate_json(text) for text in stored.values()]
        async with self.client.pipeline(transaction=False) as pipe:
            for fact in facts:
                pipe.hvals(doubts_key(fact.id))
            found = await pipe.execute()
        doubted = [
            replace(fact, doubts=tuple(DOUBT.validate_json(text) for text in doubts))
            for fact, doubts in zip(facts, found, strict=True)
        ]
        return sorted(map(_with_doubts_in_order, doubted), key=_by_age)

    @reaching
    async def forget(self, fact_id: str) -> None:
        """See `agents.longterm.MemoryBook.forget`."""
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.hdel(FACTS, fact_id)
            pipe.delete(doubts_key(fact_id))
            await pipe.execute()


def _with_doubts_in_order(fact: Fact) -> Fact:
    return replace(fact, doubts=tuple(sorted(fact.doubts, key=lambda one: (one.at, one.id))))


def _by_age(fact: Fact) -> tuple[float, str]:
    return fact.at, fact.id
