"""What a workspace consists of, as plain values that the methods change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
ChannelKind = Literal["public", "private", "im", "mpim"]
SCOPE_PREFIX: dict[str, str] = {
    "public": "channels",
    "private": "groups",
    "im": "im",
    "mpim": "mpim",
}
CHANNEL_TYPE: dict[str, str] = {
    "public": "channel",
    "private": "group",
    "im": "im",
    "mpim": "mpim",
}


@dataclass(slots=True)
class User:
    """A person or a bot. `team` differs from the workspace's for people from outside."""

    id: str
    name: str
    team: str
    email: str = ""
    is_bot: bool = False
    is_guest: bool = False
    """A guest of several channels (`is_restricted`)."""
    is_single_guest: bool = False
    """A guest of one channel (`is_ultra_restricted`)."""
    is_deleted: bool = False
    bot_id: str = ""


@dataclass(slots=True)
class Group:
    """A user group."""

    id: str
    handle: str
    users: list[str] = field(default_factory=list)
    is_disabled: bool = False


@dataclass(slots=True)
class Channel:
    """A conversation of any kind."""

    id: str
    name: str
    kind: ChannelKind
    members: set[str] = field(default_factory=set)
    is_archived: bool = False
    is_shared: bool = False
    """Shared with another workspace."""

    @property
    def prefix(self) -> str:
        """How this kind is called in scopes."""
        return SCOPE_PREFIX[self.kind]


@dataclass(slots=True)
class Message:
    """A message, posted or ephemeral; `versions` holds what it showed before each edit."""

    team: str
    channel: str
    ts: str
    user: str
    text: str = ""
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str = ""
    metadata: Json = field(default_factory=dict)
    bot_id: str = ""
    app_id: str = ""
    edited_ts: str = ""
    is_deleted: bool = False
    ephemeral_to: str = ""
    subtype: str = ""
    files: list[str] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    versions: list[tuple[str, list[Json]]] = field(default_factory=list)
    user_team: str = ""
    username: str = ""

    @property
    def root_ts(self) -> str:
        """The `ts` of its thread's first message: its own when it is that one."""
        return self.thread_ts or self.ts

    @property
    def is_reply(self) -> bool:
        """Whether it stands in a thread below another message."""
        return bool(self.thread_ts) and self.thread_ts != self.ts

    @property
    def edits(self) -> int:
        """How often it was edited."""
        return len(self.versions)

    @property
    def elements(self) -> list[Json]:
        """Everything in it that can be clicked, in order."""
        return interactive(self.blocks)

    @property
    def action_ids(self) -> list[str]:
        """The ids of everything in it that can be clicked."""
        return [str(element["action_id"]) for element in self.elements]

    @property
    def shown(self) -> str:
        """All that a person can read in its blocks; its text when it has none."""
        words = [word for block in self.blocks for word in readable(block)]
        return "\n".join(words) if words else self.text


@dataclass(slots=True)
class File:
    """An uploaded file: `is_complete` once it was shared or kept by files.completeUpload…."""

    id: str
    name: str
    size: int
    user: str
    title: str = ""
    mimetype: str = "application/octet-stream"
    content: bytes | None = None
    is_complete: bool = False
    channels: list[str] = field(default_factory=list)


@dataclass(slots=True)
class View:
    """A modal or a Home tab."""

    id: str
    user: str
    payload: Json
    hash: str
    root_id: str
    previous_id: str = ""

    @property
    def blocks(self) -> list[Json]:
        """What it shows."""
        return list(self.payload.get("blocks", []))

    @property
    def elements(self) -> list[Json]:
        """Everything in it that can be clicked or filled in."""
        return interactive(self.blocks)


@dataclass(slots=True)
class Session:
    """An agent session of a thread. `since` is when its status was set, by age."""

    status: str
    title: str
    since: float
    history: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Token:
    """A token; `kind` is bot (xoxb) or app (xapp)."""

    value: str
    kind: Literal["bot", "app"]
    team: str
    scopes: set[str]
    is_revoked: bool = False


@dataclass(slots=True)
class App:
    """The app as its settings page describes it."""

    id: str = "A0MUSTER"
    client_id: str = "111.222"
    client_secret: str = "client-secret"
    signing_secret: str = "signing-secret"
    verification: str = "verification-token"
    events: set[str] = field(default_factory=set)
    commands: set[str] = field(default_factory=set)
    shortcuts: set[str] | None = None
    """Declared callback ids; None: any."""


@dataclass(slots=True)
class Team:
    """A workspace and all that is in it."""

    id: str
    name: str
    domain: str
    bot_user: str
    bot_id: str
    token: str = ""
    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: dict[str, dict[str, Message]] = field(default_factory=dict)
    """By channel and `ts`, in order."""
    ephemerals: list[Message] = field(default_factory=list)
    views: dict[str, View] = field(default_factory=dict)
    stacks: dict[str, list[str]] = field(default_factory=dict)
    """By user: the open modals, the last one on top."""
    homes: dict[str, View] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    sessions: dict[tuple[str, str], Session] = field(default_factory=dict)
    refused_blocks: set[str] = field(default_factory=set)
    """Kinds of blocks that this workspace does not know yet."""
    is_edit_window_closed: bool = False

    def put(self, message: Message) -> Message:
        """Keep a posted message."""
        self.messages.setdefault(message.channel, {})[message.ts] = message
        return message

    def find(self, channel: str, ts: str) -> Message | None:
        """Return a message that is there and was not deleted."""
        message = self.messages.get(channel, {}).get(ts)
        return None if message is None or message.is_deleted else message

    def replies(self, channel: str, ts: str) -> list[Message]:
        """Return the replies of a thread, oldest first."""
        return [
            message
            for message in self.messages.get(channel, {}).values()
            if message.is_reply and message.thread_ts == ts and not message.is_deleted
        ]

    def direct(self, user: str) -> Channel | None:
        """Return the direct conversation of the app and a user."""
        wanted = {user, self.bot_user}
        for channel in self.channels.values():
            if channel.kind == "im" and channel.members == wanted:
                return channel
        return None


def interactive(blocks: Iterable[Any]) -> list[Json]:
    """Return all elements with an `action_id`, in order, each with its block's id."""
    found: list[Json] = []
    for block in blocks:
        if isinstance(block, dict):
            _collect(block, str(block.get("block_id", "")), found)
    return found


def _collect(node: Any, block_id: str, found: list[Json]) -> None:
    if isinstance(node, list):
        for item in node:
            _collect(item, block_id, found)
    elif isinstance(node, dict):
        own = str(node.get("block_id", block_id))
        if "action_id" in node:
            found.append({**node, "block_id": own})
        for value in node.values():
            _collect(value, own, found)


def readable(node: Any) -> list[str]:
    """Return the texts of a block or element, in order."""
    if isinstance(node, str):
        return [node]
    if isinstance(node, list):
        return [word for item in node for word in readable(item)]
    if not isinstance(node, dict):
        return []
    keys = ("title", "subtitle", "label", "text", "fields", "elements", "accessory", "element")
    more = ("tasks", "status", "details", "output", "child_blocks", "rows", "hint", "alt_text")
    buttons = ("positive_button", "negative_button", "options")
    return [word for key in (*keys, *more, *buttons) for word in readable(node.get(key))]
