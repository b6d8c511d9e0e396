"""Of each method: the scopes it needs, its rate tier, its kind of token, how it reads arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.slack_server.limits import Limits

Tier = Literal["tier_1", "tier_2", "tier_3", "tier_4", "special", "posts"]
READ = tuple(f"{prefix}:read" for prefix in ("channels", "groups", "im", "mpim"))
HISTORY = tuple(f"{prefix}:history" for prefix in ("channels", "groups", "im", "mpim"))


@dataclass(frozen=True, slots=True)
class Rule:
    """`scopes`: any of them is enough to call; what a single channel needs is checked later."""

    tier: Tier
    scopes: tuple[str, ...] = ()
    token: Literal["bot", "app", "none"] = "bot"
    takes_json: bool = True


WRITE = ("chat:write",)
RULES: dict[str, Rule] = {
    "api.test": Rule("tier_4", token="none"),
    "auth.test": Rule("special"),
    "auth.revoke": Rule("tier_3"),
    "apps.connections.open": Rule("tier_1", ("connections:write",), token="app"),
    "oauth.v2.access": Rule("tier_4", token="none", takes_json=False),
    "team.info": Rule("tier_3", ("team:read",), takes_json=False),
    "bots.info": Rule("tier_3", ("users:read",), takes_json=False),
    "chat.postMessage": Rule("posts", WRITE),
    "chat.postEphemeral": Rule("tier_4", WRITE),
    "chat.update": Rule("tier_3", WRITE),
    "chat.delete": Rule("tier_3", WRITE),
    "chat.getPermalink": Rule("special", takes_json=False),
    "conversations.replies": Rule("tier_3", HISTORY, takes_json=False),
    "conversations.history": Rule("tier_3", HISTORY, takes_json=False),
    "conversations.info": Rule("tier_3", READ, takes_json=False),
    "conversations.list": Rule("tier_2", READ, takes_json=False),
    "conversations.members": Rule("tier_4", READ, takes_json=False),
    "conversations.join": Rule("tier_3", ("channels:join",)),
    "conversations.open": Rule("tier_3", ("im:write", "mpim:write")),
    "users.info": Rule("tier_4", ("users:read",), takes_json=False),
    "users.list": Rule("tier_2", ("users:read",), takes_json=False),
    "usergroups.list": Rule("tier_2", ("usergroups:read",), takes_json=False),
    "usergroups.users.list": Rule("tier_2", ("usergroups:read",), takes_json=False),
    "views.open": Rule("tier_4"),
    "views.push": Rule("tier_4"),
    "views.update": Rule("tier_4"),
    "views.publish": Rule("tier_4"),
    "reactions.add": Rule("tier_3", ("reactions:write",)),
    "reactions.remove": Rule("tier_2", ("reactions:write",)),
    "reactions.get": Rule("tier_3", ("reactions:read",), takes_json=False),
    "files.getUploadURLExternal": Rule("tier_4", ("files:write",), takes_json=False),
    "files.completeUploadExternal": Rule("tier_4", ("files:write",)),
    "files.info": Rule("tier_4", ("files:read",), takes_json=False),
    "files.delete": Rule("tier_3", ("files:write",)),
    "agents.sessions.setStatus": Rule("tier_3", WRITE),
    "agents.sessions.rename": Rule("tier_3", WRITE),
}
EVENT_SCOPES: dict[str, tuple[str, ...]] = {
    "app_mention": ("app_mentions:read",),
    "message.channels": ("channels:history",),
    "message.groups": ("groups:history",),
    "message.im": ("im:history",),
    "message.mpim": ("mpim:history",),
    "reaction_added": ("reactions:read",),
    "reaction_removed": ("reactions:read",),
    "channel_archive": ("channels:read",),
    "channel_unarchive": ("channels:read",),
    "channel_left": ("channels:read",),
    "group_left": ("groups:read",),
    "member_joined_channel": ("channels:read", "groups:read"),
    "file_shared": ("files:read",),
}
"""What a subscribed event needs besides; an event that is not here needs nothing."""


def a_minute(limits: Limits, tier: Tier) -> int:
    """Return how many calls a minute a tier allows, per workspace and app."""
    return {
        "tier_1": limits.tier_1,
        "tier_2": limits.tier_2,
        "tier_3": limits.tier_3,
        "tier_4": limits.tier_4,
        "special": limits.special,
        "posts": limits.posts_a_minute,
    }[tier]
