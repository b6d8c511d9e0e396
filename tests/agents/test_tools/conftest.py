"""A small HTTP server on loopback that answers as told, and worlds that point at it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from agents.tool import ToolContext
from config.specs import ServicesFile

NOW = 1_800_000_000.0

Answer = tuple[int, dict[str, str], bytes]


@dataclass(slots=True)
class Site:
    """The server: each path's answer, made from its query, and what was asked."""

    url: str
    routes: dict[str, Callable[[dict[str, str]], Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def serves(
        self,
        path: str,
        body: str | bytes,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer a path with a fixed body."""
        data = body.encode() if isinstance(body, str) else body
        self.routes[path] = lambda query: (status, headers or {}, data)

    def serves_series(self, series: dict[str, list[tuple[float, float]]]) -> None:
        """Answer like Prometheus with these series by query."""

        def answer(query: dict[str, str]) -> Answer:
            start, end = float(query["start"]), float(query["end"])
            values = [[at, str(v)] for at, v in series[query["query"]] if start <= at <= end]
            result = [{"metric": {}, "values": values}] if values else []
            body: dict[str, Any] = {
                "status": "success",
                "data": {"resultType": "matrix", "result": result},
            }
            return 200, {}, json.dumps(body).encode()

        self.routes["/api/v1/query_range"] = answer


@pytest.fixture
def site() -> Iterator[Site]:
    """Run a server for one test."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            found.asked.append(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            route = found.routes.get(parts.path)
            status, headers, body = route(query) if route else (404, {}, b"nothing here")
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Site(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def world(**services: dict[str, Any]) -> ToolContext:
    """Return a context with these services."""
    return ToolContext(world=ServicesFile.model_validate({"services": services}), now=NOW)


def measured(site: Site, **more: Any) -> dict[str, Any]:
    """Return a service with an error ratio and a latency read from the site."""
    return {
        "metrics": {
            "prometheus": site.url,
            "indicators": {
                "error_ratio": {"query": "errors", "unit": "ratio", "floor": 0.02},
                "request_rate": {
                    "query": "rate",
                    "unit": "per_second",
                    "bad": "low",
                    "floor": 1.0,
                },
            },
        },
        **more,
    }


def line_of(value: float, seconds: int = 120, until: float = NOW) -> list[tuple[float, float]]:
    """Return a flat series."""
    return [(until - seconds + i, value) for i in range(seconds + 1)]
