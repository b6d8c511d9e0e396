"""`muster check` says what is wrong with Slack's settings and tokens, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from bot.platforms.slack.check import check, scope_problems
from bot.platforms.slack.scopes import SCOPES
from bot.platforms.slack.wanted import setting_problems
from config.settings import Settings
from tests.slack_server import SlackServer

KEY = SecretStr("k" * 32)


def settings(**fields: Any) -> Settings:
    """Return settings of Slack; texts become secrets where they have to."""
    secrets = {"slack_bot_token", "slack_app_token", "slack_signing_secret", "slack_client_secret"}
    given = {name: SecretStr(value) if name in secrets else value for name, value in fields.items()}
    return Settings(**given)


async def test_good_tokens_are_good(slack: SlackServer) -> None:
    """Nothing is said of them."""
    found = await check(
        settings(
            slack_bot_token=slack.bot_token,
            slack_app_token=slack.app_token,
            slack_api_url=slack.api_url,
        )
    )

    assert found == []


async def test_without_slack_nothing_is_tried() -> None:
    """Who does not use it hears nothing of it."""
    assert await check(settings()) == []


async def test_missing_scopes_are_named(slack: SlackServer) -> None:
    """Each with what does not work; what is only nice to have is a warning."""
    token = slack.install(set(SCOPES) - {"chat:write", "usergroups:read"})

    found = await check(
        settings(
            slack_bot_token=token, slack_app_token=slack.app_token, slack_api_url=slack.api_url
        )
    )

    assert [problem.is_fatal for problem in found] == [True, False]
    assert "chat:write" in str(found[0])
    assert str(found[1]).startswith("warning: ")


async def test_revoked_and_wrong_tokens_are_told_apart(slack: SlackServer) -> None:
    """The variable is named, never what it holds."""
    slack.revoke()

    found = await check(
        settings(
            slack_bot_token=slack.bot_token,
            slack_app_token="xapp-wrong",
            slack_api_url=slack.api_url,
        )
    )

    assert [problem.is_fatal for problem in found] == [True, True]
    assert "MUSTER_SLACK_BOT_TOKEN" in str(found[0])
    assert "revoked" in str(found[0])
    assert "MUSTER_SLACK_APP_TOKEN" in str(found[1])
    assert "xapp-wrong" not in str(found[1])


async def test_offline_is_only_a_warning() -> None:
    """The tokens may be good: a machine without network can still be checked."""
    found = await check(
        settings(
            slack_bot_token="xoxb-1",
            slack_app_token="xapp-1",
            slack_api_url="http://127.0.0.1:9/api/",
        )
    )

    assert [problem.is_fatal for problem in found] == [False, False]
    assert "was not tried" in str(found[0])


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"slack_bot_token": "xoxb-1"}, "MUSTER_SLACK_APP_TOKEN (Socket Mode)"),
        ({"slack_app_token": "xapp-1"}, "set MUSTER_SLACK_BOT_TOKEN"),
        ({"slack_client_id": "1.2", "slack_signing_secret": "s"}, "belong together"),
        (
            {
                "slack_client_id": "1.2",
                "slack_client_secret": "s",
                "slack_app_token": "xapp-1",
                "public_url": "https://m.example.com",
                "secret_key": KEY,
            },
            "MUSTER_SLACK_SIGNING_SECRET",
        ),
        (
            {"slack_client_id": "1.2", "slack_client_secret": "s", "slack_signing_secret": "s"},
            "MUSTER_PUBLIC_URL",
        ),
        ({"slack_client_id": "1.2", "slack_client_secret": "s"}, "MUSTER_SLACK_TEAMS"),
    ],
)
def test_settings_that_do_not_fit_together(fields: dict[str, Any], told: str) -> None:
    """The sentence names the variable to set."""
    found = setting_problems(settings(**fields))

    assert any(told in str(problem) for problem in found)
    assert all("docs/slack.md" in str(problem) for problem in found)


def test_all_scopes_are_enough() -> None:
    """More than what is needed does no harm."""
    assert scope_problems([*SCOPES, "admin"]) == []
