"""Posts that must arrive: kept until the platform has taken them, however often this dies.

A post has a key. The outbox takes a key once, and the platform posts a key once, so a crash
between the two repeats a call and never a message.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import redis.asyncio as aioredis
import structlog
from pydantic import TypeAdapter

from agents.domain import ThreadRef
from bot.platforms.port import Platform, PlatformBusyError, PlatformError
from bot.views import AnswerView, IncidentView, NoteView, RunView, View
from jobs.observe import report_error
from jobs.reaching import reaching
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

FIRST_RETRY_S = 1.0
MAX_RETRY_S = 60.0
GIVE_UP_S = 86_400.0
"""After a day of refusals a post is laid aside, where it can still be found."""
KEEP_SENT_S = 7 * 86_400
LOOK_S = 1.0
MAX_AT_ONCE = 50

ITEMS = "muster:outbox:items"
DUE = "muster:outbox:due"
DEAD = "muster:outbox:dead"
SENT = "muster:outbox:sent"

VIEWS: Mapping[str, TypeAdapter[Any]] = {
    "run": TypeAdapter(RunView),
    "answer": TypeAdapter(AnswerView),
    "incident": TypeAdapter(IncidentView),
    "note": TypeAdapter(NoteView),
}
KINDS: Mapping[type, str] = {
    RunView: "run",
    AnswerView: "answer",
    IncidentView: "incident",
    NoteView: "note",
}
THREAD = TypeAdapter(ThreadRef)

_ENQUEUE = """
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
"""
_DONE = """
redis.call('SET', KEYS[3], '1', 'EX', ARGV[2])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Post:
    """A message that has to get into a thread, and how often that was tried."""

    key: str
    thread: ThreadRef
    view: View
    queued_at: float
    tries: int = 0
    due_at: float = 0.0


class OutboxStore(Protocol):
    """What is kept of posts; tests/contracts/outbox_store.py. May raise StoreUnavailableError."""

    async def add(self, post: Post) -> bool:
        """Keep a post; False when its key is known, sent or not."""

    async def due(self, now: float, limit: int = MAX_AT_ONCE) -> list[Post]:
        """Return the posts to try now, the longest due first."""

    async def done(self, post: Post) -> None:
        """Forget a post that arrived; its key stays known."""

    async def later(self, post: Post) -> None:
        """Try the post again when it is due."""

    async def lay_aside(self, post: Post) -> None:
        """Keep a post that nobody takes where people can find it."""

    async def laid_aside(self) -> list[Post]:
        """Return the posts that were laid aside."""

    async def count_laid_aside(self) -> int:
        """Return how many posts are laid aside."""

    async def forget_laid_aside(self, before: float) -> int:
        """Remove the posts laid aside that were queued before then; return how many."""


class MemoryOutboxStore:
    """The in-memory twin."""

    def __init__(self) -> None:
        self._posts: dict[str, Post] = {}
        self._sent: set[str] = set()
        self._dead: dict[str, Post] = {}

    async def add(self, post: Post) -> bool:
        """See `OutboxStore.add`."""
        if post.key in self._sent or post.key in self._posts:
            return False
        self._posts[post.key] = post
        return True

    async def due(self, now: float, limit: int = MAX_AT_ONCE) -> list[Post]:
        """See `OutboxStore.due`."""
        due = [post for post in self._posts.values() if post.due_at <= now]
        return sorted(due, key=lambda post: post.due_at)[:limit]

    async def done(self, post: Post) -> None:
        """See `OutboxStore.done`."""
        self._posts.pop(post.key, None)
        self._sent.add(post.key)

    async def later(self, post: Post) -> None:
        """See `OutboxStore.later`."""
        self._posts[post.key] = post

    async def lay_aside(self, post: Post) -> None:
        """See `OutboxStore.lay_aside`."""
        await self.done(post)
        self._dead[post.key] = post

    async def laid_aside(self) -> list[Post]:
        """See `OutboxStore.laid_aside`."""
        return list(self._dead.values())

    async def count_laid_aside(self) -> int:
        """See `OutboxStore.count_laid_aside`."""
        return len(self._dead)

    async def forget_laid_aside(self, before: float) -> int:
        """See `OutboxStore.forget_laid_aside`."""
        old = [post.key for post in self._dead.values() if post.queued_at < before]
        for key in old:
            del self._dead[key]
        return len(old)


