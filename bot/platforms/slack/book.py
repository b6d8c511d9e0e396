"""What was posted under which key: the memory that lets a key post once, ever.

A post is claimed before it is sent, and the claim stays until it is known what became of it. So
whoever finds a claim that its owner left behind knows to look in the thread before posting.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis.asyncio as aioredis

from jobs.reaching import reaching

CLAIM_S: Final = 15.0
"""How long a claim holds others off; longer than any call of the Web API may take."""
KEEP_S: Final = 90 * 86_400
"""How long a key is remembered after its last use."""
PLAIN_S: Final = 7 * 86_400
"""How long a workspace that refused native blocks gets plain ones."""
POST: Final = "muster:slack:post"
THREAD: Final = "muster:slack:thread"
FILE: Final = "muster:slack:file"
PLAIN: Final = "muster:slack:plain"
SHOWN: Final = "muster:slack:shown"

_CLAIM = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local ts = redis.call('HGET', KEYS[1], 'ts')
if ts then
  redis.call('EXPIRE', KEYS[1], ARGV[3])
  return {'posted', redis.call('HGET', KEYS[1], 'channel'), ts}
end
local holder = redis.call('HGET', KEYS[1], 'holder') or ''
local ends = tonumber(redis.call('HGET', KEYS[1], 'until') or '0')
if holder ~= '' and holder ~= ARGV[1] and holder ~= ARGV[4] and ends > now then
  return {'held', holder, tostring(ends - now)}
end
local since = redis.call('HGET', KEYS[1], 'since')
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', tostring(now + tonumber(ARGV[2])))
if not since then redis.call('HSET', KEYS[1], 'since', string.format('%.3f', now)) end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return {'mine', since or '', ''}
"""
_KEEP = """
redis.call('HSET', KEYS[1], 'channel', ARGV[1], 'ts', ARGV[2])
redis.call('HDEL', KEYS[1], 'holder', 'until', 'since')
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
_LET_GO = """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
if ARGV[2] == '1' then redis.call('DEL', KEYS[1])
else redis.call('HDEL', KEYS[1], 'holder', 'until') end
return 1
"""
_TAKE_ROOT = """
if redis.call('HEXISTS', KEYS[1], 'opened') == 0 then return 0 end
local card = redis.call('HGET', KEYS[1], 'card')
if card and card ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'card', ARGV[1])
return 1
"""
_SHOWN = """
local newest = tonumber(redis.call('GET', KEYS[1]) or '-1')
if tonumber(ARGV[1]) < newest then return newest end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return tonumber(ARGV[1])
"""


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message stands: the id of its conversation and its time stamp."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """The key is ours to post. `since`: an earlier try may have posted it, at that time."""

    since: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """Another one is posting it right now; its claim ends in `wait_s` at the latest."""

    holder: str
    wait_s: float


class Book(Protocol):
    """What is remembered of posts; tests/contracts/slack_book.py. May raise StoreUnavailableError.

    Threads are named as `team/channel/ts`.
    """

    async def claim(self, key: str, holder: str, dead: str = "") -> Posted | Claimed | Held:
        """Return the message, or claim its posting; a claim of `dead` holds nobody off."""

    async def keep(self, key: str, posted: Posted) -> None:
        """Remember where the message stands."""

    async def let_go(self, key: str, holder: str, *, is_unsent: bool) -> None:
        """End a claim. Unless nothing was sent, the next one to claim looks first."""

    async def opened(self, thread: str, key: str) -> None:
        """Note that the bot opened a thread with a message of its own."""

    async def take_root(self, thread: str, key: str) -> bool:
        """Give an opened thread's first message to the first card that asks."""

    async def moved(self, thread: str) -> str:
        """Return the message in whose thread a lost thread goes on; empty: it is not lost."""

    async def move(self, thread: str, ts: str) -> None:
        """Note where a lost thread goes on."""

    async def shown(self, message: str, version: int) -> int:
        """Note which version a message is to show; return the newest that was noted."""

    async def file(self, key: str) -> str:
        """Return the id of the file that was uploaded under a key; empty: none."""

    async def keep_file(self, key: str, file_id: str) -> None:
        """Remember the file uploaded under a key."""

    async def is_plain(self, team: str) -> bool:
        """Whether the workspace refused native blocks not long ago."""

    async def make_plain(self, team: str) -> None:
        """Note that the workspace refuses native blocks."""


@dataclass(slots=True)
class _Entry:
    posted: Posted | None = None
    holder: str = ""
    until: float = 0.0
    since: float | None = None


