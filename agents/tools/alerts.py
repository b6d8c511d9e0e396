"""Alerts: what else is firing, and whether an incident is over; asks whoever keeps them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import BaseModel, Field

from agents.redact import redact
from agents.tool import Limits, Tool, ToolContext, ToolResult, ToolRetry
from agents.wording import duration, one_line, utc

DEFAULT_LOOK_BACK_S = 3_600.0
MAX_LOOK_BACK_S = 86_400.0
MAX_ALERTS = 50
MAX_INCIDENTS = 50
MAX_SUMMARY_CHARS = 200
POLL_S = 1.0
MAX_WAIT_S = 600.0


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """What is known of one alert. Times are Unix seconds; `ended_at` is None while it fires."""

    fingerprint: str
    title: str
    service: str
    severity: str
    started_at: float
    ended_at: float | None = None
    summary: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    incident_id: str = ""


@dataclass(frozen=True, slots=True)
class IncidentFacts:
    """What is known of one incident; `resolved_at` is None while any alert of it fires."""

    id: str
    title: str
    opened_at: float
    resolved_at: float | None = None
    service: str = ""


class AlertBook(Protocol):
    """Where alerts and incidents are kept."""

    async def related(self, service: str, since: float) -> list[AlertFacts]:
        """Return the alerts of a service that fired since then, newest first."""
        ...

    async def incident(self, incident_id: str) -> IncidentFacts | None:
        """Return the incident, None when there is none of that id."""
        ...

    async def open_incidents(self) -> list[IncidentFacts]:
        """Return the newest incidents that are not resolved, newest first."""
        ...


class RelatedArguments(BaseModel, extra="forbid"):
    """Whose alerts to list, how far back."""

    service: str
    last_s: float = Field(DEFAULT_LOOK_BACK_S, gt=0, le=MAX_LOOK_BACK_S)


class AlertRecord(BaseModel):
    """One alert; `line` is its line of the evidence."""

    title: str
    service: str
    severity: str
    is_firing: bool
    started_at: float
    ended_at: float | None = None
    summary: str = ""
    incident_id: str = ""
    line: str = ""


class RelatedOutput(BaseModel):
    """The alerts, oldest first; `started_at` is when the first that still fires began."""

    service: str
    is_firing: bool
    started_at: float | None = None
    alerts: list[AlertRecord] = Field(default_factory=list)


class IncidentsArguments(BaseModel, extra="forbid"):
    """Nothing: all that are open are listed."""


class IncidentRecord(BaseModel):
    """One open incident; `line` is its line of the evidence."""

    id: str
    title: str
    service: str = ""
    opened_at: float
    line: str = ""


class IncidentsOutput(BaseModel):
    """The incidents that are open, oldest first."""

    incidents: list[IncidentRecord] = Field(default_factory=list)


class WaitArguments(BaseModel, extra="forbid"):
    """Which incident to wait for, and how long."""

    incident_id: str = Field(min_length=1, max_length=100)
    within_s: float = Field(120.0, gt=0, le=MAX_WAIT_S)


class WaitOutput(BaseModel):
    """Whether all alerts of the incident are over."""

    incident_id: str
    is_resolved: bool
    resolved_at: float | None = None
    waited_s: float = 0.0
    line: str = ""


class _Related:
    """Lists a service's alerts."""

    def __init__(self, book: AlertBook) -> None:
        self._book = book

    async def __call__(self, context: ToolContext, args: RelatedArguments) -> ToolResult:
        facts = await self._book.related(args.service, context.now - args.last_s)
        facts = sorted(facts, key=lambda alert: alert.started_at)[-MAX_ALERTS:]
        alerts = [_record(alert) for alert in facts]
        # Without a firing one, the newest alert is the one that people ask about.
        relevant = [alert for alert in alerts if alert.is_firing] or alerts[-1:]
        output = RelatedOutput(
            service=args.service,
            is_firing=any(alert.is_firing for alert in alerts),
            started_at=min((alert.started_at for alert in relevant), default=None),
            alerts=alerts,
        )
        head = f"{len(alerts)} alerts of {args.service} in the last {duration(args.last_s)}"
        text = "\n".join([head, *(alert.line for alert in alerts)])
        return ToolResult(output, text, f"Alerts of {args.service}")


