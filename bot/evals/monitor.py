"""A loopback server that the real tools read recorded worlds from: Prometheus, and outlets.

It runs in threads of its own, since some tools block theirs.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

MAX_POINTS = 11_000
MAX_BODY_BYTES = 1_048_576
BACKLOG = 256
"""Cases ask at the same moment; a connection that finds no room tries again after a second."""
OUTLETS = "outlets"

Reading = Callable[[str, float], "float | None"]
"""The value of a query at a Unix time; KeyError when the monitoring system is down."""


class Monitor:
    """Serves any number of worlds, each under a path of its own."""

    def __init__(self) -> None:
        self._worlds: dict[str, Reading] = {}
        self._server = _Server(self._worlds)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, world: str, reading: Reading) -> str:
        """Serve a world; returns its base address."""
        self._worlds[world] = reading
        return f"http://127.0.0.1:{self._server.server_port}/{world}"

    def remove(self, world: str) -> None:
        """Serve it no more."""
        self._worlds.pop(world, None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, worlds: dict[str, Reading]) -> None:
        self.worlds = worlds
        super().__init__(("127.0.0.1", 0), _Desk)


class _Desk(BaseHTTPRequestHandler):
    """Answers one request; the path is `/<world>/<what is asked>`."""

    server: _Server

    def do_GET(self) -> None:
        """Answer a range query as Prometheus does."""
        parts = urlsplit(self.path)
        world, _, what = parts.path.strip("/").partition("/")
        reading = self.server.worlds.get(world)
        if reading is None or what != "api/v1/query_range":
            self._answer(404, {"status": "error", "error": "there is nothing here"})
            return
        asked = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        try:
            points = _points(reading, asked)
        except KeyError:
            self._answer(503, {"status": "error", "error": "the recorded monitor is down"})
            return
        result = [{"metric": {"query": asked["query"]}, "values": points}] if points else []
        data = {"resultType": "matrix", "result": result}
        self._answer(200, {"status": "success", "data": data})

    def do_POST(self) -> None:
        """Take what is sent to an outlet."""
        world, _, what = urlsplit(self.path).path.strip("/").partition("/")
        size = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(min(size, MAX_BODY_BYTES))
        is_known = world in self.server.worlds and what.startswith(f"{OUTLETS}/")
        self._answer(200 if is_known else 404, {"is_accepted": is_known})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Stay quiet."""

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _points(reading: Reading, asked: dict[str, str]) -> list[tuple[float, str]]:
    start, end, step = float(asked["start"]), float(asked["end"]), float(asked["step"])
    count = min(MAX_POINTS, int((end - start) / step) + 1)
    moments = (round(start + index * step, 3) for index in range(count))
    read = ((at, reading(asked["query"], at)) for at in moments)
    return [(at, f"{value:.10g}") for at, value in read if value is not None]
