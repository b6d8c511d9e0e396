"""Signing in and out."""

from __future__ import annotations

import hmac
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.web.console.forms import local_path
from bot.web.console.frame import plain_page
from bot.web.console.render import Templates
from bot.web.context import Web
from bot.web.errors import WebError
from bot.web.guards import Guards, same_origin
from bot.web.limits import MAX_TOKEN_CHARS
from bot.web.sessions import Session
from jobs.state import Person

log = structlog.get_logger(__name__)


def router(web: Web, templates: Templates) -> APIRouter:
    """Return the routes for signing in and out."""
    routes = APIRouter(include_in_schema=False)
    guards = Guards(web)

    @routes.get("/login")
    async def form(
        request: Request,
        key: str = Query("", max_length=MAX_TOKEN_CHARS),
        person: str = Query("", max_length=64),
        target: str = Query("/", max_length=500, alias="next"),
    ) -> Response:
        offered = _demo_people(web, key)
        if person in dict(offered):
            return sign_in(request, person, target)
        return show(request, target, key=key if offered else "", offered=offered)

    @routes.post("/login")
    async def login(request: Request) -> Response:
        if not same_origin(request):
            raise WebError(403, "This form came from another site.", "Open /login here.")
        sent = await request.form()
        key, token = str(sent.get("key", "")), str(sent.get("token", "")).strip()
        target = str(sent.get("next", "/"))
        client = request.client.host if request.client else ""
        wait_s = web.login_limit.wait_s(client)
        if wait_s > 0:
            return show(
                request,
                target,
                error=f"Too many wrong tokens: try again in {int(wait_s) + 1} s.",
                status=429,
            )
        person = str(sent.get("person", ""))
        if person and person in dict(_demo_people(web, key)):
            return sign_in(request, person, target)
        name = web.people.by_token(token)
        if name is None:
            web.login_limit.failed(client)
            log.warning("login_failed", client=client)
            return show(
                request, target, error="This token belongs to nobody. Check it.", status=401
            )
        web.login_limit.succeeded(client)
        return sign_in(request, name, target)

    @routes.post("/logout")
    async def logout(session: Session = Depends(guards.form)) -> Response:
        response = RedirectResponse("/login", 303)
        web.sessions.close(response)
        web.live.end_session(session.mark)
        return response

    def sign_in(request: Request, name: str, target: str) -> Response:
        response = RedirectResponse(local_path(target), 303)
        web.sessions.open(response, name)
        log.info("signed_in", person=name)
        return response

    def show(
        request: Request,
        target: str,
        *,
        key: str = "",
        offered: list[tuple[str, Person]] | None = None,
        error: str = "",
        status: int = 200,
    ) -> Response:
        return plain_page(
            request,
            templates,
            "login.html",
            status_code=status,
            title="Sign in",
            next=local_path(target),
            key=key,
            offered=offered or [],
            error=error,
            has_tokens=web.people.has_tokens,
        )

    return routes


def login_address(request: Request) -> str:
    """Return where somebody who is not signed in is sent, and back from."""
    target = request.url.path if request.method == "GET" else "/"
    return f"/login?next={quote(target, safe='')}"


def _demo_people(web: Web, key: str) -> list[tuple[str, Person]]:
    """Return whom the demo's link lets one continue as; nobody without its key."""
    demo = web.deps.demo
    if demo is None or not demo.key or not hmac.compare_digest(demo.key.encode(), key.encode()):
        return []
    return [(name, person) for name in demo.people if (person := web.people.get(name))]
