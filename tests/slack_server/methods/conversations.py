"""Channels, threads and direct messages: conversations.*."""

from __future__ import annotations

from tests.slack_server.ask import Ask, paged
from tests.slack_server.errors import Refused
from tests.slack_server.payloads import channel_json
from tests.slack_server.state import SCOPE_PREFIX, Channel, Json, Message

KINDS = {"public_channel": "public", "private_channel": "private", "im": "im", "mpim": "mpim"}
REPLIES_A_PAGE = 1_000
HISTORY_A_PAGE = 100
MANY = 8


def replies(ask: Ask) -> Json:
    """Return a thread: its first message, then the replies, oldest first."""
    channel = ask.readable()
    root = ask.team.messages.get(channel.id, {}).get(ask.need("ts"))
    if root is not None and root.is_reply:
        root = ask.team.messages[channel.id].get(root.thread_ts)
    answers = ask.team.replies(channel.id, root.ts) if root is not None else []
    if root is None or (root.is_deleted and not answers):
        raise Refused("thread_not_found")
    wanted = [message for message in answers if _is_between(ask, message)]
    items, cursor = ask.page([root, *wanted], REPLIES_A_PAGE)
    has_metadata = ask.flag("include_all_metadata")
    shown = [ask.shown(message, has_metadata=has_metadata) for message in items]
    return paged("messages", shown, cursor) | {"has_more": bool(cursor)}


def history(ask: Ask) -> Json:
    """Return a channel's messages outside threads, newest first."""
    channel = ask.readable()
    messages = [
        message
        for message in ask.team.messages.get(channel.id, {}).values()
        if not message.is_reply and _is_seen(ask, message) and _is_between(ask, message)
    ]
    items, cursor = ask.page(messages[::-1], HISTORY_A_PAGE)
    has_metadata = ask.flag("include_all_metadata")
    shown = [ask.shown(message, has_metadata=has_metadata) for message in items]
    return paged("messages", shown, cursor) | {"has_more": bool(cursor)}


def info(ask: Ask) -> Json:
    """Describe a conversation."""
    channel = ask.channel()
    ask.need_scope(f"{channel.prefix}:read")
    return {"channel": channel_json(ask.team, channel)}


def list_all(ask: Ask) -> Json:
    """List the conversations of the asked kinds that the app may see."""
    kinds: list[str] = []
    for name in (ask.text("types") or "public_channel").split(","):
        if name.strip() not in KINDS:
            raise Refused("invalid_types")
        kinds.append(KINDS[name.strip()])
    for kind in kinds:
        ask.need_scope(f"{SCOPE_PREFIX[kind]}:read")
    found = [
        channel_json(ask.team, channel)
        for channel in ask.team.channels.values()
        if channel.kind in kinds
        and (channel.kind == "public" or ask.team.bot_user in channel.members)
        and not (channel.is_archived and ask.flag("exclude_archived"))
    ]
    items, cursor = ask.page(found, HISTORY_A_PAGE)
    return paged("channels", items, cursor)


def members(ask: Ask) -> Json:
    """List who is in a conversation."""
    channel = ask.channel()
    ask.need_scope(f"{channel.prefix}:read")
    items, cursor = ask.page(sorted(channel.members), HISTORY_A_PAGE)
    return paged("members", items, cursor)


def join(ask: Ask) -> Json:
    """Let the app join a public channel."""
    channel = ask.channel()
    if channel.kind != "public":
        raise Refused("method_not_supported_for_channel_type")
    if channel.is_archived:
        raise Refused("is_archived")
    channel.members.add(ask.team.bot_user)
    return {"channel": channel_json(ask.team, channel)}


def open_direct(ask: Ask) -> Json:
    """Open a direct message with one person, or a group of up to eight."""
    if ask.text("channel"):
        return {"channel": channel_json(ask.team, ask.channel())}
    ids = [name.strip() for name in ask.need("users").split(",")]
    for name in ids:
        user = ask.team.users.get(name)
        if user is None:
            raise Refused("user_not_found")
        if user.is_deleted:
            raise Refused("user_disabled")
    if len(ids) > MANY:
        raise Refused("too_many_users")
    if len(ids) > 1:
        ask.need_scope("mpim:write")
        key = ask.core.new_id("G")
        channel = Channel(key, f"mpdm-{key}", "mpim", {*ids, ask.team.bot_user})
        ask.team.channels[key] = channel
    else:
        ask.need_scope("im:write")
        channel = ask.open_direct(ids[0])
    if ask.flag("return_im"):
        return {"channel": channel_json(ask.team, channel)}
    return {"channel": {"id": channel.id}}


def _is_seen(ask: Ask, message: Message) -> bool:
    return not message.is_deleted or bool(ask.team.replies(message.channel, message.ts))


def _is_between(ask: Ask, message: Message) -> bool:
    oldest, latest = ask.text("oldest"), ask.text("latest")
    if ask.flag("inclusive") and message.ts in {oldest, latest}:
        return True
    at = float(message.ts)
    return (not oldest or at > float(oldest)) and (not latest or at < float(latest))


METHODS = {
    "conversations.replies": replies,
    "conversations.history": history,
    "conversations.info": info,
    "conversations.list": list_all,
    "conversations.members": members,
    "conversations.join": join,
    "conversations.open": open_direct,
}
