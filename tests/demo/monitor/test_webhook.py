"""Alertmanager's webhook as the monitor speaks it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from demo import wire
from demo.monitor import webhook
from demo.monitor.alerts import Alert, AlertState, Phase, fingerprint
from demo.monitor.webhook import REPEAT_INTERVAL_S, Notifier, Told, is_due, payload
from demo.wire import Request, Response, Server, json_response

LABELS = {"alertname": "CheckoutErrorRateHigh", "service": "checkout", "severity": "critical"}
FIRING = Alert(LABELS, {"summary": "it fails"}, AlertState(Phase.FIRING, 1.0, fired_at=5.0))
RESOLVED = Alert(
    LABELS, {"summary": "it fails"}, AlertState(Phase.INACTIVE, 1.0, fired_at=5.0, resolved_at=9.5)
)
TOLD = Told(is_firing=True, fired_at=5.0, accepted_at=5.0)


def test_firing_payload() -> None:
    """A delivery has every field of format version 4, with the alert inside."""
    body = payload(FIRING, "http://127.0.0.1:9090")

    assert body == {
        "version": "4",
        "groupKey": '{}:{alertname="CheckoutErrorRateHigh", service="checkout"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "muster",
        "groupLabels": {"alertname": "CheckoutErrorRateHigh", "service": "checkout"},
        "commonLabels": LABELS,
        "commonAnnotations": {"summary": "it fails"},
        "externalURL": "http://127.0.0.1:9090",
        "alerts": [
            {
                "status": "firing",
                "labels": LABELS,
                "annotations": {"summary": "it fails"},
                "startsAt": "1970-01-01T00:00:05.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": (
                    "http://127.0.0.1:9090/api/v1/query"
                    "?query=service%3Aerror_ratio%7Bservice%3D%22checkout%22%7D"
                ),
                "fingerprint": fingerprint(LABELS),
            }
        ],
    }


def test_resolved_payload() -> None:
    """A resolved alert keeps its start and fingerprint, and has an end."""
    (alert,) = payload(RESOLVED, "http://127.0.0.1:9090")["alerts"]

    assert alert["status"] == "resolved"
    assert alert["startsAt"] == "1970-01-01T00:00:05.000Z"
    assert alert["endsAt"] == "1970-01-01T00:00:09.500Z"
    assert alert["fingerprint"] == fingerprint(LABELS)


@pytest.mark.parametrize(
    ("alert", "told", "now", "expected"),
    [
        (FIRING, Told(), 5.0, True),
        (FIRING, TOLD, 6.0, False),
        (FIRING, TOLD, 5.0 + REPEAT_INTERVAL_S, True),
        (FIRING, Told(is_firing=True, fired_at=2.0, accepted_at=5.0), 6.0, True),
        (RESOLVED, TOLD, 6.0, True),
        (RESOLVED, Told(is_firing=False, fired_at=5.0, accepted_at=6.0), 99.0, False),
        (RESOLVED, Told(), 6.0, False),
    ],
    ids=["new", "told", "repeat", "fired-again", "resolved", "told-resolved", "never-told"],
)
def test_when_a_delivery_is_due(alert: Alert, told: Told, now: float, expected: bool) -> None:
    """A receiver hears of changes and, while it fires, now and then."""
    assert is_due(alert, told, now) is expected


@asynccontextmanager
async def receiver(statuses: list[int]) -> AsyncIterator[tuple[str, asyncio.Queue[Request]]]:
    """Serve a webhook that answers with these statuses, then with 200."""
    received: asyncio.Queue[Request] = asyncio.Queue()

    async def handle(request: Request) -> Response:
        received.put_nowait(request)
        return json_response(statuses.pop(0) if statuses else 200, {})

    server, sock = Server(handle), wire.listen()
    url = wire.url_of(sock)
    await server.start(sock)
    try:
        yield f"{url}/webhooks/alertmanager", received
    finally:
        server.stop_accepting()


async def test_delivery_is_retried_until_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals and errors are retried, with the token, until a 2xx; then the news follow."""
    monkeypatch.setattr(webhook, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(webhook, "REFUSED_RETRY_S", 0.01)
    alerts = [FIRING]
    async with receiver([503, 401, 500]) as (url, received):
        notifier = Notifier(url, "s3cret", "http://127.0.0.1:1", lambda: alerts)
        task = asyncio.create_task(notifier.run())
        deliveries = [await received.get() for _ in range(4)]
        alerts[:] = [RESOLVED]
        deliveries.append(await received.get())
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    assert {request.headers["authorization"] for request in deliveries} == {"Bearer s3cret"}
    statuses = [json.loads(request.body)["status"] for request in deliveries]
    assert statuses == ["firing"] * 4 + ["resolved"]
