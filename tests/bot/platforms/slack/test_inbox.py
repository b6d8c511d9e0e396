"""The inbox and its worker: nothing is lost, nothing is done twice, a thread's things in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio as aioredis

from bot.platforms.port import PlatformBusyError, PlatformError
from bot.platforms.slack import words
from bot.platforms.slack.errors import SlackAwayError, SlackRefusedError
from bot.platforms.slack.heard import Heard, Kind
from bot.platforms.slack.inbox import ITEMS, Inbox, Item, MemoryInbox, RedisInbox
from bot.platforms.slack.worker import MAX_TRIES, Worker
from jobs.store import StoreUnavailableError
from tests.bot.waiting import wait_for
from tests.contracts.slack_inbox import InboxContract


class TestMemoryInbox(InboxContract):
    """The twin."""

    @pytest.fixture
    def inbox(self) -> Inbox:
        """Return an empty inbox."""
        return MemoryInbox()


class TestRedisInbox(InboxContract):
    """The real one, on a real server."""

    @pytest.fixture
    def inbox(self, redis_client: aioredis.Redis) -> Inbox:
        """Return an empty inbox."""
        return RedisInbox(redis_client)


async def test_what_a_newer_version_kept_waits_for_it(redis_client: aioredis.Redis) -> None:
    """After a step back nothing is lost, and nothing else is held up."""
    inbox = RedisInbox(redis_client)
    await inbox.put(thing("new"))
    client: Any = redis_client  # redis-py types answers as unions of all it may say
    stored: bytes = await client.hget(ITEMS, "new")
    await client.hset(ITEMS, "new", stored.replace(b'"kind":"reply"', b'"kind":"sung"'))
    await inbox.put(thing("old"))

    taken = await inbox.take(time.time() + 1, 10)

    assert [one.key for one in taken] == ["old"]
    assert await inbox.count() == 2


class Acts:
    """What was done, and the errors that come first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.done: list[str] = []
        self.sorry: list[str] = []
        self.skip_s = 0.0

    async def act(self, heard: Heard) -> None:
        """Do it, or fail as planned."""
        await asyncio.sleep(0.001)
        if self.errors:
            raise self.errors.pop(0)
        self.done.append(heard.key)

    async def tell(self, heard: Heard, sentence: str) -> None:
        """Note what was told."""
        self.sorry.append(sentence)

    def clock(self) -> float:
        """Return a time that tests may let pass."""
        return time.time() + self.skip_s


@asynccontextmanager
async def working(acts: Acts, inbox: Inbox) -> AsyncIterator[Worker]:
    """Run a worker, then kill it."""
    worker = Worker(inbox, acts.act, acts.tell, acts.clock, look_s=0.01, lease_s=1.0)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def thing(key: str, kind: Kind = Kind.REPLY, ts: str = "1.0") -> Item:
    """Return something in a thread."""
    return Item(Heard(key, kind, "T1", "U1", channel="C1", ts=ts), time.time())


async def test_what_happens_in_a_thread_is_done_in_order() -> None:
    """However many are done at a time."""
    inbox, acts = MemoryInbox(), Acts()
    keys = [f"k{number:02}" for number in range(20)]
    for key in keys:
        await inbox.put(thing(key))

    async with working(acts, inbox):
        await wait_for(lambda: len(acts.done) == 20)

    assert acts.done == keys
    assert await inbox.count() == 0


async def test_a_click_waits_for_nothing() -> None:
    """Something slow in its thread does not hold it up: its dialog has three seconds."""
    inbox, acts = MemoryInbox(), Acts()
    gate = asyncio.Event()

    async def act(heard: Heard) -> None:
        if heard.kind is Kind.REPLY:
            await gate.wait()
        acts.done.append(heard.key)

    acts.act = act  # type: ignore[method-assign]
    await inbox.put(thing("slow"))
    await inbox.put(thing("click", Kind.CLICK))

    async with working(acts, inbox):
        await wait_for(lambda: acts.done == ["click"])
        gate.set()
        await wait_for(lambda: acts.done == ["click", "slow"])


