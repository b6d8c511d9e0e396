"""What came from Slack and is not done yet: kept before it is acknowledged, each thing once.

Every bot process takes from it. What a process has taken comes back when the process dies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import redis.asyncio as aioredis
import structlog
from pydantic import ValidationError

from bot.platforms.slack import heard as values
from bot.platforms.slack.heard import Heard
from jobs.reaching import reaching

log = structlog.get_logger(__name__)

KEEP_SEEN_S: Final = 86_400
"""Slack delivers again for minutes, and once a day at worst."""
LEASE_S: Final = 20.0

ITEMS: Final = "muster:slack:inbox"
DUE: Final = "muster:slack:inbox:due"
SEEN: Final = "muster:slack:inbox:seen"

_PUT = """
if not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
"""
_TAKE = """
local keys = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
local items = {}
for _, key in ipairs(keys) do
  local item = redis.call('HGET', KEYS[1], key)
  if item then
    redis.call('ZADD', KEYS[2], ARGV[2], key)
    items[#items + 1] = item
  else
    redis.call('ZREM', KEYS[2], key)
  end
end
return items
"""
_LATER = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Item:
    """A thing to do, since when, and how often that was tried."""

    heard: Heard
    put_at: float
    tries: int = 0

    @property
    def key(self) -> str:
        """What tells it from others."""
        return self.heard.key


class Inbox(Protocol):
    """What is still to be done; tests/contracts/slack_inbox.py. May raise StoreUnavailableError."""

    async def put(self, item: Item) -> bool:
        """Keep an item; False when its key came before, within a day."""

    async def take(self, now: float, limit: int, lease_s: float = LEASE_S) -> list[Item]:
        """Return items that nobody works on, the oldest first; they are yours for the lease."""

    async def hold(self, keys: Iterable[str], until: float) -> None:
        """Prolong the lease of items that were taken."""

    async def done(self, key: str) -> None:
        """Forget an item; its key stays known."""

    async def later(self, item: Item, due_at: float) -> None:
        """Put a taken item back, to be tried when it is due."""

    async def count(self) -> int:
        """Return how many items are not done."""


class MemoryInbox:
    """The in-memory twin."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._due: dict[str, float] = {}
        self._seen: set[str] = set()

    @property
    def keys(self) -> list[str]:
        """The keys of what is not done."""
        return list(self._items)

    async def put(self, item: Item) -> bool:
        """See `Inbox.put`."""
        if item.key in self._seen:
            return False
        self._seen.add(item.key)
        self._items[item.key], self._due[item.key] = item, item.put_at
        return True

    async def take(self, now: float, limit: int, lease_s: float = LEASE_S) -> list[Item]:
        """See `Inbox.take`."""
        due = sorted((at, key) for key, at in self._due.items() if at <= now)[:limit]
        for _, key in due:
            self._due[key] = now + lease_s
        return [self._items[key] for _, key in due]

    async def hold(self, keys: Iterable[str], until: float) -> None:
        """See `Inbox.hold`."""
        self._due |= {key: until for key in keys if key in self._due}

    async def done(self, key: str) -> None:
        """See `Inbox.done`."""
        self._items.pop(key, None)
        self._due.pop(key, None)

    async def later(self, item: Item, due_at: float) -> None:
        """See `Inbox.later`."""
        if item.key in self._items:
            self._items[item.key], self._due[item.key] = item, due_at

    async def count(self) -> int:
        """See `Inbox.count`."""
        return len(self._items)


class RedisInbox:
    """`Inbox` on Redis: items by key, when each is due, the keys that came."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._client: Any = client
        self._put: Any = client.register_script(_PUT)
        self._take: Any = client.register_script(_TAKE)
        self._later: Any = client.register_script(_LATER)

    @reaching
    async def put(self, item: Item) -> bool:
        """See `Inbox.put`."""
        keys = [ITEMS, DUE, f"{SEEN}:{item.key}"]
        return bool(
            await self._put(keys=keys, args=[item.key, _dump(item), item.put_at, KEEP_SEEN_S])
        )

    @reaching
    async def take(self, now: float, limit: int, lease_s: float = LEASE_S) -> list[Item]:
        """See `Inbox.take`."""
        stored = await self._take(keys=[ITEMS, DUE], args=[now, now + lease_s, limit])
        return [item for one in stored if (item := _load(one)) is not None]

    @reaching
    async def hold(self, keys: Iterable[str], until: float) -> None:
        """See `Inbox.hold`."""
        held = dict.fromkeys(keys, until)
        if held:
            await self._client.zadd(DUE, held, xx=True)

    @reaching
    async def done(self, key: str) -> None:
        """See `Inbox.done`."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hdel(ITEMS, key)
            pipe.zrem(DUE, key)
            await pipe.execute()

    @reaching
    async def later(self, item: Item, due_at: float) -> None:
        """See `Inbox.later`."""
        await self._later(keys=[ITEMS, DUE], args=[item.key, _dump(item), due_at])

    @reaching
    async def count(self) -> int:
        """See `Inbox.count`."""
        return int(await self._client.hlen(ITEMS))


def again(item: Item) -> Item:
    """Return the item after one more try."""
    return replace(item, tries=item.tries + 1)


def _dump(item: Item) -> bytes:
    head = {"put_at": item.put_at, "tries": item.tries}
    return b'{"heard":' + values.dump(item.heard) + b"," + json.dumps(head).encode()[1:]


def _load(stored: bytes) -> Item | None:
    """Return the item; None for one that only a newer version can read: it waits for that one."""
    said = json.loads(stored)
    try:
        heard = values.HEARD.validate_python(said["heard"])
    except ValidationError as error:
        log.error("slack_item_unreadable", reason=str(error)[:300])
        return None
    return Item(heard, said["put_at"], said.get("tries", 0))
