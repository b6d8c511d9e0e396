"""The server in a thread of the test's process, with its own loop."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

from aiohttp import web

from tests.slack_server.answers import take_answer
from tests.slack_server.api import Api
from tests.slack_server.controls import Controls
from tests.slack_server.core import BOT_SCOPES, Core
from tests.slack_server.deliveries import Attempt, Deliveries, Delivery, Transport
from tests.slack_server.faults import Fault, Where
from tests.slack_server.hooks import Hooks
from tests.slack_server.http_events import HttpEvents
from tests.slack_server.ledger import Call, Ledger, Refusal
from tests.slack_server.limits import Limits
from tests.slack_server.sockets import Reason, Socket, Sockets
from tests.slack_server.state import App, Json, Token

T = TypeVar("T")
LOOPBACK = "127.0.0.1"
HOME = "T1"
START_S = 10.0
STOP_S = 5.0
LOOK_S = 0.005
BODY_BYTES = 64 * 2**20


class SlackServer(Controls):
    """Slack on loopback, with one workspace in which the app is installed.

    It speaks Socket Mode until `use_http`. Its methods may be called from any thread.
    """

    def __init__(self, limits: Limits | None = None, *, scopes: Iterable[str] = BOT_SCOPES) -> None:
        self.limits = limits or Limits()
        self._switch = _Switch()
        deliveries = Deliveries(self.limits, self._switch, self._answered)
        core = Core(self.limits, deliveries)
        self._socket = socket.create_server((LOOPBACK, 0), backlog=512)
        self.port = int(self._socket.getsockname()[1])
        core.base_url = f"http://{LOOPBACK}:{self.port}"
        core.socket_url = f"ws://{LOOPBACK}:{self.port}"
        super().__init__(core, HOME, asyncio.new_event_loop())
        core.install(core.add_team(HOME, "Acme", "acme"), scopes)
        self.app_token = "xapp-1-A0MUSTER-app"
        core.tokens[self.app_token] = Token(self.app_token, "app", HOME, {"connections:write"})
        self.sockets = Sockets(core)
        self._http = HttpEvents(core, "")
        self._switch.current = self.sockets
        self._thread = threading.Thread(target=self._serve, name="slack-server", daemon=True)
        self._is_up = threading.Event()
        self._runner: web.AppRunner | None = None

    # Where it is

    @property
    def api_url(self) -> str:
        """The base address for a web client."""
        return f"{self._core.base_url}/api/"

    @property
    def authorize_url(self) -> str:
        """Where an install begins."""
        return f"{self._core.base_url}/oauth/v2/authorize"

    @property
    def app(self) -> App:
        """The app's settings: ids, secrets, events, commands."""
        return self._core.app

    def team(self, key: str, name: str = "", domain: str = "") -> Controls:
        """Return another workspace, added when there is none with this id."""

        def add() -> None:
            if key not in self._core.teams:
                self._core.add_team(key, name or key, domain or key.lower())

        self._do(add)
        return Controls(self._core, key, self._loop)

    def approve_installs(self, team: str) -> None:
        """Let an admin of this workspace approve what `authorize_url` asks for."""

        def approve() -> None:
            self._core.installing = team

        self._do(approve)

    def install_code(self, team: str, scopes: Iterable[str], redirect_uri: str = "") -> str:
        """Return a code that the app may exchange for a token of a workspace."""
        core = self._core

        def make() -> str:
            user = core.teams[team].bot_user
            return core.tickets.code(team, tuple(scopes), redirect_uri, user, core.clock.age())

        return self._do(make)

    # What was seen

    @property
    def calls(self) -> defaultdict[str, list[Call]]:
        """All calls, by method."""
        return self._core.ledger.calls

    @property
    def refused(self) -> list[Refusal]:
        """What broke a rule of Slack's: in most tests, nothing."""
        return self._core.ledger.refused

    @property
    def rate_limited(self) -> list[Refusal]:
        """The calls that were over a budget; planned faults are not among them."""
        return self._core.ledger.rate_limited

    @property
    def deliveries(self) -> list[Delivery]:
        """All that was sent to the app, in order."""
        return self._core.deliveries.all

    def events(self, kind: str) -> list[Delivery]:
        """Return the deliveries of one kind of event."""
        return [item for item in list(self.deliveries) if item.event.get("type") == kind]

    def forget(self) -> None:
        """Forget all calls and refusals so far."""

        def forget() -> None:
            self._core.ledger = Ledger()

        self._do(forget)

    # What goes wrong

    def fault(self, method: str, fault: Fault, times: int = 1, where: Where | None = None) -> None:
        """Let the next calls of a method (`*`: any) go wrong; `where` looks at the arguments."""
        self._do(lambda: self._core.faults.plan(method, fault, times, where))

    def clear_faults(self) -> None:
        """Let nothing go wrong any more."""
        self._do(self._core.faults.clear)

    @property
    def faults_left(self) -> int:
        """How many planned faults have not happened yet."""
        return self._core.faults.left

    def limit_in_body(self, *, is_on: bool = True) -> None:
        """Tell exceeded budgets as HTTP 200 with `ratelimited`, instead of as 429."""

        def switch() -> None:
            self._core.limits_in_body = is_on

        self._do(switch)

    def deliver_twice(self, count: int = -1) -> None:
        """Deliver the next so many things twice at the same time; -1: all from now on."""

        def double() -> None:
            self._core.deliveries.double_next = count

        self._do(double)

    def redeliver(self, delivery: Delivery) -> None:
        """Deliver the same thing once more."""
        self._do(lambda: self._core.deliveries.again(delivery))

    def hold(self) -> None:
        """Keep what is to be delivered until `release`."""

        def hold() -> None:
            self._core.deliveries.is_held = True

        self._do(hold)

    def release(self) -> None:
        """Deliver what was held."""
        self._do(self._core.deliveries.release)

    def drop_sockets(self) -> int:
        """Cut all sockets; return how many there were."""
        return self._do(self.sockets.drop)

    def silence_sockets(self, *, is_ponging: bool = False) -> int:
        """Let the open sockets fall silent: nothing comes any more, pings are not answered."""
        return self._do(lambda: self.sockets.silence(is_ponging=is_ponging))

    def dismiss_sockets(self, reason: Reason = "refresh_requested") -> None:
        """Tell the open sockets to go, as Slack does every few hours."""
        self._wait(self.sockets.dismiss(reason))

    @property
    def open_sockets(self) -> list[Socket]:
        """The sockets that are open now."""
        return list(self.sockets.open)

    # Time

    def advance(self, seconds: float) -> None:
        """Let time pass for budgets and for what expires, without waiting."""

        def advance() -> None:
            self._core.clock.ahead_s += seconds

        self._do(advance)

    def skew(self, seconds: float) -> None:
        """Let Slack's clock differ from this machine's: in stamps, events and signatures."""

        def skew() -> None:
            self._core.clock.skew_s = seconds

        self._do(skew)

    async def settled(self, quiet_s: float = 0.05, timeout_s: float = 10.0) -> None:
        """Wait until all is delivered and answered, and nothing more happens for a moment."""
        await self._on_loop(self._settled(quiet_s, timeout_s))

    async def done(self, delivery: Delivery) -> Delivery:
        """Wait until a delivery was acknowledged or given up."""

        async def wait() -> None:
            await delivery.finished.wait()

        await self._on_loop(wait())
        return delivery

    async def until(self, is_true: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Wait until something holds."""
        end = time.monotonic() + timeout_s
        while not is_true():
            if time.monotonic() > end:
                raise TimeoutError("it did not come true in time")
            await asyncio.sleep(LOOK_S)

    # How the app is reached

    def use_http(self, url: str) -> None:
        """Send everything to the app's address from now on, signed."""

        def switch() -> None:
            self._http.url = url
            self._switch.current = self._http

        self._do(switch)

    def use_sockets(self) -> None:
        """Send everything through sockets again."""

        def switch() -> None:
            self._switch.current = self.sockets

        self._do(switch)

    def forge_signatures(self, *, is_on: bool = True) -> None:
        """Sign with a secret that is not the app's."""

        def forge() -> None:
            self._http.is_forged = is_on

        self._do(forge)

    async def verify_url(self) -> bool:
        """Ask the app's address for the challenge, as the settings page does."""
        return await self._on_loop(self._http.verify())

    # Its life

    def start(self) -> None:
        """Serve from now on; returns when the server answers."""
        self._thread.start()
        if not self._is_up.wait(START_S):
            raise RuntimeError("the Slack server did not start")

    def stop(self) -> None:
        """Drop all connections and end the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_S)
        self._socket.close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._begin())
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _begin(self) -> None:
        api, hooks = Api(self._core), Hooks(self._core)
        served = web.Application(client_max_size=BODY_BYTES)
        served.router.add_post("/api/{method}", api.handle)
        served.router.add_get("/api/{method}", api.handle)
        served.router.add_get("/link/", self.sockets.handle)
        served.router.add_post("/respond/{key}", hooks.respond)
        served.router.add_post("/upload/v1/{team}/{file}", hooks.upload)
        served.router.add_get("/files-pri/{team}/{file}/{name}", hooks.download)
        served.router.add_get("/oauth/v2/authorize", hooks.authorize)
        self._runner = web.AppRunner(
            served, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()
        self._is_up.set()

    async def _end(self) -> None:
        await self._core.deliveries.stop()
        await self._http.stop()
        self.sockets.drop()
        if self._runner is not None:
            await self._runner.cleanup()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answered(self, delivery: Delivery, answer: Json) -> None:
        take_answer(self._core, delivery, answer)

    async def _settled(self, quiet_s: float, timeout_s: float) -> None:
        core = self._core
        end = time.monotonic() + timeout_s
        seen, since = -1, time.monotonic()
        while True:
            now = time.monotonic()
            if core.deliveries.pending or core.in_flight or core.touched != seen:
                seen, since = core.touched, now
            elif now - since >= quiet_s:
                return
            if now > end:
                raise TimeoutError(
                    f"{core.deliveries.pending} deliveries and {core.in_flight} calls are under way"
                )
            await asyncio.sleep(LOOK_S)

    async def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def _wait(self, work: Coroutine[Any, Any, object]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(START_S)


class _Switch:
    """Sends through whichever transport is current."""

    current: Transport

    async def send(self, delivery: Delivery, attempt: Attempt) -> Json | None:
        """Make one attempt."""
        return await self.current.send(delivery, attempt)