@pytest.mark.parametrize(
    "make",
    [lambda: PlatformBusyError(0.01), lambda: PlatformError("away"), lambda: ValueError("bug")],
)
async def test_what_fails_is_tried_again(make: Callable[[], Exception]) -> None:
    """Whoever did it hears nothing: it works the next time."""
    inbox, acts = MemoryInbox(), Acts(make())
    await inbox.put(thing("k"))

    async with working(acts, inbox):
        await wait_for(lambda: not acts.errors)
        acts.skip_s = 60
        await wait_for(lambda: acts.done == ["k"])

    assert acts.sorry == []


async def test_a_bug_is_told_in_the_end() -> None:
    """After so many tries whoever did it is told, and the others are not held up."""
    inbox, acts = MemoryInbox(), Acts(*(ValueError("bug") for _ in range(MAX_TRIES)))
    await inbox.put(thing("k"))

    async with working(acts, inbox):
        for _ in range(MAX_TRIES):
            left = len(acts.errors)
            await wait_for(lambda left=left: len(acts.errors) < left)  # type: ignore[misc]
            await asyncio.sleep(0.005)
            acts.skip_s += 60
        await wait_for(lambda: bool(acts.sorry))

    assert acts.sorry == [words.BROKEN]
    assert await inbox.count() == 0


async def failed(acts: Acts, inbox: Inbox, times: int) -> None:
    """Let it be tried so often, a minute after the other."""
    async with working(acts, inbox):
        for _ in range(times):
            left = len(acts.errors)
            await wait_for(lambda left=left: len(acts.errors) < left)  # type: ignore[misc]
            await asyncio.sleep(0.005)
            acts.skip_s += 60
        await wait_for(lambda: bool(acts.done or acts.sorry))


async def test_what_was_written_outlasts_an_outage_of_slack() -> None:
    """It was acknowledged, so nobody sends it again."""
    times = 2 * MAX_TRIES
    inbox, acts = MemoryInbox(), Acts(*(SlackAwayError("refused") for _ in range(times)))
    await inbox.put(thing("k", Kind.MENTION))

    await failed(acts, inbox, times)

    assert acts.done == ["k"]
    assert acts.sorry == []


async def test_a_click_is_not_made_up_for_much_later() -> None:
    """Whoever clicked is told, and clicks again if they still want to."""
    inbox, acts = MemoryInbox(), Acts(*(SlackAwayError("refused") for _ in range(MAX_TRIES)))
    await inbox.put(thing("k", Kind.CLICK))

    await failed(acts, inbox, MAX_TRIES)

    assert acts.done == []
    assert len(acts.sorry) == 1


async def test_a_refusal_is_told_at_once() -> None:
    """Slack would refuse it again: the sentence says who can do what."""
    inbox, acts = MemoryInbox(), Acts(SlackRefusedError("not_in_channel", "x"))
    await inbox.put(thing("k"))

    async with working(acts, inbox):
        await wait_for(lambda: bool(acts.sorry))

    assert "/invite @Muster" in acts.sorry[0]


async def test_another_process_does_what_a_dead_one_had() -> None:
    """Nothing is lost by a crash after the acknowledgement."""
    inbox, acts = MemoryInbox(), Acts()
    await inbox.put(thing("k"))
    await inbox.take(time.time(), 1, 5.0)

    async with working(acts, inbox):
        await asyncio.sleep(0.05)
        assert acts.done == []
        acts.skip_s = 6
        await wait_for(lambda: acts.done == ["k"])


async def test_a_store_that_is_away_is_waited_for() -> None:
    """The item stays; its lease runs out, and it is done then."""
    inbox, acts = MemoryInbox(), Acts(StoreUnavailableError("away"))
    await inbox.put(thing("k"))

    async with working(acts, inbox):
        await wait_for(lambda: not acts.errors)
        acts.skip_s = 6
        await wait_for(lambda: acts.done == ["k"])
