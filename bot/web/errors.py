"""What a client is told when something is wrong: `{"error": …, "hint": …}`, or a page."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse

MACHINE_PATHS = ("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics")


class WebError(Exception):
    """The request cannot be served; says why, and what to do next."""

    def __init__(
        self, status: int, error: str, hint: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.error = error
        self.hint = hint
        self.headers = dict(headers or {})
        super().__init__(error)


def is_machine(path: str) -> bool:
    """Whether a path is answered in JSON rather than with a page."""
    return path.startswith(MACHINE_PATHS)


def as_json(error: WebError) -> JSONResponse:
    """Return the error for a machine."""
    body = {"error": error.error, "hint": error.hint}
    return JSONResponse(body, status_code=error.status, headers=error.headers)


def not_valid(error: RequestValidationError) -> WebError:
    """Return a sentence for a body or a parameter of the wrong shape."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    return WebError(422, f"{where}: {first['msg']}", "The shapes are in /api/openapi.json.")


def not_found(request: Request) -> WebError:
    """Return what to say about an address that leads nowhere."""
    return WebError(404, f"There is nothing at {request.url.path}.", "Check the address.")


UNAVAILABLE = (
    "Muster cannot reach its store right now; nothing was changed.",
    "Send it again in a few seconds.",
)
BUG = (
    "Something went wrong inside Muster; it is in the log.",
    "Try again; if it stays so, report it with the lines from the log.",
)
