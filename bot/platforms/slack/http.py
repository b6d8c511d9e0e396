"""Slack over HTTP: one signed address for all that comes, and the pages of an install."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from slack_bolt.adapter.starlette.async_handler import (
    AsyncSlackRequestHandler,
    to_async_bolt_request,
    to_starlette_response,
)
from slack_bolt.async_app import AsyncApp
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from starlette.requests import Request
from starlette.responses import Response

from bot.platforms.slack.oauth import INSTALL_PATH, REDIRECT_PATH

EVENTS_PATH: Final = "/slack/events"


def router(app: AsyncApp, oauth: AsyncOAuthFlow | None = None) -> APIRouter:
    """Return the routes; without `oauth` nothing can be installed from the browser."""
    routes = APIRouter(include_in_schema=False)
    handler = AsyncSlackRequestHandler(app)

    @routes.post(EVENTS_PATH)
    async def events(request: Request) -> Response:
        return await handler.handle(request)

    if oauth is None:
        return routes
    flow = oauth

    @routes.get(INSTALL_PATH)
    async def install(request: Request) -> Response:
        asked = to_async_bolt_request(request, await request.body())
        return to_starlette_response(await flow.handle_installation(asked))

    @routes.get(REDIRECT_PATH)
    async def redirect(request: Request) -> Response:
        asked = to_async_bolt_request(request, await request.body())
        return to_starlette_response(await flow.handle_callback(asked))

    return routes
