"""Pages are fetched, and the own network stays out of reach."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from agents.tool import ToolContext, ToolFailed, ToolRetry
from agents.tools import http
from agents.tools.http import MAX_BYTES, GetArguments, GetOutput
from config.specs import HttpSpec, ServicesFile
from tests.agents.test_tools.conftest import NOW, Site


def context(*allowed: str) -> ToolContext:
    """Return a context in which these hosts may be reached."""
    return ToolContext(world=ServicesFile(http=HttpSpec(allow_hosts=allowed)), now=NOW)


async def fetch(url: str, *allowed: str) -> GetOutput:
    """Fetch a page."""
    output = (await http.get(context(*allowed), GetArguments(url=url))).output
    assert isinstance(output, GetOutput)
    return output


async def test_allowed_host_is_fetched(site: Site) -> None:
    """A private host that people listed answers."""
    site.serves("/status", "all good", headers={"Content-Type": "text/plain"})

    output = await fetch(f"{site.url}/status", "127.0.0.1")

    assert (output.status, output.text) == (200, "all good")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00::1]/",
        "http://0.0.0.0/",
        "http://2130706433/",
        "http://0x7f000001/",
    ],
)
async def test_private_address_is_refused(url: str) -> None:
    """Loopback, private, link-local and metadata addresses are refused in any spelling."""
    with pytest.raises(ToolFailed, match=r"not a public address|cannot be resolved"):
        await fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://x/",
        "http://",
        "http://u:p@x/",
        "http://x/a b",
        "http://x:y/",
    ],
)
async def test_odd_address_is_refused(url: str) -> None:
    """Only plain http and https addresses are fetched."""
    with pytest.raises(ToolRetry):
        await fetch(url)


async def test_redirect_is_checked_again(site: Site) -> None:
    """A listed host cannot send the tool to one that is not listed."""
    site.serves("/go", "", 302, {"Location": "http://169.254.169.254/latest/"})

    with pytest.raises(ToolFailed, match="not a public address"):
        await fetch(f"{site.url}/go", "127.0.0.1")


async def test_listed_host_cannot_send_on_to_an_unlisted_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what an agent writes into a listed address could be carried to any place."""
    monkeypatch.setattr(http, "is_public", lambda _: True)
    site.serves("/go", "", 302, {"Location": site.url.replace("127.0.0.1", "127.0.0.2")})

    with pytest.raises(ToolFailed, match=r"redirects to 127\.0\.0\.2, which http\.allow_hosts"):
        await fetch(f"{site.url}/go", "127.0.0.1")


@pytest.mark.parametrize(
    ("url", "is_needed"),
    [
        ("http://status.example.com/now", True),
        ("http://shop.test:8080/orders/1", False),
        ("http://SHOP.test:8080/", False),
        ("http://shop.test/", True),
        ("https://shop.test.example.com:8080/", True),
    ],
)
def test_unlisted_host_needs_a_person(url: str, is_needed: bool) -> None:
    """An address of a listed host may hold what was read; any other is looked at first."""
    assert http.needs_person(context("shop.test:8080"), GetArguments(url=url)) is is_needed


async def test_redirect_loop_ends(site: Site) -> None:
    """A page that redirects to itself is given up."""
    site.serves("/loop", "", 302, {"Location": "/loop"})

    with pytest.raises(ToolFailed, match="redirects more than"):
        await fetch(f"{site.url}/loop", "127.0.0.1")


async def test_connection_goes_to_the_address_that_was_checked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that resolves differently the second time gains nothing."""
    port = int(site.url.rsplit(":", 1)[1])
    answers = iter(["127.0.0.1", "10.9.9.9"])
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        return real(next(answers) if host == "rebind.example" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    site.serves("/", "pinned")

    output = await fetch(f"http://rebind.example:{port}/", "rebind.example")

    assert output.text == "pinned"


async def test_large_page_is_cut(site: Site) -> None:
    """A page is read up to the limit, and says that it was cut."""
    site.serves("/big", "x" * (MAX_BYTES + 10))

    output = await fetch(f"{site.url}/big", "127.0.0.1")

    assert output.is_cut
    assert len(output.text) == MAX_BYTES


async def test_binary_is_not_shown(site: Site) -> None:
    """Bytes that are no text are left out."""
    site.serves("/a.png", b"\x89PNG", headers={"Content-Type": "image/png"})

    assert (await fetch(f"{site.url}/a.png", "127.0.0.1")).text == ""


@pytest.mark.parametrize(
    ("address", "is_public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::a9fe:a9fe", False),
    ],
)
def test_public_addresses_are_told_apart(address: str, is_public: bool) -> None:
    """Private addresses hidden in transition formats are seen through."""
    assert http.is_public(ipaddress.ip_address(address)) is is_public
