"""Messages: chat.*."""

from __future__ import annotations

from tests.slack_server.ask import Ask, numbered
from tests.slack_server.errors import Refused
from tests.slack_server.happenings import changed, deleted, posted
from tests.slack_server.state import Json, Message

CUSTOM = ("username", "icon_emoji", "icon_url")


def post(ask: Ask) -> Json:
    """Post a message."""
    channel = ask.writable(may_be_name=True)
    _customized(ask)
    content = ask.content()
    message = ask.own_message(channel, content, ask.thread(channel))
    message.username = ask.text("username")
    ask.team.put(message)
    posted(ask.core, ask.team, message)
    shown = ask.shown(message, has_metadata=True)
    return {"channel": channel.id, "ts": message.ts, "message": shown}


def post_ephemeral(ask: Ask) -> Json:
    """Show a message to one person in a channel."""
    channel = ask.writable()
    _customized(ask)
    user = ask.user()
    if user.id not in channel.members:
        raise Refused("user_not_in_channel")
    message = ask.own_message(channel, ask.content(), ask.thread(channel))
    message.ephemeral_to = user.id
    ask.team.ephemerals.append(message)
    ask.core.touched += 1
    return {"message_ts": message.ts}


def update(ask: Ask) -> Json:
    """Edit one of the app's own messages."""
    channel = ask.channel()
    if channel.is_archived:
        raise Refused("is_inactive")
    message = ask.message(channel)
    if message.user != ask.team.bot_user:
        raise Refused("cant_update_message")
    if ask.team.is_edit_window_closed:
        raise Refused("edit_window_closed")
    content = ask.content(is_update=True)
    before = ask.shown(message)
    message.versions.append((message.text, message.blocks))
    message.text = content.text
    # A call that gives only text takes the blocks away, as Slack does.
    message.blocks = numbered(content.blocks)
    if content.metadata is not None:
        message.metadata = content.metadata
    message.edited_ts = ask.core.clock.stamp()
    changed(ask.core, ask.team, message, before)
    shown = ask.shown(message, has_metadata=True)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": shown}


def delete(ask: Ask) -> Json:
    """Delete one of the app's own messages."""
    channel = ask.channel()
    message = ask.message(channel)
    if message.user != ask.team.bot_user:
        raise Refused("cant_delete_message")
    remove(ask, message)
    return {"channel": channel.id, "ts": message.ts}


def remove(ask: Ask, message: Message) -> None:
    """Take a message away and tell of it."""
    before = ask.shown(message)
    message.is_deleted = True
    deleted(ask.core, ask.team, message, before)


def permalink(ask: Ask) -> Json:
    """Return a message's address."""
    channel = ask.channel()
    message = ask.message(channel, "message_ts")
    digits = message.ts.replace(".", "")
    link = f"https://{ask.team.domain}.slack.com/archives/{channel.id}/p{digits}"
    if message.is_reply:
        link += f"?thread_ts={message.thread_ts}&cid={channel.id}"
    return {"channel": channel.id, "permalink": link}


def _customized(ask: Ask) -> None:
    if any(ask.text(key) for key in CUSTOM):
        ask.need_scope("chat:write.customize")


METHODS = {
    "chat.postMessage": post,
    "chat.postEphemeral": post_ephemeral,
    "chat.update": update,
    "chat.delete": delete,
    "chat.getPermalink": permalink,
}
