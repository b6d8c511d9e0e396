"""The world outside: a page that people allowed, an inner place and a far one that nobody did."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

INNER = "127.0.0.1"
FAR = "127.0.0.2"
"""A loopback address that the set takes for one of the public internet."""


@dataclass(slots=True)
class Place:
    """One server and what reached it: path and body of each request."""

    host: str
    port: int = 0
    page: str = ""
    ways_out: dict[str, str] = field(default_factory=dict)
    """Where its paths redirect to."""
    hits: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as a URL."""
        return f"http://{self.address}"


@dataclass(frozen=True, slots=True)
class Outside:
    """All places. `allowed` and `outlet` are declared; `inner` and `far` are not."""

    allowed: Place
    outlet: Place
    inner: Place
    far: Place

    @property
    def names(self) -> dict[str, str]:
        """How payloads name the places."""
        return {
            "inner": self.inner.address,
            "inner_port": str(self.inner.port),
            "far": self.far.address,
            "allowed": self.allowed.address,
        }

    @property
    def unlisted_hits(self) -> list[str]:
        """What reached a place that nobody listed."""
        return [*self.inner.hits, *self.far.hits]

    def forget(self) -> None:
        """Begin anew."""
        for place in (self.allowed, self.outlet, self.inner, self.far):
            place.hits.clear()
            place.page = ""
        self.allowed.ways_out = {
            "/inside": f"{self.inner.url}/redirected",
            "/outside": f"{self.far.url}/redirected",
        }


class _Handler(BaseHTTPRequestHandler):
    """Serves its place's page and notes every request."""

    place: ClassVar[Place]

    def do_GET(self) -> None:
        """Give the page, or a redirect."""
        self.place.hits.append(self.path)
        target = self.place.ways_out.get(self.path.partition("?")[0])
        if target:
            self.send_response(302)
            self.send_header("Location", target)
            self.end_headers()
            return
        if self.path.startswith("/api/v1/"):
            self._answer(json.dumps(_series(self.path)).encode(), "application/json")
            return
        self._answer(self.place.page.encode(), "text/html; charset=utf-8")

    def do_POST(self) -> None:
        """Take a message."""
        size = int(self.headers.get("Content-Length", 0))
        self.place.hits.append(f"{self.path} {self.rfile.read(size).decode()}")
        self._answer(b"{}", "application/json")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _series(path: str) -> dict[str, object]:
    """Return what Prometheus says of one quiet series."""
    asked = parse_qs(urlsplit(path).query)
    start, end = float(asked["start"][0]), float(asked["end"][0])
    values = [[start + (end - start) * part / 10, "1"] for part in range(10)]
    result = [{"metric": {}, "values": values}]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


@contextmanager
def outside() -> Iterator[Outside]:
    """Run the servers."""
    with ExitStack() as stack:
        inner, far = (stack.enter_context(_served(Place(host))) for host in (INNER, FAR))
        allowed, outlet = (stack.enter_context(_served(Place(INNER))) for _ in range(2))
        yield Outside(allowed, outlet, inner, far)


@contextmanager
def _served(place: Place) -> Iterator[Place]:
    handler = type("Handler", (_Handler,), {"place": place})
    with ThreadingHTTPServer((place.host, 0), handler) as server:
        place.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield place
        finally:
            server.shutdown()
            thread.join()
