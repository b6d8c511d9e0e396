"""What a person does to the app: commands, clicks, shortcuts, modals, the Home tab, Stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.slack_server.core import Core
from tests.slack_server.deliveries import Delivery
from tests.slack_server.filling import CannotError, filled, option_of
from tests.slack_server.methods.agents import current
from tests.slack_server.payloads import interaction, message_json, view_json
from tests.slack_server.state import Channel, Json, Message, Team, User, View, interactive


def run_command(
    core: Core, team: Team, channel: Channel, user: User, command: str, text: str
) -> Delivery:
    """Send a slash command."""
    token = core.bot_token(team)
    if command not in core.app.commands:
        raise CannotError(f"the app has no command {command}")
    if token is None or "commands" not in token.scopes:
        raise CannotError("the app is not installed with the scope commands")
    now = core.clock.age()
    trigger = core.tickets.trigger(team.id, user.id, now)
    url = _url(core, core.tickets.response_url(team.id, channel.id, user.id, now))
    payload = {
        "token": core.app.verification,
        "team_id": team.id,
        "team_domain": team.domain,
        "channel_id": channel.id,
        "channel_name": channel.name or "directmessage",
        "user_id": user.id,
        "user_name": user.name.lower(),
        "command": command,
        "text": text,
        "api_app_id": core.app.id,
        "is_enterprise_install": "false",
        "response_url": url,
        "trigger_id": trigger,
    }
    return core.deliver(
        "slash_commands",
        team,
        payload,
        core.new_id("Cmd"),
        user=user.id,
        trigger_id=trigger,
        response_url=url,
    )


def click(
    core: Core, team: Team, message: Message, user: User, action_id: str, choice: str | None
) -> Delivery:
    """Click something in a message as the person sees it: maybe not as it is by now."""
    element = _element(message.blocks, action_id)
    now = core.clock.age()
    trigger = core.tickets.trigger(team.id, user.id, now)
    thread = message.thread_ts if message.is_reply else ""
    key = core.tickets.response_url(
        team.id,
        message.channel,
        user.id,
        now,
        ts=message.ts,
        thread_ts=thread,
        is_ephemeral=bool(message.ephemeral_to),
    )
    present = team.find(message.channel, message.ts) or message
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": bool(message.ephemeral_to),
    }
    if thread:
        container["thread_ts"] = thread
    channel = team.channels[message.channel]
    payload = interaction(core.app, team, user, "block_actions") | {
        "container": container,
        "trigger_id": trigger,
        "channel": {"id": channel.id, "name": channel.name or "directmessage"},
        "message": message_json(team, present),
        "state": {"values": {}},
        "response_url": _url(core, key),
        "actions": [_action(core, element, choice)],
    }
    return _interactive(core, team, user, payload, trigger)


def click_view(
    core: Core, team: Team, view: View, user: User, action_id: str, choice: str | None
) -> Delivery:
    """Click something in a modal or the Home tab."""
    element = _element(view.blocks, action_id)
    trigger = core.tickets.trigger(team.id, user.id, core.clock.age(), view.id)
    payload = interaction(core.app, team, user, "block_actions") | {
        "container": {"type": "view", "view_id": view.id},
        "trigger_id": trigger,
        "view": view_json(team, core.app, view),
        "actions": [_action(core, element, choice)],
    }
    return _interactive(core, team, user, payload, trigger)


def use_shortcut(
    core: Core, team: Team, user: User, callback_id: str, message: Message | None
) -> Delivery:
    """Use a shortcut: on a message, or anywhere when there is none."""
    if core.app.shortcuts is not None and callback_id not in core.app.shortcuts:
        raise CannotError(f"the app has no shortcut {callback_id}")
    now = core.clock.age()
    trigger = core.tickets.trigger(team.id, user.id, now)
    kind = "shortcut" if message is None else "message_action"
    payload = interaction(core.app, team, user, kind) | {
        "callback_id": callback_id,
        "trigger_id": trigger,
        "action_ts": core.clock.stamp(),
    }
    if message is not None:
        channel = team.channels[message.channel]
        thread = message.thread_ts if message.is_reply else ""
        key = core.tickets.response_url(
            team.id, channel.id, user.id, now, ts=message.ts, thread_ts=thread
        )
        payload |= {
            "channel": {"id": channel.id, "name": channel.name or "directmessage"},
            "message": message_json(team, message),
            "message_ts": message.ts,
            "response_url": _url(core, key),
        }
    return _interactive(core, team, user, payload, trigger)


def submit(core: Core, team: Team, view: View, user: User, values: Mapping[str, Any]) -> Delivery:
    """Press a modal's submit button."""
    if view.payload.get("submit") is None:
        raise CannotError("the modal has no submit button")
    shown = view_json(team, core.app, view) | {"state": {"values": filled(view, values)}}
    trigger = core.tickets.trigger(team.id, user.id, core.clock.age(), view.id)
    payload = interaction(core.app, team, user, "view_submission") | {
        "trigger_id": trigger,
        "view": shown,
        "response_urls": [],
    }
    return _interactive(core, team, user, payload, trigger)


