"""Who is asking: the person behind a bearer token or behind a session, as route dependencies."""

from __future__ import annotations

from starlette.requests import Request

from bot.web.context import Web
from bot.web.errors import WebError
from bot.web.sessions import CSRF_FIELD, CSRF_HEADER, Session
from jobs.state import Person

LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
SIGN_IN_HINT = "Send Authorization: Bearer <your token>; tokens are set in people.yaml."


class SignInNeeded(Exception):
    """A page was asked for by somebody who is not signed in."""


class Guards:
    """The dependencies that let a request through, or not."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def reader(self, request: Request) -> Person:
        """Return who may read: by bearer token or session."""
        token = bearer(request)
        if token is not None:
            return self._by_token(token)
        session = self._web.sessions.read(request)
        if session is None:
            raise _unauthorised("You are not signed in.")
        return session.person

    async def writer(self, request: Request) -> Person:
        """Return who may write: by bearer token, or by session with its CSRF token."""
        token = bearer(request)
        if token is not None:
            return self._by_token(token)
        session = self._web.sessions.read(request)
        if session is None:
            raise _unauthorised("You are not signed in.")
        if not session.owns(request.headers.get(CSRF_HEADER, "")):
            raise _forged()
        return session.person

    async def page(self, request: Request) -> Session:
        """Return the session of somebody who looks at a page; SignInNeeded without one."""
        session = self._web.sessions.read(request)
        if session is None:
            raise SignInNeeded
        return session

    async def form(self, request: Request) -> Session:
        """Return the session of somebody who sent a form of that session."""
        session = await self.page(request)
        token = request.headers.get(CSRF_HEADER, "")
        if not token:
            token = str((await request.form()).get(CSRF_FIELD, ""))
        if not session.owns(token):
            raise _forged()
        return session

    def _by_token(self, token: str) -> Person:
        name = self._web.people.by_token(token)
        person = self._web.people.get(name) if name else None
        if person is None:
            raise _unauthorised("This token belongs to nobody.")
        return person


def bearer(request: Request) -> str | None:
    """Return the bearer token of a request; None when it has no Authorization header."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def is_local(request: Request) -> bool:
    """Whether a program on this machine asks: not a proxy for others, not a page in a browser."""
    host = request.client.host if request.client else ""
    is_relayed = any(name in request.headers for name in (*PROXY_HEADERS, "origin"))
    return host in LOOPBACK and not is_relayed


def same_origin(request: Request) -> bool:
    """Whether a form was sent from one of our own pages, as far as the browser says."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or origin.split("://")[-1] == request.headers.get("host")


def _unauthorised(error: str) -> WebError:
    return WebError(401, error, SIGN_IN_HINT, {"WWW-Authenticate": "Bearer"})


def _forged() -> WebError:
    return WebError(
        403,
        "This form does not belong to your session.",
        "Reload the page and send it again.",
    )
