"""HTTP mode: signed requests to the app's address."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

import aiohttp

from tests.slack_server.core import Core
from tests.slack_server.deliveries import Attempt, Delivery
from tests.slack_server.state import Json

OK = 200


@dataclass(slots=True)
class HttpEvents:
    """Posts deliveries to `url`. `is_forged`: with a signature that does not fit."""

    core: Core
    url: str
    is_forged: bool = False
    _session: aiohttp.ClientSession | None = None

    async def send(self, delivery: Delivery, attempt: Attempt) -> Json | None:
        """Post one attempt; a 200 within 3 s acknowledges it."""
        body, kind = _body(delivery)
        headers = self.signed(body) | {"Content-Type": kind}
        if attempt.number:
            headers["X-Slack-Retry-Num"] = str(attempt.number)
            headers["X-Slack-Retry-Reason"] = attempt.reason
        attempt.via = self.url
        try:
            status, text, last = await asyncio.wait_for(
                self._post(body, headers), self.core.limits.ack_s
            )
        except TimeoutError:
            attempt.error = "http_timeout"
            return None
        except aiohttp.ClientError:
            attempt.error = "connection_failed"
            return None
        self.core.touched += 1
        if status != OK:
            attempt.error, attempt.is_last = "http_error", last
            return None
        attempt.took_s = time.monotonic() - attempt.sent_at
        return _answer(text)

    async def verify(self) -> bool:
        """Ask the app to prove that the address is its own, as the settings page does."""
        challenge = self.core.new_id("challenge-")
        payload = {"type": "url_verification", "challenge": challenge}
        body = json.dumps(payload | {"token": self.core.app.verification}).encode()
        headers = self.signed(body) | {"Content-Type": "application/json"}
        status, text, _ = await self._post(body, headers)
        return status == OK and challenge in text

    def signed(self, body: bytes) -> dict[str, str]:
        """Return the headers that prove who sends this body, and when."""
        stamp = str(int(self.core.clock.wall()))
        secret = "forged" if self.is_forged else self.core.app.signing_secret
        base = b":".join((b"v0", stamp.encode(), body))
        signature = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
        return {
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signature}",
            "User-Agent": "Slackbot 1.0",
        }

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, bool]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        async with self._session.post(self.url, data=body, headers=headers) as response:
            is_last = response.headers.get("X-Slack-No-Retry") == "1"
            return response.status, await response.text(), is_last


def _body(delivery: Delivery) -> tuple[bytes, str]:
    if delivery.kind == "events_api":
        return json.dumps(delivery.payload).encode(), "application/json"
    fields = delivery.payload
    if delivery.kind == "interactive":
        fields = {"payload": json.dumps(delivery.payload)}
    return urlencode(fields).encode(), "application/x-www-form-urlencoded"


def _answer(text: str) -> Json:
    try:
        body = json.loads(text) if text else {}
    except ValueError:
        return {"text": text}
    return body if isinstance(body, dict) else {"text": text}
