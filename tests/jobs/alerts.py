"""Alerts and routes that tests share."""

from __future__ import annotations

from typing import Any

from config.specs import RouteSpec
from jobs.incidents import Alert, AlertStatus, Arrival

NOW = 10_000.0
ROUTE = RouteSpec(name="everything", workflow="incident", group_by=("service",))
SHOW_ONLY = RouteSpec(name="quiet", workflow=None)


def firing(name: str = "HighErrors", service: str = "checkout", **fields: Any) -> Alert:
    """Return an alert that fires since NOW - 10."""
    return Alert(
        **{
            "fingerprint": f"{name}-{service}",
            "source": "alertmanager",
            "title": name,
            "severity": "critical",
            "labels": {"alertname": name, **({"service": service} if service else {})},
            "starts_at": NOW - 10,
            **fields,
        }
    )


def resolved(name: str = "HighErrors", service: str = "checkout", **fields: Any) -> Alert:
    """Return the same alert, resolved at NOW + 5 unless it says otherwise."""
    ended: dict[str, Any] = {"status": AlertStatus.RESOLVED, "ends_at": NOW + 5}
    return firing(name, service, **{**ended, **fields})


def arrivals(*alerts: Alert, route: RouteSpec = ROUTE) -> list[Arrival]:
    """Return the alerts on their way."""
    return [Arrival(alert, route) for alert in alerts]
