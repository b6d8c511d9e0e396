"""Every platform keeps the contract."""

from __future__ import annotations

import itertools

import pytest
import redis.asyncio as aioredis

from agents.domain import ThreadRef
from bot.platforms.console.adapter import ConsolePlatform
from bot.platforms.console.memory_store import MemoryConsoleStore
from bot.platforms.console.redis_store import RedisConsoleStore
from bot.platforms.memory import MemoryPlatform
from bot.platforms.port import MessageGoneError, MessageRef, Platform, PlatformBusyError
from bot.views import View
from tests.contracts.platform import FIRST, PlatformContract


class TestMemoryPlatform(PlatformContract):
    """The in-memory twin."""

    @pytest.fixture
    def platform(self) -> MemoryPlatform:
        """Return an empty platform."""
        return MemoryPlatform()

    async def shown(self, platform: Platform, message: MessageRef) -> View:
        """See `PlatformContract.shown`."""
        assert isinstance(platform, MemoryPlatform)
        return platform.shown[message][-1]

    async def count(self, platform: Platform, thread: ThreadRef) -> int:
        """See `PlatformContract.count`."""
        assert isinstance(platform, MemoryPlatform)
        return len(platform.views(thread))

    async def test_it_refuses_when_told_to(self, platform: MemoryPlatform) -> None:
        """A test can make it busy, or make it lose a message."""
        thread = await platform.open_thread("incidents", "Checkout fails", "inc-1")
        message = await platform.post(thread, FIRST, "one")
        platform.refusals.append(PlatformBusyError(2.0))

        with pytest.raises(PlatformBusyError):
            await platform.edit(message, FIRST)
        platform.lose(message)
        with pytest.raises(MessageGoneError):
            await platform.edit(message, FIRST)


class ConsoleContract(PlatformContract):
    """What both kinds of console store are asked."""

    async def shown(self, platform: Platform, message: MessageRef) -> View:
        """See `PlatformContract.shown`."""
        assert isinstance(platform, ConsolePlatform)
        messages = await platform.store.messages(message.thread.id)
        return next(stored.view for stored in messages if stored.id == message.id)

    async def count(self, platform: Platform, thread: ThreadRef) -> int:
        """See `PlatformContract.count`."""
        assert isinstance(platform, ConsolePlatform)
        return len(await platform.store.messages(thread.id))


def _clock() -> float:
    return next(_ticks)


_ticks = itertools.count(1_000.5)


class TestConsoleInMemory(ConsoleContract):
    """The console on its in-memory store."""

    @pytest.fixture
    def platform(self) -> ConsolePlatform:
        """Return an empty console."""
        return ConsolePlatform(MemoryConsoleStore(), _clock)


class TestConsoleInRedis(ConsoleContract):
    """The console on a real server."""

    @pytest.fixture
    def platform(self, redis_client: aioredis.Redis) -> ConsolePlatform:
        """Return an empty console."""
        return ConsolePlatform(RedisConsoleStore(redis_client), _clock)
