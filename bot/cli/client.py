"""Speaks to a running bot over its HTTP API, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from bot.access import DEMO_DIR, Server, read_server
from config.settings import Settings

TIMEOUT_S = 15.0


class ClientError(Exception):
    """The bot could not be asked, or refused; the message says what to do."""


class UnreachableError(ClientError):
    """The bot does not answer now; it may be starting again."""


@dataclass(frozen=True, slots=True)
class Client:
    """A person's access to one bot."""

    server: Server

    def get(self, path: str, **params: Any) -> Any:
        """Return the JSON that the bot answers."""
        return self._send("GET", path, params=params)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send JSON and return the JSON that the bot answers."""
        return self._send("POST", path, json=body)

    def address(self, url: str) -> str:
        """Return a link that the bot gave as a full address."""
        return f"{self.server.url}{url}" if url.startswith("/") else url

    def _send(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = httpx.request(
                method,
                f"{self.server.url}{path}",
                headers=self._headers(),
                timeout=TIMEOUT_S,
                **options,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        if response.is_error:
            raise ClientError(_sentence(response))
        try:
            return response.json()
        except ValueError as error:
            raise ClientError(
                f"What answers at {self.server.url} is not Muster; check MUSTER_SERVER_URL."
            ) from error

    def _unreachable(self, error: Exception) -> UnreachableError:
        return UnreachableError(
            f"No bot answers at {self.server.url} ({error}); start it with: muster up"
        )

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.token}"}


def find_server(settings: Settings) -> Server:
    """Return the bot of this state directory, or of its demo; ClientError when none was started.

    MUSTER_SERVER_URL and MUSTER_TOKEN name another one. The token of the local bot is for the
    local bot alone: no other server gets to see it.
    """
    found = read_server(settings.state_dir) or read_server(settings.state_dir / DEMO_DIR)
    url = settings.server_url or (found.url if found else "")
    given = settings.token.get_secret_value() if settings.token else ""
    if not url:
        raise ClientError(
            f"No bot was started in {settings.state_dir}. Start one with `muster up` or `make "
            "demo`, or set MUSTER_SERVER_URL and MUSTER_TOKEN to speak to another."
        )
    if given:
        return Server(url, given)
    if found is None or url.rstrip("/") != found.url:
        raise ClientError(
            f"MUSTER_TOKEN is not set: give it your token for {url}, or unset MUSTER_SERVER_URL "
            "to speak to the bot on this machine."
        )
    return found


def _sentence(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        body = None
    found = body if isinstance(body, dict) else {}
    sentence = " ".join(str(found[key]) for key in ("error", "hint") if found.get(key))
    choices = [str(choice) for choice in found.get("choices") or ()]
    return "\n  - ".join([sentence or f"The bot answered {response.status_code}.", *choices])
