"""One call of the Web API as its method sees it: who asks, with what, and what it names."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.slack_server.content import Content, decoded, read_content
from tests.slack_server.core import Core
from tests.slack_server.errors import Refused
from tests.slack_server.limits import PAGE_MAX
from tests.slack_server.payloads import message_json
from tests.slack_server.state import Channel, Json, Message, Team, Token, User

STAMP = re.compile(r"\d{10}\.\d{6}")
TRUE = frozenset({"1", "true", "True"})


@dataclass(slots=True)
class Ask:
    """The arguments of a call, read in the way Slack reads them."""

    core: Core
    method: str
    args: Json
    team: Team
    token: Token

    def text(self, key: str) -> str:
        """Return an argument as text; empty when it is not given."""
        value = self.args.get(key)
        return "" if value is None else str(value)

    def need(self, key: str) -> str:
        """Return a required argument."""
        value = self.text(key)
        if not value:
            raise Refused("invalid_arguments", [f"missing required field: {key}"])
        return value

    def flag(self, key: str) -> bool:
        """Return a yes or no."""
        value = self.args.get(key)
        return value is True or str(value) in TRUE

    def number(self, key: str, default: int) -> int:
        """Return a whole number."""
        try:
            return int(self.text(key) or default)
        except ValueError as error:
            raise Refused("invalid_arguments", [f"{key} must be an integer"]) from error

    def json(self, key: str) -> Any:
        """Return an argument that forms carry as JSON."""
        return decoded(self.args.get(key), "invalid_json")

    def need_scope(self, *scopes: str) -> None:
        """Refuse unless the token has one of the scopes."""
        if not self.token.scopes.intersection(scopes):
            provided = ",".join(sorted(self.token.scopes))
            raise Refused("missing_scope", needed=",".join(scopes), provided=provided)

    @property
    def bot(self) -> User:
        """The app's own user."""
        return self.team.users[self.team.bot_user]

    def channel(self, key: str = "channel") -> Channel:
        """Return the conversation an id names. The app sees no private one it is not in."""
        channel = self.team.channels.get(self.text(key))
        if channel is None:
            raise Refused("channel_not_found")
        if channel.kind != "public" and self.team.bot_user not in channel.members:
            raise Refused("channel_not_found")
        return channel

    def readable(self) -> Channel:
        """Return a conversation whose messages the app may read."""
        channel = self.channel()
        self.need_scope(f"{channel.prefix}:history")
        if self.team.bot_user not in channel.members:
            raise Refused("not_in_channel")
        return channel

    def writable(self, *, may_be_name: bool = False) -> Channel:
        """Return a conversation the app may post in."""
        channel = self._named() if may_be_name else self.channel()
        if channel.is_archived:
            raise Refused("is_archived")
        if self.team.bot_user not in channel.members and not (
            channel.kind == "public" and "chat:write.public" in self.token.scopes
        ):
            raise Refused("not_in_channel")
        return channel

    def _named(self) -> Channel:
        """Return what chat.postMessage accepts: an id, a public channel's name, or a user's id."""
        wanted = self.need("channel")
        if wanted in self.team.channels:
            return self.channel()
        for channel in self.team.channels.values():
            if channel.kind == "public" and channel.name == wanted.removeprefix("#"):
                return channel
        user = self.team.users.get(wanted)
        if user is not None and not user.is_deleted:
            self.need_scope("im:write")
            return self.open_direct(user.id)
        raise Refused("channel_not_found")

    def open_direct(self, user: str) -> Channel:
        """Return the direct conversation with a user, made when there is none."""
        found = self.team.direct(user)
        if found is None:
            key = self.core.new_id("D")
            found = Channel(key, "", "im", {user, self.team.bot_user})
            self.team.channels[key] = found
        return found

    def thread(self, channel: Channel, key: str = "thread_ts") -> str:
        """Return the root of the thread a message is to go to; empty: none."""
        stamp = self.text(key)
        if not stamp:
            return ""
        if not STAMP.fullmatch(stamp):
            raise Refused("invalid_thread_ts", [f"{stamp} is not a valid thread_ts"])
        root = self.team.messages.get(channel.id, {}).get(stamp)
        if root is None or (root.is_deleted and not self.team.replies(channel.id, stamp)):
            raise Refused("thread_not_found")
        if root.is_reply:
            raise Refused("invalid_thread_ts", [f"{stamp} is a reply: give its parent"])
        return stamp

    def message(self, channel: Channel, key: str = "ts") -> Message:
        """Return the message a `ts` names."""
        found = self.team.find(channel.id, self.need(key))
        if found is None:
            raise Refused("message_not_found")
        return found

    def user(self, key: str = "user") -> User:
        """Return the user an id names."""
        user = self.team.users.get(self.need(key))
        if user is None:
            raise Refused("user_not_found")
        return user

    def content(self, *, is_update: bool = False, may_be_empty: bool = False) -> Content:
        """Return the message content that the call gives."""
        return read_content(
            self.args,
            files=self.team.files.keys(),
            refused_blocks=self.team.refused_blocks,
            is_update=is_update,
            may_be_empty=may_be_empty,
        )

    def own_message(self, channel: Channel, content: Content, thread_ts: str = "") -> Message:
        """Return a new message of the app, not posted yet."""
        return Message(
            self.team.id,
            channel.id,
            self.core.clock.stamp(),
            self.team.bot_user,
            content.text,
            numbered(content.blocks),
            thread_ts,
            content.metadata or {},
            self.team.bot_id,
            self.core.app.id,
        )

    def shown(self, message: Message, *, has_metadata: bool = False) -> Json:
        """Return a message as Slack writes it."""
        return message_json(self.team, message, has_metadata=has_metadata)

    def page(
        self, items: Sequence[Any], default: int, most: int = PAGE_MAX
    ) -> tuple[list[Any], str]:
        """Return the asked page of a list, and the cursor of the next; empty at the end."""
        limit = self.number("limit", default)
        if not 1 <= limit <= most:
            raise Refused("invalid_limit")
        cursor = self.text("cursor")
        start = 0
        if cursor:
            try:
                start = int(base64.b64decode(cursor).decode().removeprefix("next:"))
            except ValueError as error:
                raise Refused("invalid_cursor") from error
        end = start + limit
        following = base64.b64encode(f"next:{end}".encode()).decode() if end < len(items) else ""
        return list(items[start:end]), following


def numbered(blocks: list[Json]) -> list[Json]:
    """Return blocks with an id each: Slack makes up those that are missing."""
    return [
        block if block.get("block_id") else {**block, "block_id": f"b{index:03d}"}
        for index, block in enumerate(blocks)
    ]


def paged(key: str, items: list[Any], cursor: str) -> Json:
    """Return one page of an answer."""
    return {key: items, "response_metadata": {"next_cursor": cursor}}
