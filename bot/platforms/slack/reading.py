"""From what Slack delivers to what somebody did: pure, and the only place that knows payloads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bot.platforms.slack.heard import SHOUTED_CHARS, Attached, Heard, Kind

COMMAND: Final = "/muster"
INVESTIGATE: Final = "muster_investigate"
"""The shortcut on a message."""
COMPOSE: Final = "muster_compose"
"""The shortcut that works everywhere."""
MAX_FILES_READ: Final = 20
SUBTYPES: Final = frozenset({"file_share", "thread_broadcast"})
"""Messages of people; every other subtype tells of something that happened to a channel."""
REMOVED: Final = frozenset({"app_uninstalled", "tokens_revoked"})
EVENTS: Final = frozenset(
    {
        "agent_session_stopped",
        "app_home_opened",
        "app_mention",
        "app_uninstalled",
        "message.channels",
        "message.groups",
        "message.im",
        "message.mpim",
        "reaction_added",
        "tokens_revoked",
    }
)
"""What the app subscribes to (deploy/slack-manifest.yaml)."""
_MENTION = re.compile(r"<@([A-Z0-9]+)(?:\|[^>]*)?>")

Json = Mapping[str, Any]


def read(body: Json, emoji: str) -> Heard | None:
    """Return what somebody did; None for what is none of our business."""
    if body.get("type") == "event_callback":
        return _event(body, emoji)
    if body.get("command"):
        return _command(body)
    match body.get("type"):
        case "message_action" | "shortcut":
            return _shortcut(body)
        case "block_actions":
            return _click(body)
        case "view_submission":
            return _submission(body)
        case _:
            return None


def readable(message: Json) -> str:
    """Return the words of a message; those of monitoring bots often stand in attachments only."""
    text = _text(message, "text").strip()
    if not text:
        lines = [*_attachment_texts(message), *_block_texts(message.get("blocks"))]
        text = "\n".join(dict.fromkeys(line for line in lines if line.strip()))
    return text[:SHOUTED_CHARS]


def attached(message: Json) -> tuple[Attached, ...]:
    """Return the files of a message."""
    files = message.get("files")
    found = [one for one in files if isinstance(one, dict)] if isinstance(files, list) else []
    return tuple(
        Attached(
            id=str(one.get("id", "")),
            name=str(one.get("name") or one.get("title") or "file"),
            media_type=_text(one, "mimetype"),
            size=_number(one.get("size")),
            url=str(one.get("url_private_download") or one.get("url_private") or ""),
        )
        for one in found[:MAX_FILES_READ]
    )


def message_key(team: str, channel: str, ts: str) -> str:
    """Return the key of a new message: a mention is delivered as two kinds of event."""
    return f"m:{team}:{channel}:{ts}"


def _event(body: Json, emoji: str) -> Heard | None:
    event: Json = body.get("event") or {}
    team = _text(body, "team_id")
    key = f"e:{team}:{body.get('event_id', '')}"
    at = _seconds(event.get("event_ts")) or float(body.get("event_time") or 0)
    kind = event.get("type")
    if kind in {"app_mention", "message"}:
        return _message(body, event, team, key, at)
    if kind == "reaction_added":
        return _reaction(event, team, key, at, emoji)
    user = _text(event, "user")
    if kind == "app_home_opened" and event.get("tab", "home") == "home":
        return Heard(key, Kind.HOME, team, user, at)
    if kind == "agent_session_stopped":
        ts = _text(event, "thread_ts")
        channel = _text(event, "channel")
        return Heard(key, Kind.STOP, team, user, at, channel=channel, ts=ts, thread_ts=ts)
    if kind in REMOVED:
        has_bot = kind == "app_uninstalled" or bool((event.get("tokens") or {}).get("bot"))
        return Heard(key, Kind.GONE, team, user, at) if has_bot else None
    return None


def _message(body: Json, event: Json, team: str, key: str, at: float) -> Heard | None:
    bot_user = _bot_user(body)
    if event.get("subtype") == "message_changed":
        return _edit(event, team, key, at, bot_user)
    subtype, user = _text(event, "subtype"), _text(event, "user")
    if subtype and subtype not in SUBTYPES:
        return None
    text = _text(event, "text")
    ts, thread_ts = _text(event, "ts"), _text(event, "thread_ts")
    names_us = event.get("type") == "app_mention" or bot_user in _MENTION.findall(text)
    if event.get("channel_type") == "im":
        kind = Kind.DIRECT
    elif names_us:
        kind = Kind.MENTION
    elif thread_ts and thread_ts != ts:
        kind = Kind.REPLY
    else:
        return None
    is_bot = bool(event.get("bot_id") or event.get("bot_profile"))
    if is_bot or user in {bot_user, ""}:
        return None
    channel = _text(event, "channel")
    return Heard(
        message_key(team, channel, ts),
        kind,
        team,
        user,
        _seconds(ts) or at,
        user_team=_other(team, event.get("user_team") or event.get("source_team")),
        channel=channel,
        ts=ts,
        thread_ts=thread_ts,
        text=text[:SHOUTED_CHARS],
        files=attached(event),
        bot_user=bot_user,
    )


def _edit(event: Json, team: str, key: str, at: float, bot_user: str) -> Heard | None:
    now: Json = event.get("message") or {}
    before: Json = event.get("previous_message") or {}
    user = _text(now, "user")
    if now.get("bot_id") or not user or user == bot_user:
        return None
    if now.get("text") == before.get("text") or now.get("subtype") == "tombstone":
        return None  # Slack unfolded a link, or somebody replied.
    text = _text(now, "text")
    is_direct = event.get("channel_type") == "im"
    named = _MENTION.findall(f"{text} {before.get('text') or ''}")
    is_in_thread = _text(now, "thread_ts") not in {"", _text(now, "ts")}
    if not (is_direct or is_in_thread or bot_user in named):
        return None
    return Heard(
        key,
        Kind.EDIT,
        team,
        user,
        at,
        user_team=_other(team, now.get("user_team") or now.get("source_team")),
        channel=_text(event, "channel"),
        ts=_text(now, "ts"),
        thread_ts=_text(now, "thread_ts"),
        text=text[:SHOUTED_CHARS],
        files=attached(now),
        bot_user=bot_user,
        is_mention=is_direct or bot_user in _MENTION.findall(text),
    )


def _reaction(event: Json, team: str, key: str, at: float, emoji: str) -> Heard | None:
    item: Json = event.get("item") or {}
    # Skin tones follow the name: `+1::skin-tone-2`.
    name = _text(event, "reaction").partition("::")[0]
    if name != emoji or item.get("type") != "message":
        return None
    return Heard(
        key,
        Kind.POINT,
        team,
        _text(event, "user"),
        at,
        channel=_text(item, "channel"),
        ts=_text(item, "ts"),
        author=_text(event, "item_user"),
    )


def _command(body: Json) -> Heard:
    team = _text(body, "team_id")
    return Heard(
        f"t:{body.get('trigger_id', '')}",
        Kind.COMMAND,
        team,
        _text(body, "user_id"),
        channel=_text(body, "channel_id"),
        text=_text(body, "text")[:SHOUTED_CHARS],
        trigger_id=_text(body, "trigger_id"),
        response_url=_text(body, "response_url"),
    )


def _shortcut(body: Json) -> Heard | None:
    team, user, user_team = _who(body)
    trigger = _text(body, "trigger_id")
    if body.get("type") == "shortcut":
        callback = _text(body, "callback_id")
        return Heard(
            f"t:{trigger}",
            Kind.COMPOSE,
            team,
            user,
            user_team=user_team,
            trigger_id=trigger,
            callback_id=callback,
        )
    message: Json = body.get("message") or {}
    return Heard(
        f"t:{trigger}",
        Kind.POINT,
        team,
        user,
        user_team=user_team,
        channel=str((body.get("channel") or {}).get("id") or ""),
        ts=str(message.get("ts") or body.get("message_ts") or ""),
        thread_ts=_text(message, "thread_ts"),
        text=readable(message),
        files=attached(message),
        callback_id=_text(body, "callback_id"),
        trigger_id=trigger,
        response_url=_text(body, "response_url"),
        author=str(message.get("user") or message.get("username") or ""),
    )


def _click(body: Json) -> Heard | None:
    team, user, user_team = _who(body)
    actions = body.get("actions") or [{}]
    action: Json = actions[0]
    container: Json = body.get("container") or {}
    option: Json = action.get("selected_option") or {}
    trigger = _text(body, "trigger_id")
    return Heard(
        f"t:{trigger}:{action.get('action_id', '')}",
        Kind.CLICK,
        team,
        user,
        _seconds(action.get("action_ts")),
        user_team=user_team,
        channel=str((body.get("channel") or {}).get("id") or container.get("channel_id") or ""),
        ts=_text(container, "message_ts"),
        thread_ts=_text(container, "thread_ts"),
        action_id=_text(action, "action_id"),
        value=str(action.get("value") or option.get("value") or ""),
        trigger_id=trigger,
        response_url=_text(body, "response_url"),
        is_in_view=container.get("type") == "view" or "view" in body,
    )


def _submission(body: Json) -> Heard | None:
    team, user, user_team = _who(body)
    view: Json = body.get("view") or {}
    trigger = _text(body, "trigger_id")
    state = view.get("state")
    return Heard(
        f"t:{trigger}:{view.get('id', '')}",
        Kind.SUBMIT,
        team,
        user,
        user_team=user_team,
        callback_id=_text(view, "callback_id"),
        value=_text(view, "private_metadata"),
        state=dict(state) if isinstance(state, dict) else {},
        trigger_id=trigger,
        is_in_view=True,
    )


def _who(body: Json) -> tuple[str, str, str]:
    """Return the workspace, the person, and their own workspace when that is another."""
    user: Json = body.get("user") or {}
    team = str((body.get("team") or {}).get("id") or user.get("team_id") or "")
    return team, _text(user, "id"), _other(team, user.get("team_id"))


def _other(team: str, theirs: object) -> str:
    return str(theirs) if theirs and theirs != team else ""


def _bot_user(body: Json) -> str:
    """Return Muster's user in the workspace that was delivered to."""
    for one in body.get("authorizations") or ():
        if one.get("is_bot") and one.get("user_id"):
            return str(one["user_id"])
    return ""


def _text(node: Json, name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _seconds(stamp: object) -> float:
    try:
        return float(str(stamp)) if stamp else 0.0
    except ValueError:
        return 0.0


def _attachment_texts(message: Json) -> Iterator[str]:
    attachments = message.get("attachments")
    for one in attachments if isinstance(attachments, list) else ():
        if isinstance(one, dict):
            texts = [str(one.get(name) or "") for name in ("pretext", "title", "text")]
            yield from texts if any(texts) else [_text(one, "fallback")]


def _block_texts(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from _block_texts(one)
    elif isinstance(node, dict):
        if isinstance(node.get("text"), str):
            yield node["text"]
        for name in ("text", "fields", "elements", "accessory"):
            if not isinstance(node.get(name), str):
                yield from _block_texts(node.get(name))