class _Incidents:
    """Lists the open incidents."""

    def __init__(self, book: AlertBook) -> None:
        self._book = book

    async def __call__(self, context: ToolContext, args: IncidentsArguments) -> ToolResult:
        facts = sorted(await self._book.open_incidents(), key=lambda one: one.opened_at)
        incidents = [_incident_record(one) for one in facts[-MAX_INCIDENTS:]]
        head = f"{len(incidents)} incidents are open"
        text = "\n".join([head, *(one.line for one in incidents)])
        return ToolResult(IncidentsOutput(incidents=incidents), text, "Open incidents")


class _WaitResolved:
    """Polls an incident until it is resolved or the time is up."""

    def __init__(self, book: AlertBook) -> None:
        self._book = book

    async def __call__(self, context: ToolContext, args: WaitArguments) -> ToolResult:
        started = time.monotonic()
        while True:
            incident = await self._book.incident(args.incident_id)
            if incident is None:
                raise ToolRetry(f"there is no incident {args.incident_id!r}")
            waited = time.monotonic() - started
            if incident.resolved_at is not None or waited >= args.within_s:
                break
            await asyncio.sleep(min(POLL_S, args.within_s - waited))
        title = one_line(redact(incident.title), MAX_SUMMARY_CHARS)
        if incident.resolved_at is not None:
            line = f"{title}: resolved at {utc(incident.resolved_at)}"
        else:
            line = f"{title}: still firing after {waited:.0f} s"
        output = WaitOutput(
            incident_id=incident.id,
            is_resolved=incident.resolved_at is not None,
            resolved_at=incident.resolved_at,
            waited_s=round(waited, 1),
            line=line,
        )
        return ToolResult(output, line, line)


def alert_tools(book: AlertBook) -> tuple[Tool, ...]:
    """Return the tools over the given book; they run in the worker, since they need it."""
    return (
        Tool(
            name="alerts.related",
            description="List the alerts of a service, firing and recently resolved.",
            arguments=RelatedArguments,
            output=RelatedOutput,
            run=_Related(book),
            is_confined=False,
        ),
        Tool(
            name="alerts.incidents",
            description="List the incidents that are open, of all services.",
            arguments=IncidentsArguments,
            output=IncidentsOutput,
            run=_Incidents(book),
            is_confined=False,
        ),
        Tool(
            name="alerts.wait_resolved",
            description="Wait until all alerts of an incident are resolved.",
            arguments=WaitArguments,
            output=WaitOutput,
            run=_WaitResolved(book),
            is_confined=False,
            limits=Limits(timeout_s=MAX_WAIT_S + 30),
        ),
    )


def _incident_record(incident: IncidentFacts) -> IncidentRecord:
    title = one_line(redact(incident.title), MAX_SUMMARY_CHARS)
    of = f" of {incident.service}" if incident.service else ""
    line = f"{incident.id}: {title}{of}, open since {utc(incident.opened_at)}"
    return IncidentRecord(
        id=incident.id,
        title=title,
        service=incident.service,
        opened_at=incident.opened_at,
        line=line,
    )


def _record(alert: AlertFacts) -> AlertRecord:
    title = one_line(redact(alert.title), MAX_SUMMARY_CHARS)
    summary = one_line(redact(alert.summary), MAX_SUMMARY_CHARS)
    state = "firing" if alert.ended_at is None else f"resolved {utc(alert.ended_at)}"
    line = (
        f"{title} ({alert.severity}) on {alert.service}: since {utc(alert.started_at)}, {state}"
        + (f": {summary}" if summary else "")
    )
    return AlertRecord(
        title=title,
        service=alert.service,
        severity=alert.severity,
        is_firing=alert.ended_at is None,
        started_at=alert.started_at,
        ended_at=alert.ended_at,
        summary=summary,
        incident_id=alert.incident_id,
        line=line,
    )
