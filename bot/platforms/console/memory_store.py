"""The in-memory twin of `redis_store`: same contract, no I/O."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace

from bot.platforms.console.store import (
    MAX_MESSAGES_SHOWN,
    MAX_THREADS_KEPT,
    MAX_TITLE_CHARS,
    ConsoleChange,
    Message,
    Thread,
    dump_view,
    load_view,
    message_id,
    shown_version,
    standing,
    thread_id,
)
from bot.views import View

FEED_WAIT_S = 1.0


class MemoryConsoleStore:
    """A `ConsoleStore` that forgets everything with its process."""

    def __init__(self) -> None:
        self._threads: dict[str, Thread] = {}
        self._messages: dict[str, Message] = {}
        self._by_thread: dict[str, list[str]] = {}
        self._feed: list[ConsoleChange] = []
        self._news = asyncio.Condition()

    async def open_thread(self, channel: str, title: str, key: str, now: float) -> Thread:
        """See `ConsoleStore.open_thread`."""
        id_ = thread_id(channel, key)
        if id_ not in self._threads:
            self._threads[id_] = Thread(id_, channel, title[:MAX_TITLE_CHARS], now, now)
            self._by_thread[id_] = []
            self._forget_oldest(channel)
            await self._changed(channel, id_, "")
        return self._threads[id_]

    async def post(self, thread_id: str, view: View, key: str, now: float) -> Message:
        """See `ConsoleStore.post`."""
        id_ = message_id(key)
        if id_ not in self._messages:
            self._threads[thread_id]  # a KeyError tells the caller that it is gone
            self._messages[id_] = Message(id_, thread_id, load_view(dump_view(view)), now)
            self._by_thread[thread_id].append(id_)
            await self._touched(thread_id, id_, view, now)
        return self._messages[id_]

    async def edit(self, message_id: str, view: View, now: float) -> Message:
        """See `ConsoleStore.edit`."""
        old = self._messages[message_id]
        version = shown_version(view)
        if version is not None and version < (shown_version(old.view) or 0):
            return old
        new = replace(old, view=load_view(dump_view(view)), edited_at=now, version=old.version + 1)
        self._messages[message_id] = new
        await self._touched(old.thread_id, message_id, view, now)
        return new

    async def channels(self) -> list[str]:
        """See `ConsoleStore.channels`."""
        return sorted({thread.channel for thread in self._threads.values()})

    async def threads(self, channel: str, limit: int = 100) -> list[Thread]:
        """See `ConsoleStore.threads`."""
        found = [thread for thread in self._threads.values() if thread.channel == channel]
        return sorted(found, key=lambda thread: (-thread.updated_at, thread.id))[:limit]

    async def thread(self, thread_id: str) -> Thread | None:
        """See `ConsoleStore.thread`."""
        return self._threads.get(thread_id)

    async def messages(self, thread_id: str) -> list[Message]:
        """See `ConsoleStore.messages`."""
        ids = self._by_thread.get(thread_id, [])[-MAX_MESSAGES_SHOWN:]
        return [self._messages[id_] for id_ in ids]

    async def forget_threads(self, before: float, limit: int, keep: Collection[str] = ()) -> int:
        """See `ConsoleStore.forget_threads`."""
        silent = [
            thread.id
            for thread in sorted(self._threads.values(), key=lambda thread: thread.updated_at)
            if thread.updated_at < before and thread.id not in keep
        ][:limit]
        for id_ in silent:
            self._forget(id_)
        return len(silent)

    async def cursor(self) -> str:
        """See `ConsoleStore.cursor`."""
        return self._feed[-1].cursor if self._feed else "0-0"

    async def changes(self, cursor: str) -> AsyncIterator[list[ConsoleChange]]:
        """See `ConsoleStore.changes`."""
        seen = int(cursor.split("-")[0])
        while True:
            if len(self._feed) <= seen:
                await self._wait()
            batch = self._feed[seen:]
            seen = len(self._feed)
            yield batch

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(FEED_WAIT_S), self._news:
                await self._news.wait()
        except TimeoutError:
            return

    async def _touched(self, thread_id: str, message_id: str, view: View, now: float) -> None:
        thread = self._threads[thread_id]
        stands = standing(view) or (thread.status, thread.waits)
        thread = replace(thread, updated_at=now, status=stands[0], waits=stands[1])
        self._threads[thread_id] = thread
        await self._changed(thread.channel, thread_id, message_id)

    async def _changed(self, channel: str, thread_id: str, message_id: str) -> None:
        cursor = f"{len(self._feed) + 1}-0"
        self._feed.append(ConsoleChange(cursor, channel, thread_id, message_id))
        async with self._news:
            self._news.notify_all()

    def _forget_oldest(self, channel: str) -> None:
        kept = [thread for thread in self._threads.values() if thread.channel == channel]
        kept.sort(key=lambda thread: thread.updated_at)
        for thread in kept[: max(0, len(kept) - MAX_THREADS_KEPT)]:
            self._forget(thread.id)

    def _forget(self, thread_id: str) -> None:
        del self._threads[thread_id]
        for id_ in self._by_thread.pop(thread_id):
            del self._messages[id_]
