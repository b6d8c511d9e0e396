"""Bounded HTTP for tools on the standard library, which a child process imports quickly.

Three callers exist: queries to the monitoring systems that people configured (`get_json`), the
guarded tool `http.get`, which pins the address that was checked (`get_pinned`), and what is sent
to the outlets that people configured (`post_json`). Redirects are never followed here.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from agents.tool import ToolFailed, TransientError

QUERY_TIMEOUT_S = 10.0
MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_ERROR_CHARS = 300
PORTS = {"http": 80, "https": 443}
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_HEADERS = {"User-Agent": "muster", "Accept": "*/*"}


class NotSentError(OSError):
    """Nobody was there to take the request: it certainly had no effect."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; `is_cut` when the body was longer than allowed."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool = False


def get_text(url: str, params: Mapping[str, str] | None = None) -> str:
    """Return the body of a 200 answer from a configured address."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ToolFailed(f"{url} is not an http address; correct it in services.yaml")
    query = "&".join(part for part in (parts.query, urlencode(params or {})) if part)
    path = (parts.path or "/") + (f"?{query}" if query else "")
    where = f"{parts.scheme}://{parts.netloc}{parts.path}"
    try:
        response = get_pinned(
            parts.scheme,
            parts.hostname,
            parts.port or PORTS[parts.scheme],
            parts.hostname,
            path,
            timeout_s=QUERY_TIMEOUT_S,
            max_bytes=MAX_RESPONSE_BYTES,
        )
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"{where} did not answer ({error}); is it running?") from error
    text = response.body.decode("utf-8", "replace")
    if response.is_cut:
        raise ToolFailed(f"{where} answered with more than {MAX_RESPONSE_BYTES} bytes; ask less")
    if response.status != http.client.OK:
        reason = f"{where} answered {response.status}: {text[:MAX_ERROR_CHARS]}"
        raise (TransientError if response.status in TRANSIENT_STATUSES else ToolFailed)(reason)
    return text


def get_json(url: str, params: Mapping[str, str] | None = None) -> Any:
    """Return the JSON of a 200 answer from a configured address."""
    text = get_text(url, params)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ToolFailed(f"{url} did not answer with JSON; check the address") from error


def post_json(
    url: str, value: Any, headers: Mapping[str, str], *, timeout_s: float, max_bytes: int
) -> Response:
    """POST JSON to a configured address; NotSentError when it certainly did not arrive."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise ToolFailed(f"{url} is not an http address; correct it in services.yaml")
    port = parts.port or PORTS[parts.scheme]
    connection = _pinned(parts.scheme, parts.hostname, port, parts.hostname, timeout_s)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    sent = {**_HEADERS, "Content-Type": "application/json", **headers}
    try:
        try:
            connection.connect()
        except OSError as error:
            raise NotSentError(error) from error
        connection.request("POST", path, body=json.dumps(value).encode(), headers=sent)
        return _read(connection, max_bytes)
    finally:
        connection.close()


def get_pinned(
    scheme: str,
    host: str,
    port: int,
    address: str,
    path: str,
    *,
    timeout_s: float,
    max_bytes: int,
) -> Response:
    """GET from exactly that address, speaking to it as `host`; at most `max_bytes` of body."""
    connection = _pinned(scheme, host, port, address, timeout_s)
    try:
        connection.request("GET", path, headers=_HEADERS)
        return _read(connection, max_bytes)
    finally:
        connection.close()


def _pinned(
    scheme: str, host: str, port: int, address: str, timeout_s: float
) -> http.client.HTTPConnection:
    kind = _PinnedHttps if scheme == "https" else _PinnedHttp
    return kind(host, port, address, timeout_s)


def _read(connection: http.client.HTTPConnection, max_bytes: int) -> Response:
    answer = connection.getresponse()
    body = answer.read(max_bytes + 1)
    headers = {key.lower(): value for key, value in answer.getheaders()}
    return Response(answer.status, headers, body[:max_bytes], len(body) > max_bytes)


class _PinnedHttp(http.client.HTTPConnection):
    """Connects to a given address whatever the host name would resolve to."""

    def __init__(self, host: str, port: int, address: str, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self._address = address

    def connect(self) -> None:
        """Open the socket to the pinned address."""
        import socket

        self.sock = socket.create_connection((self._address, self.port), self.timeout)


class _PinnedHttps(http.client.HTTPSConnection):
    """Like `_PinnedHttp`; the certificate is still checked against the host name."""

    def __init__(self, host: str, port: int, address: str, timeout_s: float) -> None:
        self._tls = ssl.create_default_context()
        super().__init__(host, port, timeout=timeout_s, context=self._tls)
        self._address = address

    def connect(self) -> None:
        """Open the socket to the pinned address and the TLS session for the host name."""
        import socket

        plain = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
