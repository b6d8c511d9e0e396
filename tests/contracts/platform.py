"""What every platform has to keep, whatever it talks to."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace

import pytest

from agents.domain import ThreadRef
from bot.platforms.port import MessageGoneError, MessageRef, Platform, PlatformError
from bot.views import NoteView, RunView, StepView, View
from jobs.state import Status

FIRST = NoteView("first")
SECOND = NoteView("second", "warning", ("alice",))
CARD = RunView(
    run_id="run-1",
    title="Why does checkout fail?",
    goal="why does checkout fail?",
    status=Status.RUNNING,
    headline="Looking at the metrics",
    requester="Alice",
    workflow="incident",
    steps=(StepView("metrics", "Look at the metrics", "Metrics analyst", Status.RUNNING),),
    approvals=(),
    questions=(),
    started_at=1_700_000_000.0,
    ended_at=None,
    version=3,
)
LATER = replace(
    CARD, status=Status.SUCCEEDED, headline="Fixed", ended_at=1_700_000_060.0, version=9
)


class PlatformContract(ABC):
    """Inherit it, give a `platform` fixture, and say what a message shows.

    `channel` is a channel as routes name it, `channel_id` how the platform's threads name it.
    """

    channel = "incidents"
    channel_id = "incidents"

    @abstractmethod
    async def shown(self, platform: Platform, message: MessageRef) -> View:
        """Return what the message shows now."""

    @abstractmethod
    async def count(self, platform: Platform, thread: ThreadRef) -> int:
        """Return how many messages the thread has."""

    async def test_a_key_opens_one_thread(self, platform: Platform) -> None:
        """The same key gives the same thread, even when asked at the same time."""
        threads = await asyncio.gather(
            *(platform.open_thread(self.channel, "Checkout fails", "inc-1") for _ in range(5))
        )
        other = await platform.open_thread(self.channel, "Checkout fails", "inc-2")

        assert set(threads) == {threads[0]}
        assert other != threads[0]
        assert (threads[0].platform, threads[0].channel) == (platform.name, self.channel_id)

    async def test_a_key_posts_one_message(self, platform: Platform) -> None:
        """The same key returns the first message, which shows what was posted first."""
        thread = await platform.open_thread(self.channel, "Checkout fails", "inc-1")
        messages = await asyncio.gather(*(platform.post(thread, FIRST, "card") for _ in range(5)))
        again = await platform.post(thread, SECOND, "card")

        assert {*messages, again} == {messages[0]}
        assert await self.shown(platform, again) == FIRST
        assert await self.count(platform, thread) == 1

    async def test_an_edit_replaces_what_is_shown(self, platform: Platform) -> None:
        """After an edit the message shows the new view, in its old place."""
        thread = await platform.open_thread(self.channel, "Checkout fails", "inc-1")
        first = await platform.post(thread, FIRST, "one")
        await platform.post(thread, FIRST, "two")

        await platform.edit(first, SECOND)

        assert await self.shown(platform, first) == SECOND
        assert await self.count(platform, thread) == 2

    async def test_a_message_that_is_gone_says_so(self, platform: Platform) -> None:
        """Editing what does not exist asks for a new message."""
        thread = await platform.open_thread(self.channel, "Checkout fails", "inc-1")

        with pytest.raises(MessageGoneError, match="post a new one"):
            await platform.edit(MessageRef(thread, "m-nothing"), SECOND)

    async def test_posting_nowhere_is_refused(self, platform: Platform) -> None:
        """A thread that was never opened takes no message."""
        nowhere = ThreadRef(platform.name, self.channel_id, "t-nothing")

        with pytest.raises(PlatformError, match="open it"):
            await platform.post(nowhere, FIRST, "one")

    async def test_a_card_goes_on_where_it_is(self, platform: Platform) -> None:
        """A card is posted once and edited in place; its last state is what stays."""
        thread = await platform.open_thread(self.channel, "Checkout fails", "inc-1")
        card = await platform.post(thread, CARD, "run-1:card")
        before = await self.count(platform, thread)

        await platform.edit(card, LATER)
        again = await platform.post(thread, CARD, "run-1:card")

        assert again == card
        assert await self.shown(platform, card) == LATER
        assert await self.count(platform, thread) == before

    async def test_an_old_card_does_not_replace_a_newer_one(self, platform: Platform) -> None:
        """Of two leaders for a moment the late one changes nothing."""
        thread = await platform.open_thread(self.channel, "Checkout fails", "inc-1")
        card = await platform.post(thread, CARD, "run-1:card")

        await platform.edit(card, LATER)
        await platform.edit(card, CARD)

        assert await self.shown(platform, card) == LATER

    async def test_threads_keep_their_messages_apart(self, platform: Platform) -> None:
        """What is posted in one thread does not show in another."""
        one = await platform.open_thread(self.channel, "Checkout fails", "inc-1")
        other = await platform.open_thread(self.channel, "Search is slow", "inc-2")
        await platform.post(one, FIRST, "one")
        message = await platform.post(other, SECOND, "two")

        assert await self.count(platform, one) == 1
        assert await self.shown(platform, message) == SECOND

    async def test_a_message_knows_its_thread(self, platform: Platform) -> None:
        """What a post returns names the thread it was posted in."""
        thread = await platform.open_thread(self.channel, "Checkout fails", "inc-1")

        assert (await platform.post(thread, FIRST, "one")).thread == thread
