"""What the app asks of a workspace, and why: used by the manifest, installs and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCOPES: Final[Mapping[str, str]] = {
    "app_mentions:read": "hear that somebody mentions it",
    "assistant:write": "show Slack's own sign that it works, with its Stop button",
    "channels:history": "read replies in threads, and messages that people point to",
    "channels:read": "find a channel by its name",
    "chat:write": "post and edit its cards",
    "commands": "offer /muster and shortcuts",
    "files:read": "read the files people attach",
    "files:write": "post charts and long answers",
    "groups:history": "read replies in private channels it is in",
    "groups:read": "find a private channel it is in by its name",
    "im:history": "read what people write to it directly",
    "im:read": "know its direct conversations",
    "im:write": "tell somebody directly what concerns them alone",
    "mpim:history": "read replies in group conversations it is in",
    "reactions:read": "hear of the emoji that lets it look into a message",
    "usergroups:read": "know who is in the groups that approve",
    "users:read": "know people's names, and who is a guest",
}
"""Scopes of the bot token, each with what it is needed for."""
OPTIONAL: Final = frozenset(
    {"assistant:write", "groups:history", "groups:read", "mpim:history", "usergroups:read"}
)
"""Without these some places or groups are out of reach, and all else works."""
APP_SCOPE: Final = "connections:write"
"""Of the app token, for Socket Mode."""
