"""The console's sessions: a signed cookie, and the CSRF token that belongs to it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from bot.web.limits import SESSION_S
from bot.web.people import People
from jobs.state import Person

COOKIE = "muster_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in."""

    person: Person
    csrf: str

    @property
    def mark(self) -> str:
        """What tells it from other sessions of the person; says nothing to whoever reads it."""
        return hashlib.sha256(self.csrf.encode()).hexdigest()

    def owns(self, token: str) -> bool:
        """Whether a form or a header carried this session's CSRF token."""
        return hmac.compare_digest(self.csrf.encode(), token.encode())


class Sessions:
    """Opens, recognises and closes sessions."""

    def __init__(self, secret_key: str, people: People, *, is_secure: bool) -> None:
        self._serializer = URLSafeTimedSerializer(secret_key, salt="muster.session")
        self._people = people
        self._is_secure = is_secure

    def open(self, response: Response, name: str) -> None:
        """Sign the person in."""
        value = {"p": name, "c": secrets.token_urlsafe(24), "s": self._people.stamp(name)}
        response.set_cookie(
            COOKIE,
            str(self._serializer.dumps(value)),
            max_age=SESSION_S,
            httponly=True,
            samesite="lax",
            secure=self._is_secure,
        )

    def close(self, response: Response) -> None:
        """Sign the person out."""
        response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=self._is_secure)

    def read(self, request: Request) -> Session | None:
        """Return the session of a request; None when there is none that still holds."""
        cookie = request.cookies.get(COOKIE, "")
        try:
            value: Any = self._serializer.loads(cookie, max_age=SESSION_S)
        except BadSignature:
            return None
        name = value.get("p", "")
        person = self._people.get(name)
        if person is None or value.get("s") != self._people.stamp(name):
            return None
        return Session(person, value.get("c", ""))
