"""What progress remembers: how far it has read, and which cards do not show the end yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import redis.asyncio as aioredis

from jobs.reaching import reaching

STATE = "muster:progress"
OPEN = "muster:progress:open"

_SAVE = """
if tonumber(redis.call('HGET', KEYS[1], 'token') or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'runs', ARGV[2], 'incidents', ARGV[3])
for n = 4, #ARGV do redis.call('SADD', KEYS[2], ARGV[n]) end
return 1
"""
_CLOSE = """
if tonumber(redis.call('HGET', KEYS[1], 'token') or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('SREM', KEYS[2], ARGV[2])
return 1
"""


class SupersededError(Exception):
    """Another leader has taken over: stop."""


@dataclass(frozen=True, slots=True)
class Cursors:
    """How far the feeds were read."""

    runs: str = "0"
    incidents: str = "0"


class ProgressStore(Protocol):
    """What progress remembers. May raise StoreUnavailableError.

    `token` fences: once a newer leader has saved, an older one gets SupersededError.
    """

    async def cursors(self) -> Cursors:
        """Return how far the feeds were read."""

    async def open(self) -> set[str]:
        """Return the subjects whose cards may not show the latest."""

    async def save(self, token: int, cursors: Cursors, opened: Iterable[str]) -> None:
        """Remember the cursors, and the subjects that changed on the way there."""

    async def close(self, token: int, subject: str) -> None:
        """Forget a subject: its card shows all there is."""


class MemoryProgressStore:
    """The in-memory twin."""

    def __init__(self) -> None:
        self._token = 0
        self._cursors = Cursors()
        self._open: set[str] = set()

    async def cursors(self) -> Cursors:
        """See `ProgressStore.cursors`."""
        return self._cursors

    async def open(self) -> set[str]:
        """See `ProgressStore.open`."""
        return set(self._open)

    async def save(self, token: int, cursors: Cursors, opened: Iterable[str]) -> None:
        """See `ProgressStore.save`."""
        self._fence(token)
        self._token, self._cursors = token, cursors
        self._open |= set(opened)

    async def close(self, token: int, subject: str) -> None:
        """See `ProgressStore.close`."""
        self._fence(token)
        self._open.discard(subject)

    def _fence(self, token: int) -> None:
        if self._token > token:
            raise SupersededError


class RedisProgressStore:
    """`ProgressStore` on Redis."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._client: Any = client
        self._save: Any = client.register_script(_SAVE)
        self._close: Any = client.register_script(_CLOSE)

    @reaching
    async def cursors(self) -> Cursors:
        """See `ProgressStore.cursors`."""
        runs, incidents = await self._client.hmget(STATE, "runs", "incidents")
        return Cursors(
            runs=runs.decode() if runs else "0",
            incidents=incidents.decode() if incidents else "0",
        )

    @reaching
    async def open(self) -> set[str]:
        """See `ProgressStore.open`."""
        return {member.decode() for member in await self._client.smembers(OPEN)}

    @reaching
    async def save(self, token: int, cursors: Cursors, opened: Iterable[str]) -> None:
        """See `ProgressStore.save`."""
        args = [token, cursors.runs, cursors.incidents, *opened]
        if not await self._save(keys=[STATE, OPEN], args=args):
            raise SupersededError

    @reaching
    async def close(self, token: int, subject: str) -> None:
        """See `ProgressStore.close`."""
        if not await self._close(keys=[STATE, OPEN], args=[token, subject]):
            raise SupersededError