class RedisOutboxStore:
    """`OutboxStore` on Redis: items by key, the order they are due in, the keys that were sent."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._client: Any = client
        self._enqueue: Any = client.register_script(_ENQUEUE)
        self._done: Any = client.register_script(_DONE)

    @reaching
    async def add(self, post: Post) -> bool:
        """See `OutboxStore.add`."""
        args = [post.key, dump(post), post.due_at]
        return bool(await self._enqueue(keys=[ITEMS, DUE, f"{SENT}:{post.key}"], args=args))

    @reaching
    async def due(self, now: float, limit: int = MAX_AT_ONCE) -> list[Post]:
        """See `OutboxStore.due`."""
        keys = await self._client.zrangebyscore(DUE, "-inf", now, start=0, num=limit)
        stored = await self._client.hmget(ITEMS, keys) if keys else []
        return [load(item) for item in stored if item]

    @reaching
    async def done(self, post: Post) -> None:
        """See `OutboxStore.done`."""
        await self._done(keys=[ITEMS, DUE, f"{SENT}:{post.key}"], args=[post.key, KEEP_SENT_S])

    @reaching
    async def later(self, post: Post) -> None:
        """See `OutboxStore.later`."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(ITEMS, post.key, dump(post))
            pipe.zadd(DUE, {post.key: post.due_at})
            await pipe.execute()

    @reaching
    async def lay_aside(self, post: Post) -> None:
        """See `OutboxStore.lay_aside`."""
        await self._client.hset(DEAD, post.key, dump(post))
        await self._done(keys=[ITEMS, DUE, f"{SENT}:{post.key}"], args=[post.key, KEEP_SENT_S])

    @reaching
    async def laid_aside(self) -> list[Post]:
        """See `OutboxStore.laid_aside`."""
        return [load(item) for item in await self._client.hvals(DEAD)]

    @reaching
    async def count_laid_aside(self) -> int:
        """See `OutboxStore.count_laid_aside`."""
        return int(await self._client.hlen(DEAD))

    @reaching
    async def forget_laid_aside(self, before: float) -> int:
        """See `OutboxStore.forget_laid_aside`."""
        stored = self._client.hscan_iter(DEAD, count=MAX_AT_ONCE)
        old = [key async for key, item in stored if json.loads(item)["queued_at"] < before]
        return int(await self._client.hdel(DEAD, *old)) if old else 0


def dump(post: Post) -> bytes:
    """Return the post as JSON."""
    kind = KINDS[type(post.view)]
    head = {
        "key": post.key,
        "thread": THREAD.dump_python(post.thread, mode="json"),
        "kind": kind,
        "view": VIEWS[kind].dump_python(post.view, mode="json"),
        "queued_at": post.queued_at,
        "tries": post.tries,
        "due_at": post.due_at,
    }
    return json.dumps(head).encode()


def load(stored: bytes | str) -> Post:
    """Return the post that the JSON says."""
    head = json.loads(stored)
    return Post(
        key=head["key"],
        thread=THREAD.validate_python(head["thread"]),
        view=VIEWS[head["kind"]].validate_python(head["view"]),
        queued_at=head["queued_at"],
        tries=head["tries"],
        due_at=head["due_at"],
    )


class Outbox:
    """Takes posts from anyone; one process (the leader) runs the sender."""

    def __init__(
        self,
        store: OutboxStore,
        platforms: Mapping[str, Platform],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._platforms = platforms
        self._clock = clock
        self._news = asyncio.Event()

    async def enqueue(self, thread: ThreadRef, view: View, key: str) -> bool:
        """Keep a post until it has arrived; False when the key was given before."""
        now = self._clock()
        is_new = await self._store.add(Post(key, thread, view, queued_at=now, due_at=now))
        self._news.set()
        return is_new

    async def run(self) -> None:
        """Send what is due until cancelled."""
        while True:
            self._news.clear()
            try:
                sent = await self.send_due()
            except StoreUnavailableError as error:
                log.warning("outbox_waits_for_store", reason=str(error))
                sent = 0
                await asyncio.sleep(LOOK_S)
            if sent < MAX_AT_ONCE:
                await _wait(self._news, LOOK_S)

    async def send_due(self) -> int:
        """Try what is due now; return how many were tried. One that waits holds up no other."""
        due = await self._store.due(self._clock())
        await asyncio.gather(*(self._send(post) for post in due))
        return len(due)

    async def _send(self, post: Post) -> None:
        try:
            platform = self._platforms.get(post.thread.platform)
            if platform is None:
                raise PlatformError(f"there is no platform {post.thread.platform}")
            await platform.post(post.thread, post.view, post.key)
        except PlatformBusyError as busy:
            await self._store.later(replace(post, due_at=self._clock() + busy.retry_after_s))
            return
        except PlatformError as error:
            await self._retry(post, error)
            return
        except StoreUnavailableError:
            raise
        except Exception as error:  # a bug with one post must not hold up the others
            log.exception("post_crashed", key=post.key)
            report_error(error, post=post.key)
            await self._retry(post, error)
            return
        await self._store.done(post)

    async def _retry(self, post: Post, error: Exception) -> None:
        now = self._clock()
        if now - post.queued_at >= GIVE_UP_S:
            log.error("post_given_up", key=post.key, tries=post.tries + 1, reason=str(error))
            report_error(error, post=post.key)
            await self._store.lay_aside(post)
            return
        wait_s = retry_after_s(post.tries)
        log.warning("post_failed", key=post.key, retry_in_s=wait_s, reason=str(error))
        await self._store.later(replace(post, tries=post.tries + 1, due_at=now + wait_s))


def retry_after_s(tries: int) -> float:
    """Return how long to wait after so many tries: doubling, up to a minute."""
    return float(min(FIRST_RETRY_S * 2 ** min(tries, 10), MAX_RETRY_S))


async def _wait(news: asyncio.Event, at_most_s: float) -> None:
    # Not wait_for: until Python 3.12 it swallows a cancellation that comes with the news.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await news.wait()
