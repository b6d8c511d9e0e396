"""Where the console listens, and the address that people open for it."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket

WILDCARDS = frozenset(["", "0.0.0.0", "::"])  # noqa: S104 - compared with, never bound


def console_url(host: str, port: int) -> str:
    """Return the address that a person on this machine can open."""
    if host in WILDCARDS:
        host = "localhost"
    return f"http://{_in_url(host)}:{port}"


def _in_url(host: str) -> str:
    try:
        is_v6 = ipaddress.ip_address(host).version == 6
    except ValueError:
        return host
    return f"[{host}]" if is_v6 else host


def port_problem(host: str, port: int) -> str:
    """Return why the console cannot listen there; empty when it can."""
    where = f"{_in_url(host)}:{port}"
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except OSError as error:
        return (
            f"The console cannot listen on {where} ({error.strerror}). Set MUSTER_HOST to an "
            "address of this machine."
        )
    errors = [_error(family, address) for family, _, _, _, address in found]
    real = [error for error in errors if error is not None]
    # A name such as localhost may have an address that this machine lacks; one is enough.
    if all(error.errno == errno.EADDRNOTAVAIL for error in real) and len(real) < len(errors):
        return ""
    if real[0].errno == errno.EADDRNOTAVAIL:
        advice = "Set MUSTER_HOST to an address of this machine."
    else:
        advice = "Stop what uses the port, or set MUSTER_PORT to another one."
    return f"The console cannot listen on {where} ({real[0].strerror}). {advice}"


def _error(family: int, address: tuple[str | int, ...] | tuple[int, bytes]) -> OSError | None:
    try:
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def free_port(host: str) -> int:
    """Return a port of that address that nothing uses now."""
    family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.bind(address)
        return int(probe.getsockname()[1])
