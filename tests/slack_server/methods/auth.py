"""Tokens, installs and sockets: auth.*, oauth.*, apps.*, team.info, api.test."""

from __future__ import annotations

from tests.slack_server.ask import Ask
from tests.slack_server.errors import Refused
from tests.slack_server.state import Json


def test(ask: Ask) -> Json:
    """Say whose token it is."""
    team = ask.team
    return {
        "url": f"https://{team.domain}.slack.com/",
        "team": team.name,
        "team_id": team.id,
        "user": ask.bot.name,
        "user_id": team.bot_user,
        "bot_id": team.bot_id,
        "is_enterprise_install": False,
    }


def revoke(ask: Ask) -> Json:
    """Make the token useless, unless it is only a test."""
    if not ask.flag("test"):
        ask.token.is_revoked = True
    return {"revoked": not ask.flag("test")}


def connections_open(ask: Ask) -> Json:
    """Hand out the address of one socket."""
    ticket = ask.core.tickets.socket(ask.core.clock.age())
    return {"url": f"{ask.core.socket_url}/link/?ticket={ticket}&app_id={ask.core.app.id}"}


def team_info(ask: Ask) -> Json:
    """Describe the workspace."""
    team = ask.team
    return {"team": {"id": team.id, "name": team.name, "domain": team.domain}}


def oauth_access(ask: Ask) -> Json:
    """Exchange an install's code for the workspace's bot token."""
    core = ask.core
    if ask.text("client_id") != core.app.client_id:
        raise Refused("invalid_client_id")
    if ask.text("client_secret") != core.app.client_secret:
        raise Refused("bad_client_secret")
    now = core.clock.age()
    code = core.tickets.use_code(ask.text("code"), ask.text("redirect_uri"), now)
    team = core.teams[code.team]
    token = core.install(team, code.scopes)
    return {
        "access_token": token.value,
        "token_type": "bot",
        "scope": ",".join(sorted(token.scopes)),
        "bot_user_id": team.bot_user,
        "app_id": core.app.id,
        "team": {"id": team.id, "name": team.name},
        "enterprise": None,
        "is_enterprise_install": False,
        "authed_user": {"id": code.user},
    }


def api_test(ask: Ask) -> Json:
    """Answer with what was asked."""
    return {"args": {key: value for key, value in ask.args.items() if key != "token"}}


METHODS = {
    "api.test": api_test,
    "auth.test": test,
    "auth.revoke": revoke,
    "apps.connections.open": connections_open,
    "oauth.v2.access": oauth_access,
    "team.info": team_info,
}
