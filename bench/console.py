"""What the bot does over HTTP: alerts accepted and on disk, and webhook to card in the console."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import quote

import httpx

from bench.alerts_bench import body
from bench.figures import Figure, at_least, at_most, percentile
from bench.rig import BenchError, UpStack, muster_up

CHANNELS = 20
CARDS_PER_CHANNEL = 5
"""Fewer than the ten runs that alerts may start in a channel within a minute."""
CARD_S = 20.0
PAUSE_S = 0.1
SECONDS = 5.0
SENDERS = 8
BATCH = 50
SERVICE = "checkout"

_ROUTES = "routes:\n" + "".join(
    f"  - name: to-c{number}\n"
    f"    match: {{place: c{number}}}\n"
    "    workflow: look\n"
    f"    channel: c{number}\n"
    "    group_by: [place, sample]\n"
    for number in range(CHANNELS)
)
_WORKFLOW = """\
name: look
title: Look at the alerts
description: Lists the alerts of a service, so that a card with steps appears.
steps:
  - id: related
    title: List its alerts
    tool: alerts.related
    inputs: {service: checkout}
  - id: answer
    title: Say what there is
    needs: [related]
    agent: speaker
answer: answer
"""
_AGENT = """\
name: speaker
title: Speaker
description: Says that it looked.
runbook:
  report:
    output: {headline: These are its alerts.}
output:
  type: object
  properties:
    headline: {type: string}
  required: [headline]
"""
CONFIG = {
    "routes.yaml": _ROUTES,
    "workflows/look.yaml": _WORKFLOW,
    "agents/speaker.yaml": _AGENT,
    "services.yaml": f"services:\n  {SERVICE}: {{description: Takes carts}}\n",
}
_THREAD = re.compile(r'href="(/c/[^"/]+/t[0-9a-f]+)"')
_CARD = 'class="message m-run"'


async def measure() -> list[Figure]:
    """Return the figures of the bot."""
    async with muster_up(CONFIG) as stack:
        cards = await _cards(stack)
    figures = [
        Figure("webhook_to_card_p50", percentile(cards, 50), "ms"),
        Figure("webhook_to_card_p99", percentile(cards, 99), "ms", at_most(300)),
    ]
    for batch, target in ((1, None), (BATCH, at_least(2_000))):
        async with muster_up() as stack:
            rate, p99_ms = await _deliver(stack, batch)
        figures += [
            Figure(f"alerts_batch_{batch}", rate, "alerts/s", target),
            Figure(f"alerts_batch_{batch}_p99", p99_ms, "ms/delivery"),
        ]
    return figures


async def _cards(stack: UpStack) -> list[float]:
    """Return for each of many alerts the ms from its delivery to its card on an open page."""
    took: list[float] = []
    async with httpx.AsyncClient(base_url=stack.url, timeout=CARD_S) as http:
        await http.get("/login", params={"key": stack.key, "person": "local"})
        await _card_ms(http, "c0")  # The first page is slower: templates are compiled.
        for number in range(CHANNELS):
            for _ in range(CARDS_PER_CHANNEL):
                took.append(await _card_ms(http, f"c{number}"))
                await asyncio.sleep(PAUSE_S)
    return took


async def _card_ms(http: httpx.AsyncClient, channel: str) -> float:
    """Deliver an alert to a channel whose page is open, follow the new thread, see its card."""
    async with asyncio.timeout(CARD_S), _events(http, f"/c/{channel}") as page:
        await anext(page)  # It is open and has shown what was there before.
        began = time.perf_counter()
        delivering = asyncio.create_task(
            http.post("/webhooks/alertmanager", content=_alert(channel))
        )
        known: set[str] = set()
        async for html in page:
            fresh = set(_THREAD.findall(html)) - known
            if fresh:
                break
        async with _events(http, fresh.pop()) as thread:
            async for html in thread:
                if _CARD in html:
                    break
        took = (time.perf_counter() - began) * 1_000
        (await delivering).raise_for_status()
        return took


@asynccontextmanager
async def _events(http: httpx.AsyncClient, page: str) -> AsyncGenerator[AsyncGenerator[str]]:
    """Open the event stream of a page and yield its events' data."""
    address = f"/console/events?page={quote(page)}"
    async with http.stream("GET", address) as response:
        if response.status_code != 200:
            raise BenchError(f"{address} answered {response.status_code}")
        events = _data(response)
        try:
            yield events
        finally:
            await events.aclose()


async def _data(response: httpx.Response) -> AsyncGenerator[str]:
    lines: list[str] = []
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            lines.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and lines:
            yield "\n".join(lines)
            lines = []


def _alert(channel: str) -> bytes:
    sample = uuid.uuid4().hex
    alert = {
        "status": "firing",
        "labels": {
            "alertname": "CheckoutErrorRateHigh",
            "service": SERVICE,
            "severity": "critical",
            "place": channel,
            "sample": sample,
        },
        "annotations": {"summary": "checkout answers 41 % of its requests with an error"},
        "startsAt": "2026-11-20T21:30:05.123Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": sample[:16],
    }
    return json.dumps({"version": "4", "truncatedAlerts": 0, "alerts": [alert]}).encode()


async def _deliver(stack: UpStack, batch: int) -> tuple[float, float]:
    """Send new alerts from several senders for a while; return alerts/s and a delivery's p99."""
    took: list[float] = []
    accepted = 0
    port = httpx.URL(stack.url).port
    until = time.perf_counter() + SECONDS

    async def send(sender: int) -> None:
        nonlocal accepted
        # httpx would use as much CPU as the bot; these few lines leave the cores to the latter.
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        number = sender * 1_000_000
        while time.perf_counter() < until:
            payload = body(batch, number)
            number += 1
            head = (
                "POST /webhooks/alertmanager HTTP/1.1\r\nHost: bench\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
            )
            began = time.perf_counter()
            writer.write(head.encode() + payload)
            count = await _accepted(reader)
            accepted += count  # Not in one line: it would forget what others add meanwhile.
            took.append((time.perf_counter() - began) * 1_000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(send(sender) for sender in range(SENDERS)))
    return accepted / (time.perf_counter() - began), percentile(took, 99)


async def _accepted(reader: asyncio.StreamReader) -> int:
    """Read one answer and return how many alerts it says were accepted."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = int(re.search(r"content-length: (\d+)", head, re.IGNORECASE)[1])  # type: ignore[index]
    answer = await reader.readexactly(length)
    if " 202 " not in head.splitlines()[0]:
        raise BenchError(f"a delivery was answered: {head.splitlines()[0]} {answer.decode()}")
    return int(json.loads(answer)["accepted"])
