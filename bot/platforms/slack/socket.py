"""Socket Mode under supervision: a socket that falls silent is replaced, whatever its client does.

The client reconnects by itself in most cases. It does not when a connection stays open and dead,
or when one of its own tasks has died; then all of it is thrown away and made anew.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app, send_async_response
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from jobs.observe import report_error

log = structlog.get_logger(__name__)

PING_S: Final = 10.0
SILENT_S: Final = 60.0
"""Slack pings every few seconds: after so long without a word nobody is there any more."""
LOOK_S: Final = 1.0
FIRST_BACKOFF_S: Final = 1.0
MAX_BACKOFF_S: Final = 60.0
CONNECT_S: Final = 30.0
CLOSE_S: Final = 3.0
DRAIN_LOOK_S: Final = 0.01
REFUSED: Final = frozenset({"invalid_auth", "not_authed", "token_revoked", "account_inactive"})
TASKS: Final = ("message_processor", "message_receiver", "current_session_monitor")


class SilentError(Exception):
    """Nothing was heard from Slack for too long, or nobody listens any more."""


class _Socket(aiohttp.ClientWebSocketResponse):
    """Notes when Slack last pinged: the client answers pings and tells nobody."""

    pinged_at: float = 0.0

    async def pong(self, message: bytes = b"") -> None:
        """Answer a ping."""
        self.pinged_at = time.monotonic()
        await super().pong(message)


class _Client(SocketModeClient):
    """Notes when something was last heard, and what is not acknowledged yet."""

    heard_at: float = 0.0
    under_way: int = 0

    async def enqueue_message(self, message: str) -> None:
        """Note that a message came."""
        self.heard_at = time.monotonic()
        await super().enqueue_message(message)

    async def run_message_listeners(self, message: dict[str, Any], raw_message: str) -> None:
        """Count what is not acknowledged, so that a stop can wait for it."""
        if message.get("type") == "disconnect":
            log.info("slack_socket_to_be_replaced", reason=str(message.get("reason", "")))
            if message.get("reason") == "warning":
                return  # The real one follows in a few seconds; this socket serves until then.
        self.under_way += 1
        try:
            await super().run_message_listeners(message, raw_message)
        finally:
            self.under_way -= 1

    @property
    def last_sign_at(self) -> float:
        """When Slack last gave a sign of life, on the monotonic clock."""
        session = self.current_session
        pinged_at = session.pinged_at if isinstance(session, _Socket) else 0.0
        return max(self.heard_at, pinged_at)


class Socket:
    """Keeps one socket open until cancelled. `web_client` makes what opens it."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        web_client: Callable[[], AsyncWebClient],
        *,
        ping_s: float = PING_S,
        silent_s: float = SILENT_S,
        look_s: float = LOOK_S,
        backoff_s: float = FIRST_BACKOFF_S,
    ) -> None:
        self._app = app
        self._token = app_token
        self._web_client = web_client
        self._ping_s = ping_s
        self._silent_s = silent_s
        self._look_s = look_s
        self._backoff_s = backoff_s
        self.restarts = 0
        """How often the client had to be made anew."""
        self.is_open = False

    async def run(self) -> None:
        """Serve the app until cancelled; every failure leads to a new connection."""
        wait_s = self._backoff_s
        while True:
            began = time.monotonic()
            try:
                await self._session()
            except SlackApiError as error:
                code = str(error.response.get("error", ""))
                level = log.error if code in REFUSED else log.warning
                level("slack_socket_refused", code=code, hint="check MUSTER_SLACK_APP_TOKEN")
            except (SilentError, aiohttp.ClientError, TimeoutError, OSError) as error:
                # An error of the connection may quote its address, and that holds a ticket.
                log.warning("slack_socket_lost", reason=type(error).__name__)
            except Exception as error:  # a bug in the client must not take the console with it
                log.exception("slack_socket_crashed")
                report_error(error)
            self.restarts += 1
            if time.monotonic() - began > MAX_BACKOFF_S:
                wait_s = self._backoff_s
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, MAX_BACKOFF_S)

    async def _session(self) -> None:
        """Hold one client until it shows no sign of life any more."""
        logger = logging.getLogger("slack_sdk.socket_mode")
        logger.setLevel(logging.ERROR)
        client: Any = _Client(  # half of its methods have no types
            app_token=self._token,
            logger=logger,
            web_client=self._web_client(),
            ping_interval=self._ping_s,
        )
        unused, client.aiohttp_client_session = (
            client.aiohttp_client_session,
            aiohttp.ClientSession(ws_response_class=_Socket),
        )
        await unused.close()
        client.socket_mode_request_listeners.append(self._serve)
        try:
            async with asyncio.timeout(CONNECT_S):
                client.wss_uri = await client.issue_new_wss_url()
                await client.connect()
            client.heard_at = time.monotonic()
            self.is_open = True
            log.info("slack_socket_open")
            while True:
                await asyncio.sleep(self._look_s)
                self._look(client)
        finally:
            self.is_open = False
            await _close(client)

    async def _serve(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        began = time.time()
        answer = await run_async_bolt_app(self._app, request)
        await send_async_response(client, request, answer, began)

    def _look(self, client: _Client) -> None:
        silent_s = time.monotonic() - client.last_sign_at
        if silent_s > self._silent_s:
            raise SilentError(f"silent for {silent_s:.0f} s")
        for name in TASKS:
            task = getattr(client, name)
            if task is not None and task.done() and not task.cancelled():
                raise SilentError(f"its {name} has ended")


async def _close(client: Any) -> None:
    """Let what was received be acknowledged, then close."""
    end = time.monotonic() + CLOSE_S
    while client.under_way or not client.message_queue.empty():
        if time.monotonic() > end:
            break
        await asyncio.sleep(DRAIN_LOOK_S)
    try:
        async with asyncio.timeout(CLOSE_S):
            await client.close()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        log.info("slack_socket_not_closed", reason=str(error) or type(error).__name__)
    finally:
        await client.aiohttp_client_session.close()
