"""What the console keeps: channels, threads, messages; and the port to the place that keeps them.

Stored as JSON: fields are stable, and each new one has a default. Times are Unix seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import TypeAdapter

from bot.views import AnswerView, IncidentView, NoteView, RunView, View

MAX_THREADS_KEPT = 2_000
"""Threads kept per channel; the longest silent ones go first."""
MAX_MESSAGES_SHOWN = 500
FEED_LENGTH = 10_000
MAX_TITLE_CHARS = 200

_KINDS: dict[str, type] = {
    "run": RunView,
    "answer": AnswerView,
    "incident": IncidentView,
    "note": NoteView,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation. `status` is that of its latest run or incident; `waits` for a decision."""

    id: str
    channel: str
    title: str
    opened_at: float
    updated_at: float
    status: str = ""
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What was posted in a thread; every edit makes the next version."""

    id: str
    thread_id: str
    view: View
    posted_at: float
    edited_at: float | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class ConsoleChange:
    """One entry of the feed: a thread was opened (`message_id` is empty) or a message changed."""

    cursor: str
    channel: str
    thread_id: str
    message_id: str


class ConsoleStore(Protocol):
    """Where the console's threads are. Every method may raise StoreUnavailableError."""

    async def open_thread(self, channel: str, title: str, key: str, now: float) -> Thread:
        """Return the thread opened under this key, opening it when there is none."""

    async def post(self, thread_id: str, view: View, key: str, now: float) -> Message:
        """Post once per key; KeyError when there is no such thread."""

    async def edit(self, message_id: str, view: View, now: float) -> Message:
        """Replace what a message shows; KeyError when there is no such message.

        A run's card never goes back: of two leaders for a moment the late one changes nothing.
        """

    async def channels(self) -> list[str]:
        """Return the channels that have threads, by name."""

    async def threads(self, channel: str, limit: int = 100) -> list[Thread]:
        """Return the channel's threads, the one that moved last first."""

    async def thread(self, thread_id: str) -> Thread | None:
        """Return the thread, or None."""

    async def messages(self, thread_id: str) -> list[Message]:
        """Return the thread's messages, oldest first."""

    async def forget_threads(self, before: float, limit: int, keep: Collection[str] = ()) -> int:
        """Remove up to `limit` threads in which nothing changed since then, with their messages.

        Returns how many; threads in `keep` stay, however old they are.
        """

    async def cursor(self) -> str:
        """Return where the feed stands now."""

    def changes(self, cursor: str) -> AsyncIterator[list[ConsoleChange]]:
        """Yield batches of the feed after the cursor; an empty one at least once a second."""


def thread_id(channel: str, key: str) -> str:
    """Return the id of the thread opened in a channel under a key: the same every time."""
    return "t" + hashlib.sha256(f"{channel}\n{key}".encode()).hexdigest()[:16]


def message_id(key: str) -> str:
    """Return the id of the message posted under a key."""
    return "m" + hashlib.sha256(key.encode()).hexdigest()[:20]


def dump_view(view: View) -> bytes:
    """Return a view as JSON: `{"run": {...}}`."""
    name = _NAMES[type(view)]
    return b'{"%b":%b}' % (name.encode(), _ADAPTERS[name].dump_json(view))


def load_view(data: bytes) -> View:
    """Return the view that `dump_view` wrote."""
    ((name, value),) = _OUTER.validate_json(data).items()
    view: View = _ADAPTERS[name].validate_python(value)
    return view


_OUTER: TypeAdapter[dict[str, dict[str, Any]]] = TypeAdapter(dict[str, dict[str, Any]])


def shown_version(view: View) -> int | None:
    """Return how far a view has come; None for one that is never behind another."""
    return view.version if isinstance(view, RunView) else None


def standing(view: View) -> tuple[str, bool] | None:
    """Return the status a thread takes over from a view, and whether it waits for a decision.

    None when the view says nothing of it.
    """
    if isinstance(view, RunView):
        waits = any(approval.status == "pending" for approval in view.approvals) or any(
            question.is_open for question in view.questions
        )
        return view.status.value, waits and view.ended_at is None
    return None