class MemoryBook:
    """The in-memory twin. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._threads: dict[str, dict[str, str]] = {}
        self._files: dict[str, str] = {}
        self._plain: dict[str, float] = {}
        self._shown: dict[str, int] = {}

    async def claim(self, key: str, holder: str, dead: str = "") -> Posted | Claimed | Held:
        """See `Book.claim`."""
        now = self._clock()
        entry = self._entries.setdefault(key, _Entry())
        if entry.posted is not None:
            return entry.posted
        if entry.holder not in {"", holder, dead} and entry.until > now:
            return Held(entry.holder, entry.until - now)
        claimed = Claimed(entry.since)
        entry.holder, entry.until = holder, now + CLAIM_S
        entry.since = now if entry.since is None else entry.since
        return claimed

    async def keep(self, key: str, posted: Posted) -> None:
        """See `Book.keep`."""
        self._entries[key] = _Entry(posted)

    async def let_go(self, key: str, holder: str, *, is_unsent: bool) -> None:
        """See `Book.let_go`."""
        entry = self._entries.get(key)
        if entry is None or entry.holder != holder:
            return
        if is_unsent:
            del self._entries[key]
        else:
            entry.holder = ""

    async def opened(self, thread: str, key: str) -> None:
        """See `Book.opened`."""
        self._threads.setdefault(thread, {})["opened"] = key

    async def take_root(self, thread: str, key: str) -> bool:
        """See `Book.take_root`."""
        fields = self._threads.get(thread, {})
        if "opened" not in fields or fields.get("card", key) != key:
            return False
        fields["card"] = key
        return True

    async def moved(self, thread: str) -> str:
        """See `Book.moved`."""
        return self._threads.get(thread, {}).get("moved", "")

    async def move(self, thread: str, ts: str) -> None:
        """See `Book.move`."""
        self._threads.setdefault(thread, {})["moved"] = ts

    async def shown(self, message: str, version: int) -> int:
        """See `Book.shown`."""
        self._shown[message] = max(version, self._shown.get(message, version))
        return self._shown[message]

    async def file(self, key: str) -> str:
        """See `Book.file`."""
        return self._files.get(key, "")

    async def keep_file(self, key: str, file_id: str) -> None:
        """See `Book.keep_file`."""
        self._files[key] = file_id

    async def is_plain(self, team: str) -> bool:
        """See `Book.is_plain`."""
        return self._clock() < self._plain.get(team, 0.0)

    async def make_plain(self, team: str) -> None:
        """See `Book.make_plain`."""
        self._plain[team] = self._clock() + PLAIN_S


class RedisBook:
    """`Book` on Redis: a hash per key and per thread, a string per file and per plain workspace."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._client: Any = client
        self._claim: Any = client.register_script(_CLAIM)
        self._keep: Any = client.register_script(_KEEP)
        self._let_go: Any = client.register_script(_LET_GO)
        self._take_root: Any = client.register_script(_TAKE_ROOT)
        self._shown: Any = client.register_script(_SHOWN)

    @reaching
    async def claim(self, key: str, holder: str, dead: str = "") -> Posted | Claimed | Held:
        """See `Book.claim`."""
        args = [holder, CLAIM_S, KEEP_S, dead]
        answer = await self._claim(keys=[f"{POST}:{key}"], args=args)
        kind, first, second = (part.decode() for part in answer)
        if kind == "posted":
            return Posted(first, second)
        if kind == "held":
            return Held(first, float(second))
        return Claimed(float(first) if first else None)

    @reaching
    async def keep(self, key: str, posted: Posted) -> None:
        """See `Book.keep`."""
        await self._keep(keys=[f"{POST}:{key}"], args=[posted.channel, posted.ts, KEEP_S])

    @reaching
    async def let_go(self, key: str, holder: str, *, is_unsent: bool) -> None:
        """See `Book.let_go`."""
        await self._let_go(keys=[f"{POST}:{key}"], args=[holder, "1" if is_unsent else "0"])

    @reaching
    async def opened(self, thread: str, key: str) -> None:
        """See `Book.opened`."""
        await self._note(thread, "opened", key)

    @reaching
    async def take_root(self, thread: str, key: str) -> bool:
        """See `Book.take_root`."""
        return bool(await self._take_root(keys=[f"{THREAD}:{thread}"], args=[key]))

    @reaching
    async def moved(self, thread: str) -> str:
        """See `Book.moved`."""
        ts = await self._client.hget(f"{THREAD}:{thread}", "moved")
        return ts.decode() if ts else ""

    @reaching
    async def move(self, thread: str, ts: str) -> None:
        """See `Book.move`."""
        await self._note(thread, "moved", ts)

    @reaching
    async def shown(self, message: str, version: int) -> int:
        """See `Book.shown`."""
        return int(await self._shown(keys=[f"{SHOWN}:{message}"], args=[version, KEEP_S]))

    @reaching
    async def file(self, key: str) -> str:
        """See `Book.file`."""
        file_id = await self._client.get(f"{FILE}:{key}")
        return file_id.decode() if file_id else ""

    @reaching
    async def keep_file(self, key: str, file_id: str) -> None:
        """See `Book.keep_file`."""
        await self._client.set(f"{FILE}:{key}", file_id, ex=KEEP_S)

    @reaching
    async def is_plain(self, team: str) -> bool:
        """See `Book.is_plain`."""
        return bool(await self._client.exists(f"{PLAIN}:{team}"))

    @reaching
    async def make_plain(self, team: str) -> None:
        """See `Book.make_plain`."""
        await self._client.set(f"{PLAIN}:{team}", "1", ex=PLAIN_S)

    async def _note(self, thread: str, field: str, value: str) -> None:
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(f"{THREAD}:{thread}", field, value)
            pipe.expire(f"{THREAD}:{thread}", KEEP_S)
            await pipe.execute()
