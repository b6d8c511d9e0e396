"""HTTP/1.1 between the shop's processes: a small server and a client on asyncio and h11."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

import h11

LOOPBACK = "127.0.0.1"
MAX_BODY_BYTES = 1 << 20
_CHUNK_BYTES = 64 * 1024
_BACKLOG = 256


class WireError(Exception):
    """The peer could not be reached or did not speak HTTP; trying again may help."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as a handler sees it; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """One response, sent by a handler or received by `call`."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"

    def json(self) -> object:
        """Return the decoded body; raise ValueError when it is not JSON."""
        return json.loads(self.body)


Handler = Callable[[Request], Awaitable[Response]]


def json_response(status: int, value: object) -> Response:
    """Return a response that carries the value as compact JSON."""
    return Response(status, json.dumps(value, separators=(",", ":")).encode())


def listen() -> socket.socket:
    """Return a listening loopback socket on a free port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((LOOPBACK, 0))
    sock.listen(_BACKLOG)
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket) -> str:
    """Return the base URL that reaches a listening socket."""
    host, port = sock.getsockname()
    return f"http://{host}:{port}"


class Server:
    """Serve one handler on a listening socket that may be handed over to another process.

    `stop_accepting` leaves new connections in the socket's backlog for whoever accepts next;
    `drain` then lets the requests under way finish.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._busy: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._is_draining = False

    async def start(self, sock: socket.socket) -> None:
        """Accept connections on the socket from now on."""
        self._server = await asyncio.start_server(self._connected, sock=sock, backlog=_BACKLOG)

    def stop_accepting(self) -> None:
        """Accept nothing more and drop the connections that carry no request now."""
        self._is_draining = True
        if self._server is not None:
            self._server.close()
        for task in self._connections - self._busy:
            task.cancel()

    async def drain(self, grace_s: float) -> None:
        """Wait at most `grace_s` for the requests under way."""
        if self._busy:
            await asyncio.wait(self._busy, timeout=grace_s)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # asyncio always runs this callback as a task
            return
        self._connections.add(task)
        try:
            await self._converse(task, reader, writer)
        except (OSError, asyncio.CancelledError, h11.RemoteProtocolError):
            # The client left, or the server stops: either way the connection is over.
            pass
        finally:
            self._connections.discard(task)
            self._busy.discard(task)
            writer.close()

    async def _converse(
        self,
        task: asyncio.Task[None],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        protocol = h11.Connection(h11.SERVER)
        while True:
            request = await _read_request(protocol, reader)
            if request is None:
                return
            self._busy.add(task)
            response = await self._answer(request)
            headers = [
                ("content-type", response.content_type),
                ("content-length", str(len(response.body))),
            ]
            if self._is_draining:
                headers.append(("connection", "close"))
            start = h11.Response(status_code=response.status, headers=headers)
            writer.write(protocol.send(start) or b"")
            if request.method != "HEAD":
                writer.write(protocol.send(h11.Data(data=response.body)) or b"")
            writer.write(protocol.send(h11.EndOfMessage()) or b"")
            await writer.drain()
            self._busy.discard(task)
            if protocol.our_state is not h11.DONE or protocol.their_state is not h11.DONE:
                return
            protocol.start_next_cycle()

    async def _answer(self, request: Request) -> Response:
        if len(request.body) > MAX_BODY_BYTES:
            return json_response(413, {"error": f"the body is over {MAX_BODY_BYTES} bytes"})
        return await self._handler(request)


async def _read_request(protocol: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            protocol.receive_data(await reader.read(_CHUNK_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            if len(body) <= MAX_BODY_BYTES:  # one byte too many is enough to refuse it
                body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            target = urlsplit(head.target.decode("latin-1"))
            return Request(
                method=head.method.decode("latin-1"),
                path=target.path,
                query=dict(parse_qsl(target.query)),
                headers={
                    name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers
                },
                body=bytes(body),
            )
        else:
            return None


async def call(
    method: str,
    url: str,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
) -> Response:
    """Send one request on a connection of its own.

    Raises TimeoutError after `timeout_s` and WireError when there was no HTTP answer.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _call(method, url, body, headers or {})
    except TimeoutError:
        raise
    except (OSError, h11.ProtocolError) as error:
        raise WireError(f"no answer from {url}: {error}") from error


async def _call(method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Response:
    target = urlsplit(url)
    if target.scheme != "http" or target.hostname is None:
        raise WireError(f"the shop can only call http:// addresses, not {url!r}")
    port = target.port or 80
    reader, writer = await asyncio.open_connection(target.hostname, port)
    try:
        protocol = h11.Connection(h11.CLIENT)
        resource = (target.path or "/") + (f"?{target.query}" if target.query else "")
        sent = {
            "host": f"{target.hostname}:{port}",
            "content-length": str(len(body)),
            "connection": "close",
            **headers,
        }
        start = h11.Request(method=method, target=resource, headers=list(sent.items()))
        writer.write(protocol.send(start) or b"")
        writer.write(protocol.send(h11.Data(data=body)) or b"")
        writer.write(protocol.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        return await _read_response(protocol, reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read_response(protocol: h11.Connection, reader: asyncio.StreamReader) -> Response:
    status = 0
    content_type = ""
    body = bytearray()
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            protocol.receive_data(await reader.read(_CHUNK_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
            content_type = dict(event.headers).get(b"content-type", b"").decode("latin-1")
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return Response(status, bytes(body), content_type)
        elif not isinstance(event, h11.InformationalResponse):
            raise WireError("the connection closed before the response was complete")
