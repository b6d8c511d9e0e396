"""HTTP: fetch a page, guarded against reaching into the network Muster runs in.

The name is resolved once, every address is checked, and the connection goes to the address that
was checked, so a name cannot change between check and use. Each redirect is checked again.

An address can carry away what an agent has read. So one that untrusted text may have shaped is
fetched from listed hosts only, unless a person looked at it, and they redirect to listed ones only.
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import socket
from urllib.parse import SplitResult, urljoin, urlsplit

from pydantic import BaseModel, Field

from agents.fetch import PORTS, get_pinned
from agents.tool import Tool, ToolContext, ToolFailed, ToolResult, ToolRetry, TransientError

TIMEOUT_S = 10.0
MAX_BYTES = 512 * 1024
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
TEXT_TYPES = re.compile(r"text/|application/(?:[\w.+-]*\+)?(?:json|xml|yaml|javascript)")
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class GetArguments(BaseModel, extra="forbid"):
    """What to fetch."""

    url: str = Field(min_length=1, max_length=2_000)


class GetOutput(BaseModel):
    """What came back; the text is untrusted."""

    url: str
    status: int
    content_type: str = ""
    text: str = ""
    is_cut: bool = False


async def get(context: ToolContext, args: GetArguments) -> ToolResult:
    """Fetch a page, following checked redirects."""
    url = args.url
    allowed = allowed_hosts(context)
    was_listed = False
    for _ in range(MAX_REDIRECTS + 1):
        parts = split(url)
        host, port = host_and_port(parts)
        listed = is_listed(host, port, allowed)
        address = checked_address(host, port, is_allowed=listed)
        if was_listed and not listed:
            raise ToolFailed(
                f"{args.url} redirects to {host}, which http.allow_hosts does not list"
            )
        was_listed = listed
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            answer = get_pinned(
                parts.scheme,
                host,
                port,
                address,
                path,
                timeout_s=TIMEOUT_S,
                max_bytes=MAX_BYTES,
            )
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(f"{host} did not answer: {error}") from error
        target = answer.headers.get("location", "")
        if answer.status in REDIRECTS and target:
            url = urljoin(url, target)
            continue
        content_type = answer.headers.get("content-type", "")
        is_text = TEXT_TYPES.match(content_type) is not None or not content_type
        text = answer.body.decode("utf-8", "replace") if is_text else ""
        output = GetOutput(
            url=url,
            status=answer.status,
            content_type=content_type,
            text=text,
            is_cut=answer.is_cut,
        )
        note = "\n[cut: the page is longer]" if answer.is_cut else ""
        if not is_text:
            note = f"\n[{len(answer.body)} bytes of {content_type} are not shown]"
        head = f"GET {url} answered {answer.status} {content_type}".rstrip()
        return ToolResult(output, f"{head}\n{text}{note}", f"GET {host}")
    raise ToolFailed(f"{args.url} redirects more than {MAX_REDIRECTS} times")


def split(url: str) -> SplitResult:
    """Return the parts of an http address; anything else is refused."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ToolRetry(f"{url!r} is not an address: {error}") from error
    if parts.scheme not in PORTS or not parts.hostname or not port_is_valid:
        raise ToolRetry(f"{url!r} is not an http or https address")
    if parts.username is not None or parts.password is not None:
        raise ToolRetry("an address with a user name or password is refused; leave them out")
    if any(ord(sign) <= ord(" ") for sign in url):
        raise ToolRetry("an address has no spaces or control characters; encode them")
    return parts


def needs_person(context: ToolContext, args: GetArguments) -> bool:
    """Return whether the address is of a host that people did not list."""
    return not is_listed(*host_and_port(split(args.url)), allowed_hosts(context))


def allowed_hosts(context: ToolContext) -> frozenset[str]:
    """Return the hosts that people listed."""
    return frozenset(host.casefold() for host in context.world.http.allow_hosts)


def host_and_port(parts: SplitResult) -> tuple[str, int]:
    """Return where an address leads."""
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def is_listed(host: str, port: int, allowed: frozenset[str]) -> bool:
    """Return whether people allowed this host, or this host and port."""
    return host.casefold() in allowed or f"{host.casefold()}:{port}" in allowed


def checked_address(host: str, port: int, *, is_allowed: bool) -> str:
    """Resolve the host; every address it has must be public, unless people allowed the host."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ToolFailed(f"{host} cannot be resolved: {error}") from error
    addresses = [str(item[4][0]) for item in found]
    if not addresses:
        raise ToolFailed(f"{host} has no address")
    if not is_allowed:
        for address in addresses:
            if not is_public(ipaddress.ip_address(address.split("%", 1)[0])):
                raise ToolFailed(
                    f"{host} is at {address}, which is not a public address; "
                    "people can allow it under http.allow_hosts in services.yaml"
                )
    return addresses[0]


def is_public(address: Address) -> bool:
    """Return whether an address is on the public internet, also when wrapped in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


TOOLS = (
    Tool(
        name="http.get",
        description="Fetch a web page or API: of a listed host, or one that a person named.",
        arguments=GetArguments,
        output=GetOutput,
        run=get,
        needs_person=needs_person,
    ),
)
