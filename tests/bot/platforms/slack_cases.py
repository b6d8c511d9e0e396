"""What the tests of the Slack server share: a server with people in it, and the real clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.slack_server import Limits, Message, SlackServer

QUICK = Limits(ack_s=0.15, retries_s=(0.02, 0.05), ping_every_s=0.05)
"""Times for tests that wait for what does not come."""
BUTTON: dict[str, Any] = {
    "type": "button",
    "action_id": "approve",
    "text": {"type": "plain_text", "text": "Approve"},
    "value": "a1:1",
}
CARD: list[dict[str, Any]] = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Restart checkout?*"}},
    {"type": "actions", "block_id": "decide", "elements": [BUTTON]},
]
MODAL: dict[str, Any] = {
    "type": "modal",
    "callback_id": "edit",
    "title": {"type": "plain_text", "text": "Edit"},
    "submit": {"type": "plain_text", "text": "Save"},
    "blocks": [
        {
            "type": "input",
            "block_id": "service",
            "label": {"type": "plain_text", "text": "Service"},
            "element": {"type": "plain_text_input", "action_id": "value", "max_length": 20},
        }
    ],
}


def peopled(server: SlackServer) -> SlackServer:
    """Return the server with Alice, Bob and two channels, one of them without the app."""
    server.user("U1", "Alice", groups=["S-oncall"], email="alice@acme.test")
    server.user("U2", "Bob")
    server.channel("C1", "incidents", members=["U1", "U2"])
    server.channel("C2", "random", members=["U1"], has_bot=False)
    return server


def client_of(server: SlackServer, token: str | None = None) -> AsyncWebClient:
    """Return the real web client, without retries of its own."""
    given = server.bot_token if token is None else token
    return AsyncWebClient(given, base_url=server.api_url, retry_handlers=[], timeout=5)


def app_of(server: SlackServer) -> AsyncApp:
    """Return a real Bolt app of the server."""
    return AsyncApp(client=client_of(server), signing_secret=server.app.signing_secret)


@asynccontextmanager
async def connected(
    server: SlackServer, app: AsyncApp, ping_interval: float = 10
) -> AsyncIterator[AsyncSocketModeHandler]:
    """Keep the app connected through one socket."""
    handler = AsyncSocketModeHandler(app, server.app_token, ping_interval=ping_interval)
    before = server.sockets.opened
    await handler.connect_async()  # type: ignore[no-untyped-call]
    await server.until(lambda: server.sockets.opened > before)
    try:
        yield handler
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


async def refused(call: Any) -> str:
    """Return the error with which Slack refuses a call."""
    try:
        await call
    except SlackApiError as error:
        return str(error.response["error"])
    return ""


def posted_by_app(server: SlackServer, channel: str = "C1") -> list[Message]:
    """Return what the app posted."""
    return [message for message in server.messages(channel) if message.user == server.bot_user]
