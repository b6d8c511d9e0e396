"""Telling others about alerts: Alertmanager's webhook, format version 4."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import structlog

from demo import wire
from demo.monitor.alerts import Alert

RECEIVER = "muster"
REPEAT_INTERVAL_S = 30.0
FIRST_RETRY_S = 0.25
MAX_RETRY_S = 5.0
REFUSED_RETRY_S = 15.0
POST_TIMEOUT_S = 5.0
_POLL_S = 0.1
_GROUP_LABELS = ("alertname", "service")
_NEVER = "0001-01-01T00:00:00Z"

_log = structlog.get_logger()


def payload(alert: Alert, external_url: str) -> dict[str, Any]:
    """Return the body of one delivery; the shop's groups hold one alert each."""
    status = "firing" if alert.is_firing else "resolved"
    group = {name: alert.labels[name] for name in _GROUP_LABELS}
    group_key = ", ".join(f'{name}="{value}"' for name, value in group.items())
    query = quote(f'service:error_ratio{{service="{alert.labels["service"]}"}}')
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{group_key}}}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": RECEIVER,
        "groupLabels": group,
        "commonLabels": dict(alert.labels),
        "commonAnnotations": dict(alert.annotations),
        "externalURL": external_url,
        "alerts": [
            {
                "status": status,
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "startsAt": rfc3339(alert.state.fired_at),
                "endsAt": _NEVER if alert.is_firing else rfc3339(alert.state.resolved_at),
                "generatorURL": f"{external_url}/api/v1/query?query={query}",
                "fingerprint": alert.fingerprint,
            }
        ],
    }


def rfc3339(moment: float) -> str:
    """Return a time the way Alertmanager writes it."""
    stamp = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Told:
    """What the receiver has accepted about one alert."""

    is_firing: bool = False
    fired_at: float = 0.0
    accepted_at: float = 0.0


def is_due(alert: Alert, told: Told, now: float) -> bool:
    """Say whether the receiver must be told: something new, or firing for long.

    An alert that was resolved before anybody accepted it is not worth a call, as in Alertmanager.
    """
    if alert.is_firing:
        is_new = not told.is_firing or told.fired_at != alert.state.fired_at
        return is_new or now - told.accepted_at >= REPEAT_INTERVAL_S
    return told.is_firing


class Notifier:
    """Post due alerts to one receiver, each until it is accepted."""

    def __init__(
        self,
        url: str,
        token: str | None,
        external_url: str,
        alerts: Callable[[], Sequence[Alert]],
    ) -> None:
        self._url = url
        self._headers: Mapping[str, str] = {
            "content-type": "application/json",
            "user-agent": "Alertmanager/demo-shop",
            **({"authorization": f"Bearer {token}"} if token else {}),
        }
        self._external_url = external_url
        self._alerts = alerts
        self._told: dict[str, Told] = {}
        self._is_refusal_logged = False

    async def run(self) -> None:
        """Look for due alerts until cancelled; failures are retried, never given up."""
        wait_s = FIRST_RETRY_S
        while True:
            results = [await self._tell(alert) for alert in self._alerts()]
            failures = [status for status in results if status is not None]
            if not failures:
                wait_s = FIRST_RETRY_S
                await asyncio.sleep(_POLL_S)
            elif any(400 <= status < 500 for status in failures):
                await asyncio.sleep(REFUSED_RETRY_S)
            else:
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, MAX_RETRY_S)

    async def _tell(self, alert: Alert) -> int | None:
        """Deliver one alert if it is due; return the status of a failure (0: no answer)."""
        told = self._told.get(alert.fingerprint, Told())
        if not is_due(alert, told, time.time()):
            return None
        body = json.dumps(payload(alert, self._external_url)).encode()
        try:
            response = await wire.call(
                "POST", self._url, body=body, headers=self._headers, timeout_s=POST_TIMEOUT_S
            )
        except (TimeoutError, wire.WireError) as error:
            _log.warning("webhook_unreachable", url=self._url, error=str(error) or "timeout")
            return 0
        if not 200 <= response.status < 300:
            self._note_refusal(response)
            return response.status
        self._is_refusal_logged = False
        self._told[alert.fingerprint] = Told(alert.is_firing, alert.state.fired_at, time.time())
        _log.info("webhook_accepted", alert=alert.labels["alertname"], is_firing=alert.is_firing)
        return None

    def _note_refusal(self, response: wire.Response) -> None:
        is_permanent = 400 <= response.status < 500
        if is_permanent and self._is_refusal_logged:
            return
        self._is_refusal_logged = is_permanent
        _log.warning(
            "webhook_refused",
            status=response.status,
            answer=response.body[:300].decode(errors="replace"),
            hint="check the webhook address and its token" if is_permanent else "will retry soon",
        )
