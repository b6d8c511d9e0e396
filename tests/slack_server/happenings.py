"""What happens in channels and what the app hears of it."""

from __future__ import annotations

import re

from tests.slack_server.core import Core
from tests.slack_server.deliveries import Delivery
from tests.slack_server.payloads import message_event, message_json
from tests.slack_server.state import CHANNEL_TYPE, Channel, Json, Message, Team

MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^>]*)?>")


def hears(core: Core, team: Team, channel: Channel, message: Message) -> bool:
    """Whether the app is told of this message at all."""
    if team.bot_user not in channel.members:
        return False
    return core.is_echoing or message.user != team.bot_user


def posted(core: Core, team: Team, message: Message) -> list[Delivery]:
    """Tell of a new message: as `message.…`, and as `app_mention` when it names the app."""
    core.touched += 1
    channel = team.channels[message.channel]
    if not hears(core, team, channel, message):
        return []
    event = message_event(team, channel, message, core.base_url)
    sent = [_on_message(core, team, channel, event)]
    names = set(MENTION.findall(message.text))
    if team.bot_user in names and message.user != team.bot_user and channel.kind != "im":
        mention = {key: value for key, value in event.items() if key != "channel_type"}
        shared = channel.is_shared
        sent.insert(
            0,
            core.send_event(
                team, "app_mention", mention | {"type": "app_mention"}, is_shared=shared
            ),
        )
    return [delivery for delivery in sent if delivery is not None]


def changed(core: Core, team: Team, message: Message, before: Json) -> Delivery | None:
    """Tell of an edit."""
    core.touched += 1
    channel = team.channels[message.channel]
    if not hears(core, team, channel, message):
        return None
    event = {
        "type": "message",
        "subtype": "message_changed",
        "message": message_json(team, message),
        "previous_message": before,
        "hidden": True,
    }
    return _on_message(core, team, channel, _placed(core, channel, event))


def deleted(core: Core, team: Team, message: Message, before: Json) -> Delivery | None:
    """Tell that a message is gone."""
    core.touched += 1
    channel = team.channels[message.channel]
    if not hears(core, team, channel, message):
        return None
    event = {
        "type": "message",
        "subtype": "message_deleted",
        "deleted_ts": message.ts,
        "previous_message": before,
        "hidden": True,
    }
    return _on_message(core, team, channel, _placed(core, channel, event))


def reacted(
    core: Core, team: Team, message: Message, user: str, emoji: str, *, is_added: bool
) -> Delivery | None:
    """Tell of a reaction that came or went."""
    core.touched += 1
    name = "reaction_added" if is_added else "reaction_removed"
    channel = team.channels[message.channel]
    if team.bot_user not in channel.members:
        return None
    event = {
        "type": name,
        "user": user,
        "reaction": emoji,
        "item": {"type": "message", "channel": message.channel, "ts": message.ts},
        "item_user": message.user,
        "event_ts": core.clock.stamp(),
    }
    return core.send_event(team, name, event, is_shared=channel.is_shared)


def _placed(core: Core, channel: Channel, event: Json) -> Json:
    stamp = core.clock.stamp()
    kind = CHANNEL_TYPE[channel.kind]
    return event | {"channel": channel.id, "channel_type": kind, "ts": stamp, "event_ts": stamp}


def _on_message(core: Core, team: Team, channel: Channel, event: Json) -> Delivery | None:
    kinds = {"public": "channels", "private": "groups", "im": "im", "mpim": "mpim"}
    subscription = f"message.{kinds[channel.kind]}"
    return core.send_event(team, subscription, event, is_shared=channel.is_shared)
