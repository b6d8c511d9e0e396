"""How Slack writes down what it has: messages, users, channels, views, and what wraps events."""

from __future__ import annotations

from tests.slack_server.state import (
    CHANNEL_TYPE,
    App,
    Channel,
    File,
    Group,
    Json,
    Message,
    Team,
    User,
    View,
)

TOMBSTONE = "This message was deleted."


def message_json(team: Team, message: Message, *, has_metadata: bool = False) -> Json:
    """Return a message as the Web API lists it."""
    body: Json = {
        "type": "message",
        "user": message.user,
        "ts": message.ts,
        "text": message.text,
        "team": message.user_team or team.id,
    }
    if message.blocks:
        body["blocks"] = message.blocks
    if message.subtype:
        body["subtype"] = message.subtype
    if message.bot_id:
        body["bot_id"] = message.bot_id
        body["app_id"] = message.app_id
        body["bot_profile"] = {"id": message.bot_id, "app_id": message.app_id, "name": "muster"}
    if message.username:
        body["username"] = message.username
    if message.edited_ts:
        body["edited"] = {"user": message.user, "ts": message.edited_ts}
    if message.files:
        body["files"] = [file_json(team, team.files[key], "") for key in message.files]
    if message.reactions:
        body["reactions"] = reactions_json(message)
    if has_metadata and message.metadata:
        body["metadata"] = message.metadata
    replies = team.replies(message.channel, message.ts) if not message.is_reply else []
    if message.is_reply:
        body["thread_ts"] = message.thread_ts
        root = team.messages.get(message.channel, {}).get(message.thread_ts)
        body["parent_user_id"] = root.user if root else ""
    elif replies:
        body["thread_ts"] = message.ts
        body["reply_count"] = len(replies)
        body["reply_users"] = sorted({reply.user for reply in replies})
        body["reply_users_count"] = len(body["reply_users"])
        body["latest_reply"] = replies[-1].ts
        body["subscribed"] = False
    if message.is_deleted:
        body |= {"subtype": "tombstone", "text": TOMBSTONE, "user": "USLACKBOT", "hidden": True}
        body.pop("blocks", None)
    return body


def reactions_json(message: Message) -> list[Json]:
    """Return a message's reactions."""
    return [
        {"name": name, "users": list(users), "count": len(users)}
        for name, users in message.reactions.items()
    ]


def user_json(team: Team, user: User, *, has_email: bool) -> Json:
    """Return a user; people of other workspaces are strangers, unless they share a channel."""
    is_here = any(one.is_shared and user.id in one.members for one in team.channels.values())
    profile: Json = {"real_name": user.name, "display_name": user.name.lower()}
    if has_email and user.email:
        profile["email"] = user.email
    if user.bot_id:
        profile["bot_id"] = user.bot_id
    return {
        "id": user.id,
        "team_id": user.team,
        "name": user.name.lower(),
        "real_name": user.name,
        "deleted": user.is_deleted,
        "tz": "Etc/UTC",
        "tz_offset": 0,
        "profile": profile,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "is_admin": False,
        "is_restricted": user.is_guest or user.is_single_guest,
        "is_ultra_restricted": user.is_single_guest,
        "is_stranger": user.team != team.id and not is_here,
    }


def channel_json(team: Team, channel: Channel) -> Json:
    """Return a conversation."""
    body: Json = {
        "id": channel.id,
        "is_channel": channel.kind == "public",
        "is_group": channel.kind == "private",
        "is_im": channel.kind == "im",
        "is_mpim": channel.kind == "mpim",
        "is_private": channel.kind != "public",
        "is_archived": channel.is_archived,
        "is_member": team.bot_user in channel.members,
        "is_shared": channel.is_shared,
        "is_ext_shared": channel.is_shared,
        "is_org_shared": False,
        "context_team_id": team.id,
        "num_members": len(channel.members),
    }
    if channel.kind == "im":
        body["user"] = next(iter(channel.members - {team.bot_user}), "")
    else:
        body |= {"name": channel.name, "name_normalized": channel.name}
        body |= {"topic": {"value": ""}, "purpose": {"value": ""}}
    return body


def group_json(team: Team, group: Group, *, has_users: bool) -> Json:
    """Return a user group."""
    body: Json = {
        "id": group.id,
        "team_id": team.id,
        "is_usergroup": True,
        "name": group.handle,
        "handle": group.handle,
        "date_delete": 1 if group.is_disabled else 0,
        "user_count": len(group.users),
    }
    if has_users:
        body["users"] = list(group.users)
    return body


def file_json(team: Team, file: File, base: str) -> Json:
    """Return a file; its content takes the token."""
    path = f"{base}/files-pri/{team.id}/{file.id}/{file.name}"
    return {
        "id": file.id,
        "name": file.name,
        "title": file.title or file.name,
        "mimetype": file.mimetype,
        "filetype": file.name.rpartition(".")[2],
        "size": file.size,
        "user": file.user,
        "mode": "hosted",
        "is_external": False,
        "url_private": path,
        "url_private_download": path,
        "permalink": f"{base}/files/{file.id}",
        "channels": list(file.channels),
    }


def view_json(team: Team, app: App, view: View) -> Json:
    """Return a view."""
    payload = view.payload
    return {
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        "clear_on_close": False,
        "notify_on_close": False,
        "submit": None,
        "close": None,
        "title": {"type": "plain_text", "text": "View Title", "emoji": True},
        **payload,
        "id": view.id,
        "team_id": team.id,
        "app_id": app.id,
        "app_installed_team_id": team.id,
        "bot_id": team.bot_id,
        "hash": view.hash,
        "root_view_id": view.root_id,
        "previous_view_id": view.previous_id or None,
        "state": {"values": {}},
    }


def message_event(team: Team, channel: Channel, message: Message, base: str) -> Json:
    """Return the event of a new message."""
    event = message_json(team, message)
    for key in ("reply_count", "reply_users", "reply_users_count", "latest_reply", "subscribed"):
        event.pop(key, None)
    if not message.is_reply:
        event.pop("thread_ts", None)
    if message.files:
        event["files"] = [file_json(team, team.files[key], base) for key in message.files]
    if channel.is_shared and message.user_team:
        event |= {"user_team": message.user_team, "source_team": message.user_team}
    kind = CHANNEL_TYPE[channel.kind]
    return event | {"channel": channel.id, "channel_type": kind, "event_ts": message.ts}


def event_callback(
    app: App, team: Team, event: Json, event_id: str, at: float, *, is_shared: bool
) -> Json:
    """Wrap an event as the Events API does."""
    authorization = {
        "enterprise_id": None,
        "team_id": team.id,
        "user_id": team.bot_user,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": app.verification,
        "team_id": team.id,
        "context_team_id": team.id,
        "api_app_id": app.id,
        "event": event,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": int(at),
        "authorizations": [authorization],
        "is_ext_shared_channel": is_shared,
        "event_context": f"4-{event_id}",
    }


def interaction(app: App, team: Team, user: User, kind: str) -> Json:
    """Return what all interactions begin with."""
    return {
        "type": kind,
        "token": app.verification,
        "api_app_id": app.id,
        "team": {"id": team.id, "domain": team.domain},
        "user": {
            "id": user.id,
            "username": user.name.lower(),
            "name": user.name.lower(),
            "team_id": user.team,
        },
        "enterprise": None,
        "is_enterprise_install": False,
    }
