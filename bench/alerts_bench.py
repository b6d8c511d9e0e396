"""How many alerts a second are parsed, folded and on disk, without HTTP and the rest of the bot."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bot.routes import route_for
from bot.sources import ALERT_SOURCES
from config.specs import RouteSpec, SourceSpec
from jobs.embedded import EmbeddedRedis
from jobs.incident_store import RedisIncidentStore
from jobs.incidents import Arrival
from jobs.redis_client import connect

SOURCE = SourceSpec(kind="alertmanager")
ROUTES = (RouteSpec(name="everything", workflow="incident", group_by=("service",)),)
SERVICES = 20
SECONDS = 3.0
SENDERS = 8


def body(batch: int, number: int) -> bytes:
    """Return one delivery as Alertmanager writes it, with alerts that nobody sent before."""
    alerts: list[dict[str, Any]] = [
        {
            "status": "firing",
            "labels": {
                "alertname": "CheckoutErrorRateHigh",
                "service": f"service-{(number + index) % SERVICES}",
                "severity": "critical",
                "environment": "production",
                "instance": f"10.0.{number % 250}.{index}:8080",
            },
            "annotations": {
                "summary": "checkout answers 41 % of its requests with an error",
                "description": "The error ratio has been over 5 % for more than 4 seconds.",
            },
            "startsAt": "2026-11-20T21:30:05.123Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=up",
            "fingerprint": f"{number:08x}{index:08x}",
        }
        for index in range(batch)
    ]
    return json.dumps({"version": "4", "truncatedAlerts": 0, "alerts": alerts}).encode()


@asynccontextmanager
async def store_on_disk() -> AsyncIterator[RedisIncidentStore]:
    """Give a store on an embedded server that syncs every write."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedRedis(Path(folder)) as server:
        client = connect(server.url)
        yield RedisIncidentStore(client)
        await client.aclose()


async def measure(batch: int, senders: int) -> dict[str, float]:
    """Return alerts/s, and the latency and CPU time of a delivery."""
    parse = ALERT_SOURCES[0].parse
    took: list[float] = []
    accepted = 0
    async with store_on_disk() as store:
        until = time.perf_counter() + SECONDS
        cpu = time.process_time()

        async def send(sender: int) -> None:
            nonlocal accepted
            number = sender * 1_000_000
            while time.perf_counter() < until:
                payload = body(batch, number)
                number += 1
                started = time.perf_counter()
                alerts = parse(payload, "alertmanager", SOURCE)
                arrivals = [Arrival(alert, route_for(ROUTES, alert)) for alert in alerts]
                await store.accept(arrivals, time.time())
                took.append(time.perf_counter() - started)
                accepted += len(alerts)

        began = time.perf_counter()
        await asyncio.gather(*(send(sender) for sender in range(senders)))
        wall = time.perf_counter() - began
        cpu = time.process_time() - cpu
    took.sort()
    return {
        "alerts_per_s": accepted / wall,
        "p50_ms": took[len(took) // 2] * 1_000,
        "p99_ms": took[int(len(took) * 0.99)] * 1_000,
        "cpu_ms_per_alert": cpu / accepted * 1_000,
    }


async def figures() -> list[Figure]:
    """Return the figures of the alert store."""
    found = []
    for batch in (1, 50):
        result = await measure(batch, SENDERS)
        found += [
            Figure(f"store_alerts_batch_{batch}", result["alerts_per_s"], "alerts/s"),
            Figure(f"store_alerts_batch_{batch}_p99", result["p99_ms"], "ms/delivery"),
        ]
    return found
