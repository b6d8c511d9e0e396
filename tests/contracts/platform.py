"""What every platform has to keep, whatever it talks to."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

import pytest

from agents.domain import ThreadRef
from bot.platforms.port import MessageGoneError, MessageRef, Platform, PlatformError
from bot.views import NoteView, View

FIRST = NoteView("first")
SECOND = NoteView("second", "warning", ("alice",))


class PlatformContract(ABC):
    """Inherit it, give a `platform` fixture, and say what a message shows."""

    @abstractmethod
    async def shown(self, platform: Platform, message: MessageRef) -> View:
        """Return what the message shows now."""

    @abstractmethod
    async def count(self, platform: Platform, thread: ThreadRef) -> int:
        """Return how many messages the thread has."""

    async def test_a_key_opens_one_thread(self, platform: Platform) -> None:
        """The same key gives the same thread, even when asked at the same time."""
        threads = await asyncio.gather(
            *(platform.open_thread("incidents", "Checkout fails", "inc-1") for _ in range(5))
        )
        other = await platform.open_thread("incidents", "Checkout fails", "inc-2")

        assert set(threads) == {threads[0]}
        assert other != threads[0]
        assert (threads[0].platform, threads[0].channel) == (platform.name, "incidents")

    async def test_a_key_posts_one_message(self, platform: Platform) -> None:
        """The same key returns the first message, which shows what was posted first."""
        thread = await platform.open_thread("incidents", "Checkout fails", "inc-1")
        messages = await asyncio.gather(*(platform.post(thread, FIRST, "card") for _ in range(5)))
        again = await platform.post(thread, SECOND, "card")

        assert {*messages, again} == {messages[0]}
        assert await self.shown(platform, again) == FIRST
        assert await self.count(platform, thread) == 1

    async def test_an_edit_replaces_what_is_shown(self, platform: Platform) -> None:
        """After an edit the message shows the new view, in its old place."""
        thread = await platform.open_thread("incidents", "Checkout fails", "inc-1")
        first = await platform.post(thread, FIRST, "one")
        await platform.post(thread, FIRST, "two")

        await platform.edit(first, SECOND)

        assert await self.shown(platform, first) == SECOND
        assert await self.count(platform, thread) == 2

    async def test_a_message_that_is_gone_says_so(self, platform: Platform) -> None:
        """Editing what does not exist asks for a new message."""
        thread = await platform.open_thread("incidents", "Checkout fails", "inc-1")

        with pytest.raises(MessageGoneError, match="post a new one"):
            await platform.edit(MessageRef(thread, "m-nothing"), SECOND)

    async def test_posting_nowhere_is_refused(self, platform: Platform) -> None:
        """A thread that was never opened takes no message."""
        with pytest.raises(PlatformError, match="open it"):
            await platform.post(ThreadRef(platform.name, "incidents", "t-nothing"), FIRST, "one")
