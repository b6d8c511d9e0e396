"""Installing the app in a workspace from the browser: from the link to the stored token."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import redis.asyncio as aioredis
from slack_bolt.error import BoltError
from slack_bolt.oauth.async_callback_options import (
    AsyncCallbackOptions,
    AsyncFailureArgs,
    AsyncSuccessArgs,
)
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.oauth.installation_store import Installation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient

from bot.platforms.slack.scopes import SCOPES
from jobs.reaching import reaching

STATE: Final = "muster:slack:state"
STATE_S: Final = 600
"""How long an install may take from the link to its end."""
STATE_BYTES: Final = 24
INSTALL_PATH: Final = "/slack/install"
REDIRECT_PATH: Final = "/slack/oauth_redirect"
PAGE: Final = (
    "<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=viewport "
    'content="width=device-width"><title>{title}</title><h1>{title}</h1><p>{text}</p></html>'
)
HTML: Final = {"Content-Type": "text/html; charset=utf-8"}


class MemoryStateStore(AsyncOAuthStateStore):
    """Remembers which installs were begun here, each good once: the in-memory twin."""

    def __init__(self) -> None:
        self._states: set[str] = set()

    async def async_issue(self, *args: Any, **kwargs: Any) -> str:
        """Return a new state."""
        state = secrets.token_urlsafe(STATE_BYTES)
        self._states.add(state)
        return state

    async def async_consume(self, state: str) -> bool:
        """Use a state up; whether it was good."""
        if state not in self._states:
            return False
        self._states.discard(state)
        return True


class RedisStateStore(AsyncOAuthStateStore):
    """States in Redis: another process may get the answer."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._client: Any = client

    @reaching
    async def async_issue(self, *args: Any, **kwargs: Any) -> str:
        """Return a new state."""
        state = secrets.token_urlsafe(STATE_BYTES)
        await self._client.set(f"{STATE}:{state}", "1", ex=STATE_S)
        return state

    @reaching
    async def async_consume(self, state: str) -> bool:
        """Use a state up; whether it was good."""
        return bool(await self._client.delete(f"{STATE}:{state}"))


@dataclass(frozen=True, slots=True)
class Credentials:
    """The app's own, and where its pages are."""

    client_id: str
    client_secret: str
    public_url: str
    api_url: str


def oauth_flow(
    credentials: Credentials,
    *,
    installs: AsyncInstallationStore,
    states: AsyncOAuthStateStore,
    installed: Callable[[str], None],
    teams: frozenset[str],
) -> AsyncOAuthFlow:
    """Return the flow for these workspaces; `installed` is told whose token is new.

    The link is open to everybody, and a group of approvers is known by its handle: a stranger's
    workspace could have one of the same name.
    """
    logger = logging.getLogger("slack_bolt")

    async def success(args: AsyncSuccessArgs) -> BoltResponse:
        installed(args.installation.team_id or "")
        name = args.installation.team_name or "your workspace"
        text = f"Muster is installed in {name}. Invite it to a channel: /invite @Muster"
        return _page(200, "Installed", text)

    async def failure(args: AsyncFailureArgs) -> BoltResponse:
        why = str(args.error) if isinstance(args.error, NotInvitedError) else args.reason
        text = f"Nothing was installed ({why}). Begin again at {INSTALL_PATH}."
        return _page(args.suggested_status_code, "Not installed", text)

    settings = AsyncOAuthSettings(
        client_id=credentials.client_id,
        client_secret=credentials.client_secret,
        scopes=sorted(SCOPES),
        redirect_uri=f"{credentials.public_url}{REDIRECT_PATH}",
        install_path=INSTALL_PATH,
        redirect_uri_path=REDIRECT_PATH,
        install_page_rendering_enabled=False,
        callback_options=AsyncCallbackOptions(success=success, failure=failure),
        authorization_url=authorize_url(credentials.api_url),
        installation_store=installs,
        state_store=states,
        state_expiration_seconds=STATE_S,
        logger=logger,
    )
    client = AsyncWebClient(base_url=credentials.api_url, retry_handlers=[])
    return _InvitedFlow(teams, client=client, logger=logger, settings=settings)


class NotInvitedError(BoltError):
    """The workspace is none of those that may install the app."""


class _InvitedFlow(AsyncOAuthFlow):
    """Keeps a token only of a workspace that was named in the settings."""

    def __init__(self, teams: frozenset[str], **options: Any) -> None:
        super().__init__(**options)
        self._teams = teams

    async def store_installation(
        self, request: AsyncBoltRequest, installation: Installation
    ) -> None:
        """Keep the token, or raise NotInvitedError and let it go."""
        if installation.team_id not in self._teams:
            raise NotInvitedError(
                f"the workspace {installation.team_id or 'of an organisation'} is not one of "
                "those that MUSTER_SLACK_TEAMS names"
            )
        await super().store_installation(request, installation)


def authorize_url(api_url: str) -> str:
    """Return where an install is approved: beside the API."""
    base = api_url.rstrip("/").removesuffix("/api")
    return f"{base}/oauth/v2/authorize"


def _page(status: int, title: str, text: str) -> BoltResponse:
    return BoltResponse(
        status=status, body=PAGE.format(title=escape(title), text=escape(text)), headers=dict(HTML)
    )
