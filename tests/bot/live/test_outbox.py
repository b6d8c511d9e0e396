"""Posts arrive once, however often something dies."""

from __future__ import annotations

import asyncio

import pytest
import redis.asyncio as aioredis

from agents.domain import ThreadRef
from bot.live import outbox
from bot.live.outbox import (
    GIVE_UP_S,
    MAX_RETRY_S,
    MemoryOutboxStore,
    Outbox,
    OutboxStore,
    RedisOutboxStore,
    retry_after_s,
)
from bot.platforms.memory import MemoryPlatform
from bot.platforms.port import MessageRef, PlatformBusyError, PlatformError
from bot.views import NoteView, View
from jobs.store import StoreUnavailableError
from tests.bot.waiting import wait_for
from tests.contracts.outbox_store import OutboxStoreContract


class TestMemoryOutboxStore(OutboxStoreContract):
    """The twin."""

    @pytest.fixture
    def outbox_store(self) -> OutboxStore:
        """Return an empty store."""
        return MemoryOutboxStore()


class TestRedisOutboxStore(OutboxStoreContract):
    """The real one, on a real server."""

    @pytest.fixture
    def outbox_store(self, redis_client: aioredis.Redis) -> OutboxStore:
        """Return a store on an empty server."""
        return RedisOutboxStore(redis_client)


class Sent:
    """An outbox over a platform in memory, with a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.platform = MemoryPlatform("console")
        self.store = MemoryOutboxStore()
        self.outbox = Outbox(self.store, {"console": self.platform}, lambda: self.now)

    async def thread(self) -> ThreadRef:
        """Return a thread."""
        return await self.platform.open_thread("incidents", "title", "t")


async def test_post_arrives_once() -> None:
    """The same key given twice is one message."""
    sent = Sent()
    thread = await sent.thread()

    assert await sent.outbox.enqueue(thread, NoteView("a"), "k")
    assert not await sent.outbox.enqueue(thread, NoteView("a"), "k")
    await sent.outbox.send_due()
    await sent.outbox.send_due()

    assert sent.platform.views(thread) == [NoteView("a")]


async def test_crash_between_post_and_note_posts_no_second_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The platform knows the key when the next sender comes."""
    sent = Sent()
    thread = await sent.thread()
    await sent.outbox.enqueue(thread, NoteView("a"), "k")

    async def crash(post: object) -> None:
        raise StoreUnavailableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(sent.store, "done", crash)
        with pytest.raises(StoreUnavailableError):
            await sent.outbox.send_due()
    await sent.outbox.send_due()

    assert sent.platform.views(thread) == [NoteView("a")]
    assert await sent.store.due(10) == []


async def test_refused_post_is_tried_again_later() -> None:
    """Refusals are waited out, a busy platform for as long as it says; others go on."""
    sent = Sent()
    thread = await sent.thread()
    sent.platform.refusals.extend([PlatformError("no"), PlatformBusyError(30)])
    await sent.outbox.enqueue(thread, NoteView("a"), "k")
    await sent.outbox.send_due()
    assert await sent.store.due(0.5) == []

    sent.now = 1
    await sent.outbox.send_due()
    assert await sent.store.due(30) == []

    sent.now = 31
    await sent.outbox.send_due()
    assert sent.platform.views(thread) == [NoteView("a")]


async def test_post_that_crashes_the_platform_holds_up_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug with one message is reported and retried; the next message goes out."""
    sent = Sent()
    thread = await sent.thread()
    post = sent.platform.post

    async def buggy(thread: ThreadRef, view: View, key: str) -> MessageRef:
        if key == "bad":
            raise ZeroDivisionError
        return await post(thread, view, key)

    reported: list[BaseException] = []
    monkeypatch.setattr(outbox, "report_error", lambda error, **_: reported.append(error))
    monkeypatch.setattr(sent.platform, "post", buggy)
    await sent.outbox.enqueue(thread, NoteView("bad"), "bad")
    await sent.outbox.enqueue(thread, NoteView("good"), "good")
    await sent.outbox.send_due()

    assert sent.platform.views(thread) == [NoteView("good")]
    assert [one.key for one in await sent.store.due(100)] == ["bad"]
    assert [type(error) for error in reported] == [ZeroDivisionError]


async def test_hopeless_post_is_laid_aside_after_a_day() -> None:
    """A thread on a platform that is gone does not stay in the way for ever."""
    sent = Sent()
    await sent.outbox.enqueue(ThreadRef("gone", "x", "1"), NoteView("a"), "k")
    await sent.outbox.send_due()
    sent.now = GIVE_UP_S
    await sent.outbox.send_due()

    assert [one.key for one in await sent.store.laid_aside()] == ["k"]
    assert await sent.store.due(2 * GIVE_UP_S) == []


async def test_sender_wakes_up_for_news() -> None:
    """What is enqueued while the sender runs goes out without anybody asking."""
    sent = Sent()
    thread = await sent.thread()
    sender = asyncio.create_task(sent.outbox.run())
    await asyncio.sleep(0)

    await sent.outbox.enqueue(thread, NoteView("a"), "k")
    await wait_for(lambda: bool(sent.platform.views(thread)))
    sender.cancel()


def test_pauses_grow_to_a_minute() -> None:
    """Retries double and stay bounded, however many there were."""
    assert [retry_after_s(tries) for tries in (0, 1, 2)] == [1, 2, 4]
    assert retry_after_s(10_000) == MAX_RETRY_S
