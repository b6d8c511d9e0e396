"""Users, user groups and bots: users.*, usergroups.*, bots.info."""

from __future__ import annotations

from tests.slack_server.ask import Ask, paged
from tests.slack_server.errors import Refused
from tests.slack_server.payloads import group_json, user_json
from tests.slack_server.state import Json

USERS_A_PAGE = 200


def user_info(ask: Ask) -> Json:
    """Describe a user."""
    has_email = "users:read.email" in ask.token.scopes
    return {"user": user_json(ask.team, ask.user(), has_email=has_email)}


def user_list(ask: Ask) -> Json:
    """List all users."""
    has_email = "users:read.email" in ask.token.scopes
    people = [user_json(ask.team, user, has_email=has_email) for user in ask.team.users.values()]
    items, cursor = ask.page(people, USERS_A_PAGE)
    return paged("members", items, cursor)


def group_list(ask: Ask) -> Json:
    """List the user groups."""
    has_users = ask.flag("include_users")
    return {
        "usergroups": [
            group_json(ask.team, group, has_users=has_users)
            for group in ask.team.groups.values()
            if ask.flag("include_disabled") or not group.is_disabled
        ]
    }


def group_users(ask: Ask) -> Json:
    """List who is in a user group."""
    group = ask.team.groups.get(ask.need("usergroup"))
    if group is None or (group.is_disabled and not ask.flag("include_disabled")):
        raise Refused("no_such_subteam")
    return {"users": list(group.users)}


def bot_info(ask: Ask) -> Json:
    """Describe a bot."""
    for user in ask.team.users.values():
        if user.bot_id and user.bot_id == ask.text("bot"):
            app_id = ask.core.app.id
            bot = {"id": user.bot_id, "user_id": user.id, "name": user.name, "app_id": app_id}
            return {"bot": bot | {"deleted": user.is_deleted}}
    raise Refused("bot_not_found")


METHODS = {
    "users.info": user_info,
    "users.list": user_list,
    "usergroups.list": group_list,
    "usergroups.users.list": group_users,
    "bots.info": bot_info,
}
