"""What a release of a service is given to work with: log, metrics, timers, the other service."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Gauge

from demo import wire
from demo.eventlog import EventLog
from demo.telemetry import Telemetry

Payload = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a route answers."""

    status: int
    payload: Payload = field(default_factory=dict)


Route = Callable[[Payload, str], Coroutine[Any, Any, Reply]]
"""A route takes the decoded body and the trace id of the request."""


class Runtime:
    """The platform below one release; a release uses this and its own modules, nothing else."""

    def __init__(self, log: EventLog, telemetry: Telemetry, upstreams: Mapping[str, str]) -> None:
        self.log = log
        self._telemetry = telemetry
        self._upstreams = upstreams
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def gauge(self, name: str, text: str) -> Gauge:
        """Return a new gauge of this service."""
        return self._telemetry.gauge(name, text)

    def every(self, interval_s: float, action: Callable[[], None]) -> None:
        """Run the action again and again once the service is up."""
        self.timers.append((interval_s, action))

    async def post(
        self, upstream: str, path: str, payload: Payload, trace: str, timeout_s: float
    ) -> Reply:
        """Call the other service; raise TimeoutError when it takes longer than `timeout_s`."""
        response = await wire.call(
            "POST",
            self._upstreams[upstream] + path,
            body=json.dumps(payload).encode(),
            headers={"content-type": "application/json", "x-trace-id": trace},
            timeout_s=timeout_s,
        )
        return Reply(response.status, json.loads(response.body))


def new_trace() -> str:
    """Return a fresh trace id."""
    return os.urandom(4).hex()


async def run_timer(interval_s: float, action: Callable[[], None]) -> None:
    """Run the action every `interval_s` until cancelled."""
    while True:
        await asyncio.sleep(interval_s)
        action()
