"""Where the console listens, and what people open."""

from __future__ import annotations

import socket

import pytest

from bot.address import console_url, free_port, port_problem


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8420"),
        ("::1", "http://[::1]:8420"),
        ("0.0.0.0", "http://localhost:8420"),
        ("::", "http://localhost:8420"),
        ("muster.internal", "http://muster.internal:8420"),
    ],
)
def test_address_can_be_opened(host: str, url: str) -> None:
    """IPv6 stands in brackets, and nobody is sent to a wildcard."""
    assert console_url(host, 8420) == url


HAS_V6 = socket.has_ipv6 and port_problem("::1", 0) == ""


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        pytest.param("::1", marks=pytest.mark.skipif(not HAS_V6, reason="has no IPv6")),
    ],
)
def test_free_port_can_be_listened_on(host: str) -> None:
    """What is free is no problem, on IPv6 as well."""
    assert port_problem(host, free_port(host)) == ""
    assert port_problem(host, 0) == ""


def test_port_in_use_is_said() -> None:
    """The sentence names the place and the way out."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = port_problem("127.0.0.1", port)

    assert f"127.0.0.1:{port}" in said
    assert "MUSTER_PORT" in said


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_address_of_another_machine_is_said(host: str) -> None:
    """It is the host that has to change, not the port."""
    assert "MUSTER_HOST" in port_problem(host, 8420)
