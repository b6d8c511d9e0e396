"""slack-bolt's app: it checks signatures and speaks both transports; one middleware takes all.

Bolt dedupes nothing, and its listeners are tasks that nobody waits for. So a delivery goes to the
reception before Bolt would acknowledge it, and no listener is registered.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.error import BoltError
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.platforms.slack.receiving import NotKeptError, Reception

log = structlog.get_logger(__name__)

UNAVAILABLE: Final = 503
OWN: Final = frozenset({"url_verification"})
"""What Bolt answers by itself."""


def build_app(reception: Reception, signing_secret: str = "") -> AsyncApp:
    """Return the app. Without a signing secret it is for Socket Mode alone."""

    async def keep(req: AsyncBoltRequest, next_: Callable[[], Awaitable[Any]]) -> Any:
        if req.body.get("type") in OWN or "ssl_check" in req.body:
            return await next_()
        try:
            answer = await reception.take(req.body)
        except NotKeptError:
            return BoltResponse(status=UNAVAILABLE, body="")
        return BoltResponse(status=200, body=answer or "")

    logger = logging.getLogger("slack_bolt")
    logger.setLevel(logging.WARNING)
    return AsyncApp(
        name="muster",
        logger=logger,
        # Without a secret nothing is mounted that would need one; empty makes Bolt look around.
        signing_secret=signing_secret or "none",
        before_authorize=keep,
        authorize=_nobody,
    )


async def _nobody() -> AuthorizeResult:
    """Refuse: tokens are looked up when something is done, never for a delivery."""
    raise BoltError("deliveries are kept before Bolt looks for a token")
