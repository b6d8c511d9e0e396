"""What tests do in a workspace and look at: people, channels, clicks, messages."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from tests.slack_server import acting
from tests.slack_server.core import BOT_SCOPES, Core
from tests.slack_server.deliveries import Delivery
from tests.slack_server.filling import CannotError
from tests.slack_server.happenings import changed, deleted, posted, reacted
from tests.slack_server.manifest import apply_manifest, bot_scopes, manifest_problems
from tests.slack_server.methods.agents import current
from tests.slack_server.payloads import message_json
from tests.slack_server.state import (
    Channel,
    ChannelKind,
    File,
    Group,
    Message,
    Session,
    Team,
    Token,
    User,
    View,
)

T = TypeVar("T")
CALL_S = 10.0


class Controls:
    """One workspace. What it returns are copies: look again to see what changed."""

    def __init__(self, core: Core, team_id: str, loop: asyncio.AbstractEventLoop) -> None:
        self._core = core
        self._loop = loop
        self.team_id = team_id

    # Who and where

    def user(
        self,
        key: str,
        name: str = "",
        *,
        groups: Iterable[str] = (),
        team: str = "",
        is_guest: bool = False,
        is_single_guest: bool = False,
        email: str = "",
    ) -> User:
        """Add a person, and the user groups they are in. `team`: of another workspace."""

        def add() -> User:
            made = User(key, name or key, team or self.team_id, email)
            made.is_guest, made.is_single_guest = is_guest, is_single_guest
            self._team.users[key] = made
            for group in groups:
                self._group(group).users.append(key)
            return copy.deepcopy(made)

        return self._do(add)

    def remove_user(self, key: str) -> None:
        """Deactivate a person."""

        def remove() -> None:
            self._team.users[key].is_deleted = True

        self._do(remove)

    def group(self, key: str, handle: str = "", users: Iterable[str] = ()) -> None:
        """Set who is in a user group."""

        def put() -> None:
            self._team.groups[key] = Group(key, handle or key.lower(), list(users))

        self._do(put)

    def channel(
        self,
        key: str,
        name: str = "",
        *,
        members: Iterable[str] = (),
        kind: ChannelKind = "public",
        has_bot: bool = True,
        is_shared: bool = False,
    ) -> Channel:
        """Add a channel; the app is in it unless told otherwise."""

        def add() -> Channel:
            people = {*members, *({self._team.bot_user} if has_bot else ())}
            made = Channel(key, name or key.lower(), kind, people, is_shared=is_shared)
            self._team.channels[key] = made
            return copy.deepcopy(made)

        return self._do(add)

    def direct(self, user: str) -> str:
        """Return the id of the direct conversation of the app and a person."""
        return self._do(lambda: self._direct(user).id)

    def archive(self, channel: str) -> None:
        """Archive a channel."""
        self._do(lambda: self._archive(channel, is_archived=True))

    def unarchive(self, channel: str) -> None:
        """Bring a channel back."""
        self._do(lambda: self._archive(channel, is_archived=False))

    def kick(self, channel: str) -> None:
        """Remove the app from a channel."""

        def kick() -> None:
            place = self._team.channels[channel]
            place.members.discard(self._team.bot_user)
            name = "channel_left" if place.kind == "public" else "group_left"
            event = {"type": name, "channel": channel, "event_ts": self._core.clock.stamp()}
            self._core.send_event(self._team, name, event)

        self._do(kick)

    def invite(self, channel: str, user: str = "") -> None:
        """Invite a person to a channel, or the app when nobody is named."""

        def invite() -> None:
            key = user or self._team.bot_user
            self._team.channels[channel].members.add(key)
            event = {"type": "member_joined_channel", "user": key, "channel": channel}
            event |= {"team": self.team_id, "event_ts": self._core.clock.stamp()}
            self._core.send_event(self._team, "member_joined_channel", event)

        self._do(invite)

    # What people write

    def say(
        self, channel: str, user: str, text: str, *, thread: str = "", files: Iterable[str] = ()
    ) -> Message:
        """Let a person write; `@muster` becomes a mention of the app."""

        def say() -> Message:
            return self._say(channel, user, text, thread, list(files))

        return self._do(say)

    def mention(
        self, channel: str, user: str, text: str, *, thread: str = "", files: Iterable[str] = ()
    ) -> Message:
        """Let a person write to the app: `@muster` is put before the text if it is missing."""
        named = "@muster" in text or f"<@{self.bot_user}>" in text
        written = text if named else f"@muster {text}"
        return self.say(channel, user, written, thread=thread, files=files)

    def dm(self, user: str, text: str, *, thread: str = "", files: Iterable[str] = ()) -> Message:
        """Let a person write to the app directly."""
        return self.say(self.direct(user), user, text, thread=thread, files=files)

    def reply(self, message: Message, user: str, text: str) -> Message:
        """Let a person write in a message's thread."""
        return self.say(message.channel, user, text, thread=message.root_ts)

    def edit(self, message: Message, text: str) -> Message:
        """Let a person edit their message."""

        def edit() -> Message:
            found = self._real(message.ts)
            before = message_json(self._team, found)
            found.versions.append((found.text, found.blocks))
            found.text = self._written(text)
            found.blocks = []
            found.edited_ts = self._core.clock.stamp()
            changed(self._core, self._team, found, before)
            return copy.deepcopy(found)

        return self._do(edit)

    def delete(self, message: Message) -> None:
        """Let someone delete a message, also one of the app's."""

        def delete() -> None:
            found = self._real(message.ts)
            before = message_json(self._team, found)
            found.is_deleted = True
            deleted(self._core, self._team, found, before)

        self._do(delete)

    def react(self, message: Message, user: str, emoji: str) -> None:
        """Let a person put an emoji on a message."""

        def react() -> None:
            found = self._real(message.ts)
            users = found.reactions.setdefault(emoji.strip(":"), [])
            if user not in users:
                users.append(user)
                reacted(self._core, self._team, found, user, emoji.strip(":"), is_added=True)

        self._do(react)

    def upload(self, user: str, name: str, content: bytes, mimetype: str = "text/plain") -> str:
        """Let a person upload a file; share it with `say(..., files=[id])`."""

        def upload() -> str:
            key = self._core.new_id("F")
            file = File(key, name, len(content), user, name, mimetype, content, is_complete=True)
            self._team.files[key] = file
            return key

        return self._do(upload)

    # What people do to the app

    def command(self, channel: str, user: str, text: str = "", name: str = "/muster") -> Delivery:
        """Let a person use the slash command."""

        def command() -> Delivery:
            place = self._team.channels[channel]
            return acting.run_command(self._core, self._team, place, self._user(user), name, text)

        return self._do(command)

    def click(
        self,
        message: Message,
        action_id: str,
        user: str,
        *,
        choice: str | None = None,
    ) -> Delivery:
        """Let a person click in a message as they see it: pass an older copy for a stale click.

        `choice` is an option's value, or positive/negative for thumbs. Confirmations are given.
        """

        def click() -> Delivery:
            channel = self._team.channels[message.channel]
            if message.ephemeral_to and message.ephemeral_to != user:
                raise CannotError(f"only {message.ephemeral_to} sees this message")
            if user not in channel.members:
                raise CannotError(f"{user} is not in {channel.id}: invite them first")
            person = self._user(user)
            return acting.click(self._core, self._team, message, person, action_id, choice)

        return self._do(click)

    def asks_confirmation(self, message: Message, action_id: str) -> bool:
        """Whether Slack asks before it sends a click."""
        for element in message.elements:
            if element["action_id"] == action_id:
                return "confirm" in element
        raise CannotError(f"there is no {action_id} to click")

    def click_view(
        self, view: View, action_id: str, user: str, *, choice: str | None = None
    ) -> Delivery:
        """Let a person click in a modal or their Home tab."""

        def click() -> Delivery:
            real = self._team.views[view.id]
            person = self._user(user)
            return acting.click_view(self._core, self._team, real, person, action_id, choice)

        return self._do(click)

    def shortcut(self, callback_id: str, user: str, message: Message | None = None) -> Delivery:
        """Let a person use a shortcut, on a message or anywhere."""

        def use() -> Delivery:
            real = None if message is None else self._real(message.ts)
            return acting.use_shortcut(self._core, self._team, self._user(user), callback_id, real)

        return self._do(use)

    def submit(self, user: str, values: Mapping[str, Any]) -> Delivery:
        """Let a person fill in the modal they see, by block or action id, and submit it."""

        def submit() -> Delivery:
            view = self._top(user)
            return acting.submit(self._core, self._team, view, self._user(user), values)

        return self._do(submit)

    def close(self, user: str) -> Delivery | None:
        """Let a person close the modal they see."""

        def close() -> Delivery | None:
            return acting.close(self._core, self._team, self._top(user), self._user(user))

        return self._do(close)

    def open_home(self, user: str) -> Delivery | None:
        """Let a person open the app's Home tab."""

        def open_tab() -> Delivery | None:
            place = self._direct(user)
            return acting.open_home(self._core, self._team, self._user(user), place)

        return self._do(open_tab)

    def press_stop(self, message: Message, user: str) -> Delivery | None:
        """Let a person press Slack's Stop button in a message's thread."""

        def press() -> Delivery | None:
            real = self._real(message.ts)
            return acting.press_stop(self._core, self._team, real, self._user(user))

        return self._do(press)

    # What can be seen

    def messages(self, channel: str) -> list[Message]:
        """Return a channel's messages, replies too, in order."""

        def look() -> list[Message]:
            kept = self._team.messages.get(channel, {}).values()
            return copy.deepcopy([message for message in kept if not message.is_deleted])

        return self._do(look)

    def message(self, ts: str) -> Message:
        """Return a message as it is now, deleted or not."""
        return self._do(lambda: copy.deepcopy(self._real(ts)))

    def thread(self, message: Message | str) -> list[Message]:
        """Return the thread a message stands in: its root, then the replies."""

        def look() -> list[Message]:
            root = self._real(message if isinstance(message, str) else message.ts)
            first = self._real(root.root_ts)
            replies = self._team.replies(first.channel, first.ts)
            return copy.deepcopy([*([] if first.is_deleted else [first]), *replies])

        return self._do(look)

    def ephemerals(self, user: str = "") -> list[Message]:
        """Return what was shown to single people, or to one of them."""

        def look() -> list[Message]:
            kept = self._team.ephemerals
            return copy.deepcopy(
                [
                    message
                    for message in kept
                    if not message.is_deleted
                    and message.ephemeral_to in {user or message.ephemeral_to}
                ]
            )

        return self._do(look)

    def view(self, user: str) -> View | None:
        """Return the modal a person sees."""

        def look() -> View | None:
            stack = self._team.stacks.get(user)
            return copy.deepcopy(self._team.views[stack[-1]]) if stack else None

        return self._do(look)

    def home(self, user: str) -> View | None:
        """Return what a person's Home tab shows."""
        return self._do(lambda: copy.deepcopy(self._team.homes.get(user)))

    def file(self, key: str) -> File:
        """Return a file."""
        return self._do(lambda: copy.deepcopy(self._team.files[key]))

    def session(self, message: Message) -> Session | None:
        """Return the agent session of a message's thread, with its status now."""

        def look() -> Session | None:
            found = self._team.sessions.get((message.channel, message.root_ts))
            if found is None:
                return None
            shown = copy.deepcopy(found)
            shown.status = current(found, self._core.clock.age())
            return shown

        return self._do(look)

    # The app in this workspace

    @property
    def bot_token(self) -> str:
        """The app's token here."""
        return self._team.token

    @property
    def bot_user(self) -> str:
        """The app's user here."""
        return self._team.bot_user

    def install(self, scopes: Iterable[str] = BOT_SCOPES) -> str:
        """Install the app here and return its token."""
        return self._do(lambda: self._core.install(self._team, scopes).value)

    def apply_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Make the app what its manifest says and install it here with those scopes."""

        def apply() -> None:
            problems = manifest_problems(manifest)
            if problems:
                raise CannotError(f"Slack does not take this manifest: {'; '.join(problems)}")
            apply_manifest(self._core.app, manifest)
            self._token.scopes = set(bot_scopes(manifest))

        self._do(apply)

    def revoke(self) -> None:
        """Revoke the app's token."""

        def revoke() -> None:
            self._token.is_revoked = True

        self._do(revoke)

    def uninstall(self) -> None:
        """Uninstall the app: it hears of it, and its token is worth nothing any more."""

        def uninstall() -> None:
            stamp = self._core.clock.stamp()
            gone = {"type": "tokens_revoked", "tokens": {"bot": [self.bot_user], "oauth": []}}
            self._core.send_event(self._team, "tokens_revoked", gone | {"event_ts": stamp})
            event = {"type": "app_uninstalled", "event_ts": stamp}
            self._core.send_event(self._team, "app_uninstalled", event)
            self._token.is_revoked = True

        self._do(uninstall)

    def grant(self, *scopes: str) -> None:
        """Give the token more scopes."""
        self._do(lambda: self._token.scopes.update(scopes))

    def take_scope(self, *scopes: str) -> None:
        """Take scopes away from the token."""
        self._do(lambda: self._token.scopes.difference_update(scopes))

    def refuse_blocks(self, *kinds: str) -> None:
        """Let this workspace not know some kinds of blocks, as older ones do not."""
        self._do(lambda: self._team.refused_blocks.update(kinds))

    def close_edit_window(self, *, is_closed: bool = True) -> None:
        """Let messages not be edited any more."""

        def close() -> None:
            self._team.is_edit_window_closed = is_closed

        self._do(close)

    # How it works

    @property
    def _team(self) -> Team:
        return self._core.teams[self.team_id]

    @property
    def _token(self) -> Token:
        return self._core.tokens[self._team.token]

    def _do(self, work: Callable[[], T]) -> T:
        """Do something on the server's loop, where nothing else happens at the same time."""

        async def run() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(CALL_S)

    def _group(self, key: str) -> Group:
        return self._team.groups.setdefault(key, Group(key, key.lower()))

    def _user(self, key: str) -> User:
        user = self._team.users.get(key)
        if user is None:
            raise CannotError(f"there is no user {key}: add them first")
        return user

    def _real(self, ts: str) -> Message:
        for messages in self._team.messages.values():
            if ts in messages:
                return messages[ts]
        raise CannotError(f"there is no message {ts}")

    def _direct(self, user: str) -> Channel:
        self._user(user)
        found = self._team.direct(user)
        if found is None:
            key = self._core.new_id("D")
            found = Channel(key, "", "im", {user, self._team.bot_user})
            self._team.channels[key] = found
        return found

    def _top(self, user: str) -> View:
        stack = self._team.stacks.get(user)
        if not stack:
            raise CannotError(f"{user} sees no modal")
        return self._team.views[stack[-1]]

    def _written(self, text: str) -> str:
        return text.replace("@muster", f"<@{self._team.bot_user}>")

    def _say(self, channel: str, user: str, text: str, thread: str, files: list[str]) -> Message:
        place = self._team.channels[channel]
        person = self._user(user)
        if place.is_archived:
            raise CannotError(f"{channel} is archived: nobody can write there")
        if place.kind == "public":
            place.members.add(user)
        if user not in place.members:
            raise CannotError(f"{user} is not in {channel}")
        stamp = self._core.clock.stamp()
        message = Message(self.team_id, channel, stamp, user, self._written(text))
        if thread:
            message.thread_ts = self._real(thread).root_ts
        message.files = files
        message.subtype = "file_share" if files else ""
        message.user_team = "" if person.team == self.team_id else person.team
        self._team.put(message)
        posted(self._core, self._team, message)
        return copy.deepcopy(message)

    def _archive(self, channel: str, *, is_archived: bool) -> None:
        self._team.channels[channel].is_archived = is_archived
        name = "channel_archive" if is_archived else "channel_unarchive"
        event = {"type": name, "channel": channel, "event_ts": self._core.clock.stamp()}
        self._core.send_event(self._team, name, event)
