"""The process of one service: loads the release it is given and serves it."""

import argparse
import asyncio
import importlib
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from demo import child
from demo.eventlog import EventLog
from demo.runtime import Reply, Route, Runtime, new_trace, run_timer
from demo.telemetry import Telemetry
from demo.wire import Request, Response, Server, WireError, json_response

DRAIN_GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Which release of which service a process runs."""

    service: str
    release: str
    version: str


class ServiceApp:
    """Dispatch requests to a release's routes; count, time and log what comes of them."""

    def __init__(
        self,
        identity: Identity,
        log: EventLog,
        telemetry: Telemetry,
        routes: Mapping[str, Route],
    ) -> None:
        self._identity = identity
        self._log = log
        self._telemetry = telemetry
        self._routes = routes

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path == "/metrics":
            return self._telemetry.response()
        if request.path == "/healthz":
            return json_response(200, {"status": "ok", **asdict(self._identity)})
        route = self._routes.get(request.path)
        if route is None:
            return json_response(404, {"error": f"{self._identity.service} has no such path"})
        if request.method != "POST":
            return json_response(405, {"error": "send a POST"})
        started = time.perf_counter()
        reply = await self._run(route, request)
        self._telemetry.observe(request.path, reply.status, time.perf_counter() - started)
        return json_response(reply.status, reply.payload)

    async def _run(self, route: Route, request: Request) -> Reply:
        trace = request.headers.get("x-trace-id") or new_trace()
        try:
            return await route(json.loads(request.body), trace)
        except WireError as error:
            self._log.error("upstream unreachable", route=request.path, error=error, trace=trace)
            return Reply(502, {"error": "upstream unreachable"})
        except Exception as error:
            at = traceback.extract_tb(error.__traceback__)[-1]
            self._log.error(
                f"unhandled exception {type(error).__name__}: {error}",
                route=request.path,
                at=f"{Path(at.filename).name}:{at.lineno}",
                function=at.name,
                trace=trace,
            )
            return Reply(500, {"error": "internal error"})


def load_release(service: str, pointer: Path) -> tuple[Identity, Callable[[Runtime], object]]:
    """Import the service's code from the release that the pointer names."""
    root = pointer.resolve(strict=True)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root))
    module = importlib.import_module(f"{service}.service")
    version = (root / service / "VERSION").read_text(encoding="utf-8").strip()
    return Identity(service, root.name, version), module.routes


async def serve(arguments: argparse.Namespace) -> None:
    """Load the release, then follow the director: serve, drain, end."""
    identity, build = load_release(arguments.service, arguments.pointer)
    log = EventLog(identity.service, arguments.log)
    telemetry = Telemetry(identity.service, identity.version)
    runtime = Runtime(
        log, telemetry, dict(upstream.split("=", 1) for upstream in arguments.upstream)
    )
    routes = cast("dict[str, Route]", build(runtime))
    telemetry.announce(routes)
    server = Server(ServiceApp(identity, log, telemetry, routes).handle)
    child.report("ready")
    timers: list[asyncio.Task[None]] = []
    async for order in child.orders():
        if order == "serve":
            log.info("service started", version=identity.version, release=identity.release[:12])
            timers = [asyncio.create_task(run_timer(*timer)) for timer in runtime.timers]
            await server.start(socket.socket(fileno=arguments.fd))
            child.report("serving")
        elif order == "drain":
            server.stop_accepting()
            child.report("drained")
            for timer in timers:
                timer.cancel()
            await server.drain(DRAIN_GRACE_S)
            log.info("service stopped", version=identity.version)
            return


def main() -> None:
    """Run one service until the director ends it."""
    parser = argparse.ArgumentParser(prog="demo.service")
    parser.add_argument("service")
    parser.add_argument("--pointer", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--upstream", action="append", default=[], help="name=url")
    arguments = parser.parse_args()
    child.die_with_parent(arguments.parent)
    asyncio.run(serve(arguments))
    os._exit(0)  # requests that outlived the grace are dropped


if __name__ == "__main__":
    main()
