"""Socket Mode: sockets, envelopes, acknowledgements, and sockets that fall silent."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import WSMsgType, web

from tests.slack_server.core import Core
from tests.slack_server.deliveries import Attempt, Delivery
from tests.slack_server.limits import SOCKETS
from tests.slack_server.state import Json

HOST = "applink-1"
CONNECTION_S = 18_060
ANSWERABLE = frozenset({"interactive", "slash_commands"})
Reason = Literal["warning", "refresh_requested", "link_disabled", "too_many_websockets"]


class Lost(Exception):
    """The socket closed before the acknowledgement came."""


@dataclass(slots=True)
class Socket:
    """One connection. A silent one is open, but nothing comes out of it any more."""

    id: str
    ws: web.WebSocketResponse
    request: web.Request
    is_silent: bool = False
    is_ponging: bool = True
    is_leaving: bool = False
    """Told to go: it gets no new envelopes."""
    sent: int = 0
    pings: int = 0
    """Pings of the app that were answered."""


@dataclass(slots=True)
class _Waiting:
    delivery: Delivery
    attempt: Attempt
    socket: Socket
    answer: asyncio.Future[Json]


@dataclass(slots=True)
class Sockets:
    """All open sockets of the app. Each envelope goes to one of them, in turn."""

    core: Core
    open: list[Socket] = field(default_factory=list)
    opened: int = 0
    """How many there were since the start."""
    _waiting: dict[str, _Waiting] = field(default_factory=dict)
    _turn: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def usable(self) -> list[Socket]:
        """The sockets that get envelopes: Slack does not know which have fallen silent."""
        return [socket for socket in self.open if not socket.is_leaving]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one socket until it closes."""
        core = self.core
        if not core.tickets.use_socket(request.query.get("ticket", ""), core.clock.age()):
            core.ledger.refuse("socket", "invalid_ticket")
            return web.Response(status=404, text="invalid_ticket")
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        socket = Socket(core.new_id("S"), ws, request)
        if len(self.open) >= SOCKETS:
            core.ledger.refuse("socket", "too_many_websockets")
            await ws.send_str(json.dumps(_goodbye("too_many_websockets")))
            await ws.close()
            return ws
        self.open.append(socket)
        self.opened += 1
        core.touched += 1
        pinging = asyncio.ensure_future(self._ping(socket))
        try:
            await ws.send_str(json.dumps(self._hello()))
            await self._listen(socket)
        finally:
            pinging.cancel()
            self._forget(socket)
        return ws

    async def send(self, delivery: Delivery, attempt: Attempt) -> Json | None:
        """Send an envelope to one socket and wait for its acknowledgement."""
        usable = self.usable
        if not usable:
            attempt.error = "no_socket"
            return None
        socket = usable[next(self._turn) % len(usable)]
        key = self.core.new_id("envelope-")
        attempt.via = socket.id
        waiting = _Waiting(delivery, attempt, socket, asyncio.get_running_loop().create_future())
        self._waiting[key] = waiting
        if not socket.is_silent:
            socket.sent += 1
            with contextlib.suppress(ConnectionError, RuntimeError):
                await socket.ws.send_str(json.dumps(_envelope(key, delivery, attempt)))
        try:
            answer = await asyncio.wait_for(asyncio.shield(waiting.answer), self.core.limits.ack_s)
        except TimeoutError:
            attempt.error = "timeout"
            return None
        except Lost:
            attempt.error = "socket_closed"
            return None
        self._waiting.pop(key, None)
        return answer

    async def dismiss(self, reason: Reason, sockets: list[Socket] | None = None) -> None:
        """Tell sockets to go; after `warning` they stay usable for a while."""
        for socket in list(self.open if sockets is None else sockets):
            if reason != "warning":
                socket.is_leaving = True
            with contextlib.suppress(ConnectionError, RuntimeError):
                await socket.ws.send_str(json.dumps(_goodbye(reason)))

    def drop(self) -> int:
        """Cut all connections without a word; return how many."""
        sockets = list(self.open)
        for socket in sockets:
            if socket.request.transport is not None:
                socket.request.transport.abort()
            self._forget(socket)
        return len(sockets)

    def silence(self, *, is_ponging: bool) -> int:
        """Let the open sockets fall silent; return how many."""
        for socket in self.open:
            socket.is_silent, socket.is_ponging = True, is_ponging
        return len(self.open)

    async def stop(self) -> None:
        """Close everything."""
        for socket in list(self.open):
            with contextlib.suppress(Exception):
                await socket.ws.close()

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self.open),
            "connection_info": {"app_id": self.core.app.id},
            "debug_info": {"host": HOST, "approximate_connection_time": CONNECTION_S},
        }

    async def _listen(self, socket: Socket) -> None:
        async for message in socket.ws:
            if message.type is WSMsgType.PING and socket.is_ponging:
                socket.pings += 1
                await socket.ws.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                self._acknowledged(message.data)

    async def _ping(self, socket: Socket) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            while True:
                await asyncio.sleep(self.core.limits.ping_every_s)
                if not socket.is_silent:
                    await socket.ws.ping(f"Ping from {HOST}".encode())

    def _acknowledged(self, text: str) -> None:
        try:
            body: Any = json.loads(text)
            key = str(body["envelope_id"])
        except (ValueError, KeyError, TypeError):
            self.core.ledger.refuse("ack", "invalid_envelope", text)
            return
        waiting = self._waiting.get(key)
        if waiting is None:
            self.core.ledger.refuse("ack", "unknown_envelope", key)
            return
        attempt = waiting.attempt
        attempt.took_s = time.monotonic() - attempt.sent_at
        self.core.touched += 1
        answer = body.get("payload") or {}
        if answer and waiting.delivery.kind not in ANSWERABLE:
            self.core.ledger.refuse("ack", "payload_not_accepted", key, payload=answer)
            answer = {}
        if attempt.error:
            attempt.is_late = True
            self._waiting.pop(key, None)
        elif not waiting.answer.done():
            waiting.answer.set_result(answer)

    def _forget(self, socket: Socket) -> None:
        if socket in self.open:
            self.open.remove(socket)
        self.core.touched += 1
        for key, waiting in list(self._waiting.items()):
            if waiting.socket is socket:
                del self._waiting[key]
                if not waiting.answer.done():
                    waiting.answer.set_exception(Lost())
                    # Whoever still waits hears of it; nobody else has to.
                    waiting.answer.exception()


def _envelope(key: str, delivery: Delivery, attempt: Attempt) -> Json:
    body: Json = {
        "envelope_id": key,
        "type": delivery.kind,
        "payload": delivery.payload,
        "accepts_response_payload": delivery.kind in ANSWERABLE,
    }
    if delivery.kind == "events_api":
        # The first try carries them too: 0 and no reason.
        body |= {"retry_attempt": attempt.number, "retry_reason": attempt.reason}
    return body


def _goodbye(reason: Reason) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": {"host": HOST}}
