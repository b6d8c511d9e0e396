"""What came from Slack, as values of our own: they are kept, and an upgrade reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pydantic import TypeAdapter

SHOUTED_CHARS: Final = 12_000
"""How much of a message is read; Slack itself takes 40,000."""


class Kind(StrEnum):
    """What somebody did."""

    MENTION = "mention"
    """Wrote to Muster in a channel."""
    DIRECT = "direct"
    """Wrote to Muster alone."""
    REPLY = "reply"
    """Wrote in a thread without naming Muster."""
    EDIT = "edit"
    """Changed a message that Muster may have read."""
    COMMAND = "command"
    POINT = "point"
    """Pointed to a message, by shortcut or emoji."""
    COMPOSE = "compose"
    """Wants to write a goal: the shortcut that works everywhere."""
    CLICK = "click"
    SUBMIT = "submit"
    """Sent a dialog."""
    HOME = "home"
    """Opened the Home tab."""
    STOP = "stop"
    """Pressed Slack's own Stop button."""
    GONE = "gone"
    """The app was removed from a workspace, or its tokens were revoked."""


@dataclass(frozen=True, slots=True)
class Attached:
    """A file of a message, where to get it."""

    id: str
    name: str
    media_type: str = ""
    size: int = 0
    url: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """One thing that somebody did. `key` is the same for every delivery of it.

    `ts` is the message it is about and `thread_ts` the thread of that message, if it stands in
    one. `at` is when Slack says it was, in Unix seconds.
    """

    key: str
    kind: Kind
    team: str
    user: str
    at: float = 0.0
    user_team: str = ""
    """The workspace of somebody from outside; empty when they belong to `team`."""
    channel: str = ""
    ts: str = ""
    thread_ts: str = ""
    text: str = ""
    files: tuple[Attached, ...] = ()
    is_bot: bool = False
    bot_user: str = ""
    """Muster's own user there, as far as the delivery says so."""
    is_mention: bool = False
    """Of an edit: whether the message names Muster now."""
    action_id: str = ""
    value: str = ""
    """What the button, menu or dialog carries: see `clicks`."""
    callback_id: str = ""
    state: dict[str, Any] = field(default_factory=dict)
    """What was filled in."""
    trigger_id: str = field(default="", repr=False)
    """Lets one dialog be opened, for 3 s."""
    response_url: str = field(default="", repr=False)
    is_in_view: bool = False
    """Whether it was clicked in the Home tab or in a dialog, not in a message."""
    author: str = ""
    """Of a message that was pointed to: who wrote it."""

    @property
    def root(self) -> str:
        """The first message of the thread it stands in, or would begin."""
        return self.thread_ts or self.ts

    @property
    def subject(self) -> str:
        """What has to be done in order: one thread, else one person."""
        return (
            f"{self.team}:{self.channel}:{self.root}" if self.root else f"{self.team}:{self.user}"
        )


HEARD: Final = TypeAdapter(Heard)


def dump(heard: Heard) -> bytes:
    """Return it as JSON."""
    return HEARD.dump_json(heard)


def load(stored: bytes | str) -> Heard:
    """Return what the JSON says."""
    return HEARD.validate_json(stored)
