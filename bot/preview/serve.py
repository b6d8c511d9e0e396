"""The preview on a port of this machine: drawn again at each look."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from bot.preview.page import page_of

HOST: Final = "127.0.0.1"


def server_of(platform: str, port: int) -> ThreadingHTTPServer:
    """Return a server of the page; `serve_forever` starts it."""

    class Page(BaseHTTPRequestHandler):
        """Answers each request with the page."""

        def do_GET(self) -> None:
            """Answer one request."""
            body = page_of(platform).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header(
                "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"
            )
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing of requests."""

    return ThreadingHTTPServer((HOST, port), Page)
