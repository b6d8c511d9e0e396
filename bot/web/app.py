"""Build the web application from what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from bot.conversation import Conversation
from bot.web.api import approvals, goals, health, incidents, runs, threads, webhooks
from bot.web.console import forms, login, pages
from bot.web.console.frame import plain_page
from bot.web.console.render import STATIC, Templates
from bot.web.context import Web
from bot.web.deps import WebDeps
from bot.web.errors import BUG, UNAVAILABLE, WebError, as_json, is_machine, not_found, not_valid
from bot.web.guards import SignInNeeded
from bot.web.limits import RETRY_AFTER_S
from bot.web.live import Live
from bot.web.metrics import Metrics
from bot.web.middleware import BoundedBody, SecurityHeaders
from bot.web.people import People
from bot.web.rate import FailureLimit
from bot.web.sessions import Sessions
from jobs.observe import report_error
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

DESCRIPTION = (
    "Alerts and goals in, runs out. Authenticate with `Authorization: Bearer <token>`. "
    'Errors are `{"error": …, "hint": …}`.'
)
STATIC_CACHE = "public, max-age=31536000, immutable"
"""Pages name static files with a mark of their contents."""


class _Static(StaticFiles):
    """Static files that browsers keep."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = STATIC_CACHE
        return response


def create_app(deps: WebDeps) -> FastAPI:
    """Return the application. `app.state.live.close()` ends its event streams before a stop."""
    web = _web(deps)
    templates = Templates()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        reading = asyncio.create_task(web.live.run(), name="console-live")
        try:
            yield
        finally:
            web.live.close()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading

    def too_large(path: str) -> None:
        source = path.removeprefix("/webhooks/")
        if source != path:
            label = source if source in deps.sources else webhooks.UNKNOWN_SOURCE
            web.metrics.refused.labels(label, "too_large").inc()
        log.warning("body_too_large", path=path[:200])

    app = FastAPI(
        title="Muster",
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=[
            Middleware(SecurityHeaders, is_https=deps.is_https),
            Middleware(
                BoundedBody,
                webhook_limit=deps.webhook_body_limit_bytes,
                on_too_large=too_large,
            ),
        ],
    )
    app.state.live = web.live
    for resource in (webhooks, goals, threads, runs, approvals, incidents, health):
        app.include_router(resource.router(web))
    for part in (login, forms, pages):
        app.include_router(part.router(web, templates))
    for routes in deps.routers:
        app.include_router(routes)
    app.mount("/static", _Static(directory=STATIC), name="static")
    _answer_errors(app, templates)
    return app


def _web(deps: WebDeps) -> Web:
    people = People(deps.people, deps.environ)
    metrics = Metrics(deps.registry)
    return Web(
        deps=deps,
        people=people,
        sessions=Sessions(deps.secret_key, people, is_secure=deps.is_https),
        live=Live(deps.console, deps.desk.store, metrics.streams.set),
        metrics=metrics,
        login_limit=FailureLimit(deps.clock),
        conversation=Conversation(deps.desk, deps.clock),
    )


def _answer_errors(app: FastAPI, templates: Templates) -> None:
    """Make every error a sentence, as JSON or as a page."""

    def say(request: Request, error: WebError) -> Response:
        if is_machine(request.url.path):
            return as_json(error)
        if request.headers.get("hx-request") == "true":
            html = templates.render("_error_notice.html", error=error)
            return Response(html, media_type="text/html", headers=error.headers)
        response = plain_page(
            request,
            templates,
            "error.html",
            status_code=error.status,
            title=error.error,
            error=error,
        )
        response.headers.update(error.headers)
        return response

    async def on_web_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, WebError)  # noqa: S101 - narrows the type for mypy
        return say(request, error)

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - narrows the type for mypy
        if error.status_code == 404:
            return say(request, not_found(request))
        hint = "The addresses are in /api/openapi.json."
        return say(request, WebError(error.status_code, f"{error.detail}.", hint, error.headers))

    async def on_not_valid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows the type for mypy
        return say(request, not_valid(error))

    async def on_unavailable(request: Request, error: Exception) -> Response:
        log.warning("store_unavailable", path=request.url.path, error=str(error))
        headers = {"Retry-After": str(RETRY_AFTER_S)}
        return say(request, WebError(503, *UNAVAILABLE, headers))

    async def on_bug(request: Request, error: Exception) -> Response:
        report_error(error, path=_route_of(request))
        return say(request, WebError(500, *BUG))

    async def on_sign_in(request: Request, _: Exception) -> Response:
        address = login.login_address(request)
        if request.headers.get("hx-request") == "true":
            return Response(status_code=204, headers={"HX-Redirect": address})
        if request.url.path == "/console/events":
            return Response(status_code=204)  # tells EventSource not to try again
        return RedirectResponse(address, 303)

    app.add_exception_handler(WebError, on_web_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_not_valid)
    app.add_exception_handler(StoreUnavailableError, on_unavailable)
    app.add_exception_handler(SignInNeeded, on_sign_in)
    app.add_exception_handler(Exception, on_bug)


def _route_of(request: Request) -> str:
    """Return the path's pattern: the path itself may hold what is nobody's business."""
    return str(getattr(request.scope.get("route"), "path", ""))