def close(core: Core, team: Team, view: View, user: User) -> Delivery | None:
    """Close a modal; the app hears of it only when it asked to."""
    team.stacks[user.id].remove(view.id)
    if not view.payload.get("notify_on_close"):
        return None
    payload = interaction(core.app, team, user, "view_closed") | {
        "view": view_json(team, core.app, view),
        "is_cleared": False,
    }
    return _interactive(core, team, user, payload, "")


def open_home(core: Core, team: Team, user: User, channel: Channel) -> Delivery | None:
    """Open the app's Home tab."""
    event: Json = {
        "type": "app_home_opened",
        "user": user.id,
        "channel": channel.id,
        "tab": "home",
        "event_ts": core.clock.stamp(),
    }
    view = team.homes.get(user.id)
    if view is not None:
        event["view"] = view_json(team, core.app, view)
    return core.send_event(team, "app_home_opened", event)


def press_stop(core: Core, team: Team, root: Message, user: User) -> Delivery | None:
    """Press Slack's Stop button, which is there while a session is processing."""
    session = team.sessions.get((root.channel, root.root_ts))
    if session is None or current(session, core.clock.age()) != "processing":
        raise CannotError("there is no Stop button: the thread's session is not processing")
    event = {
        "type": "agent_session_stopped",
        "channel": root.channel,
        "thread_ts": root.root_ts,
        "user": user.id,
        "streaming_message_ts": [],
        "event_ts": core.clock.stamp(),
    }
    return core.send_event(team, "agent_session_stopped", event)


def _interactive(core: Core, team: Team, user: User, payload: Json, trigger: str) -> Delivery:
    return core.deliver(
        "interactive",
        team,
        payload,
        core.new_id("Int"),
        user=user.id,
        trigger_id=trigger,
        response_url=str(payload.get("response_url", "")),
    )


def _element(blocks: list[Json], action_id: str) -> Json:
    for element in interactive(blocks):
        if element["action_id"] == action_id:
            return element
    offered = ", ".join(str(element["action_id"]) for element in interactive(blocks))
    raise CannotError(f"there is no {action_id} to click; there are: {offered or 'none'}")


def _action(core: Core, element: Json, choice: str | None) -> Json:
    kind = str(element["type"])
    action: Json = {
        "action_id": element["action_id"],
        "block_id": element["block_id"],
        "type": kind,
        "action_ts": core.clock.stamp(),
    }
    if kind == "feedback_buttons":
        button = element[f"{choice or 'positive'}_button"]
        return action | {"text": button["text"], "value": button["value"]}
    if kind in {"button", "icon_button"}:
        kept = {key: element[key] for key in ("text", "value", "style", "url") if key in element}
        return action | kept
    if choice is None:
        raise CannotError(f"{element['action_id']} is a menu: say which option")
    if kind == "checkboxes":
        return action | {"selected_options": [option_of(element, choice)]}
    if kind in {"users_select", "channels_select", "conversations_select"}:
        return action | {f"selected_{kind.partition('s_')[0]}": choice}
    return action | {"selected_option": option_of(element, choice)}


def _url(core: Core, key: str) -> str:
    return f"{core.base_url}/respond/{key}"
