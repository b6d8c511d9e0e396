"""Alerts are listed and waited for through the book that keeps them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.sandbox import call
from agents.tool import Toolbox, ToolResult, ToolRetry
from agents.tools import alerts
from agents.tools.alerts import (
    AlertFacts,
    IncidentFacts,
    IncidentsOutput,
    RelatedOutput,
    WaitOutput,
    alert_tools,
)
from tests.agents.test_tools.conftest import NOW, world

FIRING = AlertFacts("f1", "CheckoutErrorRateHigh", "checkout", "critical", NOW - 30)
OVER = AlertFacts(
    "f2", "Slow", "checkout", "warning", NOW - 300, NOW - 200, "password=hunter2hunter2"
)
OPEN = IncidentFacts("i1", "checkout fails", NOW - 30)


class Book:
    """An alert book whose incident is resolved after some looks."""

    def __init__(self, facts: list[AlertFacts], looks: int = 0) -> None:
        self.facts = facts
        self.looks = looks
        self.since = 0.0

    async def related(self, service: str, since: float) -> list[AlertFacts]:
        """Return the facts."""
        self.since = since
        return self.facts

    async def incident(self, incident_id: str) -> IncidentFacts | None:
        """Return the incident, resolved when it was looked at often enough."""
        if incident_id != OPEN.id:
            return None
        self.looks -= 1
        return OPEN if self.looks >= 0 else replace(OPEN, resolved_at=NOW)

    async def open_incidents(self) -> list[IncidentFacts]:
        """Return two, newest first."""
        return [OPEN, replace(OPEN, id="inc-0", opened_at=OPEN.opened_at - 60, service="payments")]


async def use(book: Book, tool: str, **arguments: str | float) -> ToolResult:
    """Call one of the alert tools."""
    return await call(Toolbox(alert_tools(book))[tool], arguments, world())


async def test_related_lists_oldest_first_and_says_since_when() -> None:
    """The start is that of the first alert that still fires; secrets are masked."""
    result = await use(Book([FIRING, OVER]), "alerts.related", service="checkout", last_s=600)

    assert isinstance(result.output, RelatedOutput)
    assert [alert.title for alert in result.output.alerts] == ["Slow", "CheckoutErrorRateHigh"]
    assert (result.output.is_firing, result.output.started_at) == (True, NOW - 30)
    assert "hunter2" not in result.text
    assert all(alert.line in result.text for alert in result.output.alerts)


async def test_without_alerts_nothing_is_known() -> None:
    """No alert, no time."""
    output = (await use(Book([]), "alerts.related", service="checkout")).output

    assert isinstance(output, RelatedOutput)
    assert (output.is_firing, output.started_at) == (False, None)


async def test_wait_ends_with_the_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait looks until the incident is resolved."""
    monkeypatch.setattr(alerts, "POLL_S", 0.0)

    output = (await use(Book([], looks=3), "alerts.wait_resolved", incident_id="i1")).output

    assert isinstance(output, WaitOutput)
    assert (output.is_resolved, output.resolved_at) == (True, NOW)


async def test_wait_gives_up_in_time() -> None:
    """An incident that stays open is told as that."""
    result = await use(Book([], looks=99), "alerts.wait_resolved", incident_id="i1", within_s=0.01)

    assert isinstance(result.output, WaitOutput)
    assert not result.output.is_resolved
    assert "still firing" in result.text


async def test_unknown_incident_is_refused() -> None:
    """An id that nobody knows is a wrong argument."""
    with pytest.raises(ToolRetry, match="no incident"):
        await use(Book([]), "alerts.wait_resolved", incident_id="i2")


async def test_open_incidents_are_listed_oldest_first() -> None:
    """What else is going on can be seen from an incident."""
    result = await use(Book([]), "alerts.incidents")

    assert isinstance(result.output, IncidentsOutput)
    assert [one.id for one in result.output.incidents] == ["inc-0", OPEN.id]
    assert result.output.incidents[0].service == "payments"
    assert all(one.line in result.text for one in result.output.incidents)
