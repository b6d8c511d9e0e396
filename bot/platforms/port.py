"""The port every chat platform is adapted to, held by tests/contracts/platform.py."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from agents.domain import ThreadRef
from bot.live.budgets import Pace
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
    """The platform asks to wait `retry_after_s` seconds; nothing was sent.

    `is_only_here`: other messages need not wait.
    """

    def __init__(self, retry_after_s: float, *, is_only_here: bool = False) -> None:
        self.retry_after_s = retry_after_s
        self.is_only_here = is_only_here
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


class Presence(StrEnum):
    """What the bot is doing in a thread, where a platform has its own way to show it."""

    WORKING = "working"
    WAITING = "waiting"
    """For a person."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file for a thread."""

    name: str
    title: str
    data: bytes


@runtime_checkable
class ShowsPresence(Protocol):
    """A platform that shows what the bot is doing, beside the messages."""

    async def presence(self, thread: ThreadRef, presence: Presence, title: str = "") -> None:
        """Show it as well as can be: a platform that cannot says nothing."""


@runtime_checkable
class TakesFiles(Protocol):
    """A platform to which files can be given."""

    async def upload(self, thread: ThreadRef, upload: Upload, key: str) -> str:
        """Put a file into a thread once per key; return the platform's id of it."""


@runtime_checkable
class Paced(Protocol):
    """A platform that says itself how often its cards may change."""

    def pace(self, thread: ThreadRef) -> Pace:
        """Return the numbers for cards of this thread."""

    def pool(self, thread: ThreadRef) -> str:
        """Return what shares one budget with this thread's cards, such as its workspace."""
