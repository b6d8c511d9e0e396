"""Ports for servers that can be told only a number, not "any free one"."""

from __future__ import annotations

import random
from contextlib import closing
from socket import socket

LOWEST, HIGHEST = 20_000, 32_000
"""Below the ports that systems give to outgoing connections: one of those may take a free port
between our look and the server's start."""
TRIES = 100


def free_port() -> int:
    """Return a port on loopback on which nothing listens now."""
    for _ in range(TRIES):
        port = random.randrange(LOWEST, HIGHEST)
        with closing(socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no free port in {TRIES} tries between {LOWEST} and {HIGHEST}")
