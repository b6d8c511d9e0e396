"""`python -m bench.bare_bolt API_URL BOT_TOKEN APP_TOKEN`: a Bolt app that only acknowledges."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient


def bare_app(client: AsyncWebClient, token: str) -> AsyncApp:
    """Return an app that acknowledges every click and does nothing else."""
    app = AsyncApp(token=token, client=client)

    @app.action(re.compile(".*"))
    async def acknowledge(ack: Callable[[], Awaitable[object]]) -> None:
        await ack()

    return app


async def _serve(api_url: str, bot_token: str, app_token: str) -> None:
    client = AsyncWebClient(bot_token, base_url=api_url, retry_handlers=[])
    handler: Any = AsyncSocketModeHandler(bare_app(client, bot_token), app_token)  # no types
    await handler.connect_async()
    sys.stdout.write("connected\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*sys.argv[1:4]))
