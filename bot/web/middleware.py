"""What happens to every request: security headers out, a bounded body in."""

from __future__ import annotations

from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.web.errors import WebError, as_json
from bot.web.limits import MAX_BODY_BYTES

CSP = (
    "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
HSTS = "max-age=31536000"
_WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}


class SecurityHeaders:
    """Adds the headers that keep a browser from doing what the console never needs."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._headers = {**HEADERS, "Strict-Transport-Security": HSTS} if is_https else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and add to its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, add)


class BoundedBody:
    """Reads the body up to its limit before anything else sees the request; 413 beyond it."""

    def __init__(
        self, app: ASGIApp, *, webhook_limit: int, on_too_large: Callable[[str], None]
    ) -> None:
        self._app = app
        self._webhook_limit = webhook_limit
        self._on_too_large = on_too_large

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body already read."""
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        is_from_machine = path.startswith(("/webhooks/", "/slack/"))
        limit = self._webhook_limit if is_from_machine else MAX_BODY_BYTES
        body = await _read(Headers(scope=scope), receive, limit)
        if body is None:
            self._on_too_large(path)
            error = WebError(
                413, f"The body is larger than {limit} bytes.", "Send it in smaller parts."
            )
            error.headers["Connection"] = "close"
            await as_json(error)(scope, receive, send)
            return
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


async def _read(headers: Headers, receive: Receive, limit: int) -> bytes | None:
    """Return the whole body; None as soon as it turns out to be too large."""
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        return None
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if message["type"] != "http.request" or not message.get("more_body", False):
            return b"".join(parts)
