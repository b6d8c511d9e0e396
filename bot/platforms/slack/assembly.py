"""Puts Slack together: outward first, because runs need a platform; inward once there is a desk."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis
import structlog
from fastapi import APIRouter
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.conversation import Conversation
from bot.desk import Desk
from bot.platforms.port import Platform, PlatformError
from bot.platforms.slack.adapter import SlackPlatform
from bot.platforms.slack.answering import Answering
from bot.platforms.slack.app import build_app
from bot.platforms.slack.attachments import Attachments
from bot.platforms.slack.book import Book, RedisBook
from bot.platforms.slack.charts import ReadData
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.health import RedisTroubleStore, Troubles
from bot.platforms.slack.heard import Heard
from bot.platforms.slack.http import router
from bot.platforms.slack.inbox import Inbox, RedisInbox
from bot.platforms.slack.installs import InstallationStore, RedisInstallationStore, Seal
from bot.platforms.slack.listening import Listening
from bot.platforms.slack.oauth import Credentials, RedisStateStore, oauth_flow
from bot.platforms.slack.people import SlackPeople
from bot.platforms.slack.reach import Health, Reach
from bot.platforms.slack.receiving import Reception
from bot.platforms.slack.socket import Socket
from bot.platforms.slack.style import Style
from bot.platforms.slack.telling import Requester, Teller
from bot.platforms.slack.worker import Worker
from config.settings import Settings
from config.specs import PersonSpec

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outward:
    """What Slack is spoken to with."""

    clients: SlackClients
    people: SlackPeople
    book: Book
    platform: SlackPlatform
    troubles: Troubles
    installs: InstallationStore | None = None
    public_url: str = ""

    async def style(self, team: str) -> Style:
        """Return how a workspace is written to, beside its cards."""
        try:
            url = (await self.clients.identity(team)).url
        except PlatformError as error:
            log.info("slack_identity_unknown", team=team, reason=str(error))
            url = ""
        is_native = not await self.book.is_plain(team)
        return Style(is_native, self.public_url, url)

    async def forget(self, team: str, at: float) -> None:
        """Drop what is kept of a workspace: the app was removed from it then.

        Slack may tell of it late, when the app has been installed anew.
        """
        self.clients.forget(team)
        if self.installs is not None:
            bot = await self.installs.async_find_bot(enterprise_id=None, team_id=team)
            if bot is not None and bot.installed_at > at > 0:
                log.info("slack_removal_is_old", team=team)
                return
            await self.installs.async_delete_all(enterprise_id=None, team_id=team)

    async def aclose(self) -> None:
        """Close connections."""
        await self.platform.aclose()
        await self.clients.aclose()


@dataclass(frozen=True, slots=True)
class Inward:
    """What hears Slack: what came is taken by the worker; the socket or the routes bring it."""

    app: AsyncApp
    reception: Reception
    worker: Worker
    socket: Socket | None = None
    routes: APIRouter | None = None

    @property
    def chores(self) -> tuple[Callable[[], Coroutine[Any, Any, None]], ...]:
        """What has to run for as long as the process does."""
        return (self.worker.run, *([self.socket.run] if self.socket is not None else []))


def outward(
    settings: Settings,
    client: aioredis.Redis,
    *,
    console: Platform,
    people: Mapping[str, PersonSpec],
    read_data: ReadData,
    requester_of: Requester,
    secret: str,
) -> Outward:
    """Return what Slack is spoken to with; `secret` encrypts stored tokens."""
    installs = None
    if settings.slack_client_id is not None:
        installs = RedisInstallationStore(client, Seal(secret))
    token = settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else ""
    clients = SlackClients(token, installs, settings.slack_api_url)
    looked_up = SlackPeople(clients, people)
    book = RedisBook(client)
    troubles = Troubles(RedisTroubleStore(client))
    public_url = settings.public_url or ""
    platform = SlackPlatform(
        clients=clients,
        book=book,
        troubles=troubles,
        people=looked_up,
        read_data=read_data,
        public_url=public_url,
    )
    troubles.tell = Teller(platform, console, requester_of, public_url)
    return Outward(clients, looked_up, book, platform, troubles, installs, public_url)


def inward(
    settings: Settings,
    client: aioredis.Redis,
    spoken: Outward,
    *,
    desk: Desk,
    conversation: Conversation,
    health: Health,
    clock: Callable[[], float],
) -> Inward:
    """Return what hears Slack, over each transport that the settings name."""
    answering = Answering(spoken.clients)
    reach = Reach(
        desk=desk,
        conversation=conversation,
        people=spoken.people,
        clients=spoken.clients,
        attachments=Attachments(spoken.clients),
        answering=answering,
        style=spoken.style,
        clock=clock,
        health=health,
        forget=spoken.forget,
        emoji=settings.slack_emoji,
        is_many=settings.slack_client_id is not None,
    )
    return listen(settings, reach, RedisInbox(client), _flow(settings, client, spoken))


def listen(settings: Settings, reach: Reach, inbox: Inbox, oauth: Any = None) -> Inward:
    """Return what hears Slack, around an inbox."""
    listening = Listening(reach)

    async def sorry(heard: Heard, sentence: str) -> None:
        await reach.tell(heard, sentence)

    worker = Worker(inbox, listening.act, sorry, reach.clock)
    reception = Reception(
        inbox,
        check=listening.errors,
        clean=reach.desk.clean,
        news=worker.wake,
        clock=reach.clock,
        emoji=settings.slack_emoji,
    )
    signing = settings.slack_signing_secret
    app = build_app(reception, signing.get_secret_value() if signing else "")
    socket = None
    if settings.slack_app_token is not None:
        token = settings.slack_app_token.get_secret_value()
        socket = Socket(app, token, lambda: _web_client(settings))
    routes = router(app, oauth) if signing is not None else None
    return Inward(app, reception, worker, socket, routes)


def _web_client(settings: Settings) -> AsyncWebClient:
    return AsyncWebClient(base_url=settings.slack_api_url, retry_handlers=[])


def _flow(settings: Settings, client: aioredis.Redis, spoken: Outward) -> Any:
    id_, secret = settings.slack_client_id, settings.slack_client_secret
    if id_ is None or secret is None or spoken.installs is None:
        return None
    url = settings.public_url or ""
    credentials = Credentials(id_, secret.get_secret_value(), url, settings.slack_api_url)
    return oauth_flow(
        credentials,
        installs=spoken.installs,
        states=RedisStateStore(client),
        installed=spoken.clients.forget,
        teams=settings.slack_team_ids,
    )
