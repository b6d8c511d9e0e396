"""Emoji on messages: reactions.*."""

from __future__ import annotations

import re

from tests.slack_server.ask import Ask
from tests.slack_server.errors import Refused
from tests.slack_server.happenings import reacted
from tests.slack_server.state import Json

NAME = re.compile(r"[a-z0-9_+\-]{1,100}(?:::skin-tone-[2-6])?")


def add(ask: Ask) -> Json:
    """Put an emoji on a message."""
    message = ask.message(ask.channel(), "timestamp")
    name = ask.need("name")
    if not NAME.fullmatch(name):
        raise Refused("invalid_name")
    users = message.reactions.setdefault(name, [])
    if ask.team.bot_user in users:
        raise Refused("already_reacted")
    users.append(ask.team.bot_user)
    reacted(ask.core, ask.team, message, ask.team.bot_user, name, is_added=True)
    return {}


def remove(ask: Ask) -> Json:
    """Take the app's own emoji off a message."""
    message = ask.message(ask.channel(), "timestamp")
    users = message.reactions.get(ask.need("name"), [])
    if ask.team.bot_user not in users:
        raise Refused("no_reaction")
    users.remove(ask.team.bot_user)
    return {}


def get(ask: Ask) -> Json:
    """Return a message with its emoji."""
    channel = ask.channel()
    message = ask.message(channel, "timestamp")
    return {"type": "message", "channel": channel.id, "message": ask.shown(message)}


METHODS = {"reactions.add": add, "reactions.remove": remove, "reactions.get": get}
