"""The `Platform` port over the console's store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agents.domain import ThreadRef
from bot.platforms.console.store import ConsoleStore
from bot.platforms.port import MessageGoneError, MessageRef, PlatformError
from bot.views import View

NAME = "console"


@dataclass(frozen=True, slots=True)
class ConsolePlatform:
    """Posts into the web console. `clock` gives Unix seconds."""

    store: ConsoleStore
    clock: Callable[[], float]
    name: str = NAME

    async def open_thread(self, channel: str, title: str, key: str) -> ThreadRef:
        """See `Platform.open_thread`."""
        thread = await self.store.open_thread(channel, title, key, self.clock())
        return ThreadRef(self.name, thread.channel, thread.id)

    async def post(self, thread: ThreadRef, view: View, key: str) -> MessageRef:
        """See `Platform.post`."""
        try:
            message = await self.store.post(thread.id, view, key, self.clock())
        except KeyError:
            raise PlatformError(
                f"the console has no thread {thread.id}: open it before posting"
            ) from None
        return MessageRef(ThreadRef(self.name, thread.channel, message.thread_id), message.id)

    async def edit(self, message: MessageRef, view: View) -> None:
        """See `Platform.edit`."""
        try:
            await self.store.edit(message.id, view, self.clock())
        except KeyError:
            raise MessageGoneError(
                f"the console has no message {message.id}: post a new one"
            ) from None
