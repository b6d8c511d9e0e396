"""Whether Slack's settings fit together and its tokens are good, in plain sentences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import aiohttp
from pydantic import SecretStr
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.platforms.slack.errors import translate
from bot.platforms.slack.scopes import APP_SCOPE, OPTIONAL, SCOPES
from bot.platforms.slack.wanted import Problem, setting_problems
from config.settings import Settings, variable

CHECK_S: Final = 10


def scope_problems(granted: Iterable[str]) -> list[Problem]:
    """Return the scopes that a bot token lacks, each with what does not work without it."""
    have = set(granted)
    return [
        Problem(
            f"Slack: the bot token lacks the scope {scope} (to {why}). Add it to the app and "
            "install the app again.",
            is_fatal=scope not in OPTIONAL,
        )
        for scope, why in SCOPES.items()
        if scope not in have
    ]


async def check(settings: Settings) -> list[Problem]:
    """Return what is wrong: settings first; tokens are tried only when there are any."""
    found = setting_problems(settings)
    if settings.slack_bot_token is not None:
        found += await _bot_token(settings.slack_bot_token, settings.slack_api_url)
    if settings.slack_app_token is not None:
        found += await _app_token(settings.slack_app_token, settings.slack_api_url)
    return found


async def _bot_token(token: SecretStr, api_url: str) -> list[Problem]:
    client = _client(token, api_url)
    try:
        answer = await client.auth_test()
    except _FAILED as error:
        return [_said(error, variable("slack_bot_token"))]
    headers = {name.lower(): value for name, value in answer.headers.items()}
    granted = headers.get("x-oauth-scopes")
    if granted is None:
        return [Problem("Slack did not say which scopes the bot token has.", is_fatal=False)]
    return scope_problems(scope.strip() for scope in str(granted).split(","))


async def _app_token(token: SecretStr, api_url: str) -> list[Problem]:
    client = _client(token, api_url)
    try:
        await client.apps_connections_open(app_token=token.get_secret_value())
    except SlackApiError as error:
        if error.response.get("error") == "missing_scope":
            name = variable("slack_app_token")
            sentence = f"Slack: {name} lacks the scope {APP_SCOPE}: make a token that has it."
            return [Problem(sentence)]
        return [_said(error, variable("slack_app_token"))]
    except _FAILED as error:
        return [_said(error, variable("slack_app_token"))]
    return []


_FAILED = (SlackClientError, aiohttp.ClientError, TimeoutError, OSError)


def _said(error: Exception, name: str) -> Problem:
    if isinstance(error, SlackApiError) and error.response.get("error"):
        return Problem(f"{name} was refused. {translate(error)}")
    reason = str(error) or type(error).__name__
    return Problem(f"Slack cannot be reached ({reason}): {name} was not tried.", is_fatal=False)


def _client(token: SecretStr, api_url: str) -> AsyncWebClient:
    return AsyncWebClient(
        token=token.get_secret_value(), base_url=api_url, timeout=CHECK_S, retry_handlers=[]
    )
