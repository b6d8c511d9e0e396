"""The shop's HTTP server and client."""

import asyncio

import pytest

from demo import wire
from demo.wire import MAX_BODY_BYTES, Request, Response, Server, WireError, json_response


async def echo(request: Request) -> Response:
    """Answer with what was asked; /slow takes a while."""
    if request.path == "/slow":
        await asyncio.sleep(0.2)
    return json_response(200, {"path": request.path, "query": dict(request.query)})


async def test_request_and_response() -> None:
    """A path with a query arrives decoded."""
    sock = wire.listen()
    server = Server(echo)
    await server.start(sock.dup())

    response = await wire.call("GET", f"{wire.url_of(sock)}/a?b=c%20d", timeout_s=5)

    assert response.status == 200
    assert response.json() == {"path": "/a", "query": {"b": "c d"}}
    server.stop_accepting()
    sock.close()


async def test_oversized_body_is_refused() -> None:
    """A body over the limit is a 413."""
    sock = wire.listen()
    server = Server(echo)
    await server.start(sock.dup())

    body = b"x" * (MAX_BODY_BYTES + 1)
    response = await wire.call("POST", wire.url_of(sock), body=body, timeout_s=5)

    assert response.status == 413
    server.stop_accepting()
    sock.close()


async def test_handover_drops_nothing() -> None:
    """A request under way finishes on the old server; one in the backlog is the new one's."""
    sock = wire.listen()
    url = wire.url_of(sock)
    old, new = Server(echo), Server(echo)
    await old.start(sock.dup())
    under_way = asyncio.create_task(wire.call("GET", f"{url}/slow", timeout_s=5))
    await asyncio.sleep(0.05)

    old.stop_accepting()
    waiting = asyncio.create_task(wire.call("GET", f"{url}/next", timeout_s=5))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await new.start(sock.dup())

    assert [response.status for response in await asyncio.gather(under_way, waiting)] == [200, 200]
    new.stop_accepting()
    sock.close()


async def test_nobody_answers() -> None:
    """No server is a WireError, a slow one a TimeoutError, https a WireError."""
    sock = wire.listen()
    url = wire.url_of(sock)
    with pytest.raises(TimeoutError):
        await wire.call("GET", url, timeout_s=0.05)
    sock.close()
    with pytest.raises(WireError):
        await wire.call("GET", url, timeout_s=5)
    with pytest.raises(WireError, match="http://"):
        await wire.call("GET", url.replace("http", "https"), timeout_s=5)
