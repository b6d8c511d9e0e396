"""Slack's Web API: one client per workspace, without retries of its own, errors in our words."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import aiohttp
from slack_sdk.oauth.installation_store.models.bot import Bot
from slack_sdk.web.async_client import AsyncWebClient

from bot.platforms.slack.errors import SlackRefusedError, translate

API_URL: Final = "https://slack.com/api/"
TIMEOUT_S: Final = 10.0
"""Of one call; a post's claim in the book lasts longer, see `book.CLAIM_S`."""
KEEP_TOKEN_S: Final = 60.0
"""How long a stored token is used without looking it up again."""


class FindsBots(Protocol):
    """The part of an installation store that is needed here."""

    def async_find_bot(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        is_enterprise_install: bool | None = False,
    ) -> Awaitable[Bot | None]:
        """Return the workspace's installation, or None."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the bot is in a workspace, and where that is."""

    team: str
    team_name: str
    url: str
    user: str
    bot: str


@dataclass(frozen=True, slots=True)
class _Known:
    client: AsyncWebClient
    until: float


@dataclass(slots=True)
class SlackClients:
    """The clients, by workspace. `bot_token` is that of the only one; else `installs` has them."""

    bot_token: str = field(default="", repr=False)
    installs: FindsBots | None = None
    api_url: str = API_URL
    timeout_s: float = TIMEOUT_S
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, _Known] = field(default_factory=dict, repr=False)
    _identities: dict[str, Identity] = field(default_factory=dict, repr=False)
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def for_team(self, team: str) -> AsyncWebClient:
        """Return the workspace's client; SlackRefusedError when the app is not installed there."""
        known = self._known.get(team)
        if known is not None and self.clock() < known.until:
            return known.client
        client = self._made(await self._token(team))
        self._known[team] = _Known(client, self.clock() + KEEP_TOKEN_S)
        return client

    async def call(self, team: str, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method and return its answer; arguments that are None are left out."""
        given = {name: value for name, value in arguments.items() if value is not None}
        client = await self.for_team(team)
        try:
            # A form and not JSON: several methods that only read do not look at JSON.
            answer = await client.api_call(method, data=_form(given))
        except Exception as error:
            translated = translate(error, method)
            if isinstance(translated, SlackRefusedError) and translated.is_of_team:
                self.forget(team)
            raise translated from error
        data = answer.data
        return data if isinstance(data, dict) else {}

    async def identity(self, team: str) -> Identity:
        """Return who the bot is in a workspace."""
        if team not in self._identities:
            found = await self.call(team, "auth.test")
            self._identities[team] = Identity(
                team=str(found.get("team_id", "")),
                team_name=str(found.get("team", "")),
                url=str(found.get("url", "")),
                user=str(found.get("user_id", "")),
                bot=str(found.get("bot_id", "")),
            )
        return self._identities[team]

    async def put(self, url: str, data: bytes) -> None:
        """Send a file's bytes to the address that Slack gave for it."""
        try:
            async with self._http().post(url, data=data) as response:
                if not response.ok:
                    raise SlackRefusedError("upload_failed", f"HTTP {response.status}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise translate(error, "upload") from error

    def forget(self, team: str) -> None:
        """Look the workspace's token up again: it was installed anew, or removed."""
        self._known.pop(team, None)
        self._identities.pop(team, None)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _token(self, team: str) -> str:
        if self.installs is not None and team:
            bot = await self.installs.async_find_bot(enterprise_id=None, team_id=team)
            if bot is not None and bot.bot_token:
                return str(bot.bot_token)
            if self.bot_token and (await self.identity("")).team != team:
                raise SlackRefusedError("not_installed")
        if not self.bot_token:
            raise SlackRefusedError("not_installed")
        return self.bot_token

    def _made(self, token: str) -> AsyncWebClient:
        # No retry handlers: the SDK's own would post a message twice when an answer is lost.
        return AsyncWebClient(
            token=token,
            base_url=self.api_url,
            timeout=math.ceil(self.timeout_s),
            session=self._http(),
            retry_handlers=[],
            user_agent_prefix="muster",
        )

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.timeout_s)
            )
        return self._session


def _form(arguments: dict[str, Any]) -> dict[str, str]:
    """Return arguments as a form carries them: what is not text as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in arguments.items()
    }
