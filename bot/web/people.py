"""Who may use the console and the API, and how their tokens are recognised."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from bot.platforms.console.adapter import NAME
from bot.web.limits import MAX_TOKEN_CHARS
from config.specs import PersonSpec
from jobs.state import Person


class People:
    """The people of people.yaml, by name and by token. Tokens are kept as their SHA-256 only."""

    def __init__(self, people: Mapping[str, PersonSpec], environ: Mapping[str, str]) -> None:
        self._people = {
            name: Person(f"{NAME}:{name}", spec.name, frozenset(spec.groups))
            for name, spec in people.items()
        }
        self._digests = {
            name: digests for name, spec in people.items() if (digests := _digests(spec, environ))
        }

    def get(self, name: str) -> Person | None:
        """Return the person of that name in people.yaml, or None."""
        return self._people.get(name)

    def by_token(self, token: str) -> str | None:
        """Return the name of the token's owner, or None; takes as long for any token."""
        if not token or len(token) > MAX_TOKEN_CHARS:
            return None
        given = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for name, digests in self._digests.items():
            for digest in digests:
                if hmac.compare_digest(digest, given):
                    found = name
        return found

    def stamp(self, name: str) -> str:
        """Return what a session is bound to: a changed token ends the sessions it opened."""
        return hashlib.sha256("".join(self._digests.get(name, ())).encode()).hexdigest()[:16]

    @property
    def has_tokens(self) -> bool:
        """Whether anybody can sign in with a token."""
        return bool(self._digests)


def _digests(spec: PersonSpec, environ: Mapping[str, str]) -> tuple[str, ...]:
    token = environ.get(spec.token_env, "") if spec.token_env else ""
    of_token = hashlib.sha256(token.encode()).hexdigest() if token else ""
    return tuple(digest for digest in (of_token, spec.token_sha256) if digest)
