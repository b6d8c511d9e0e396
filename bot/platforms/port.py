"""The port every chat platform is adapted to, held by tests/contracts/platform.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agents.domain import ThreadRef
from bot.views import View


@dataclass(frozen=True, slots=True)
class MessageRef:
    """A message that was posted and can be edited."""

    thread: ThreadRef
    id: str


class PlatformError(Exception):
    """The platform refused; the message says what a person can do about it."""


class MessageGoneError(PlatformError):
    """The message can no longer be edited: post a new one."""


class PlatformBusyError(PlatformError):
    """The platform asks to wait `retry_after_s` seconds; nothing was sent."""

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"the platform asks to wait {retry_after_s:g} s")


class Platform(Protocol):
    """A chat system. `key` makes a post idempotent: the same key posts once, ever."""

    @property
    def name(self) -> str:
        """The platform's name in routes, threads and people's ids."""

    async def open_thread(self, channel: str, title: str, key: str) -> ThreadRef:
        """Return the thread opened under this key, opening it when there is none."""

    async def post(self, thread: ThreadRef, view: View, key: str) -> MessageRef:
        """Post a message once; the same key returns the first message."""

    async def edit(self, message: MessageRef, view: View) -> None:
        """Replace what the message shows; MessageGoneError when it cannot be edited."""
