"""A small world for tests of the bot: a catalogue, a delivery, people."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from agents.tool import Effect, Tool, Toolbox, ToolContext, ToolResult
from config.contents import Catalogue
from config.specs import (
    AgentSpec,
    InputSpec,
    MatchSpec,
    ReportSpec,
    RouteSpec,
    RunbookSpec,
    ServiceSpec,
    SourceSpec,
    StepSpec,
    WorkflowSpec,
)
from jobs.state import Person

NOW = 1_000_000.0
ALICE = Person("console:alice", "Alice", frozenset({"oncall"}))
INCIDENT = WorkflowSpec(
    name="incident",
    title="Incident response",
    description="Finds out why a service misbehaves and proposes a fix.",
    match=MatchSpec(
        keywords=("failing", "errors", "slow", "down", "broken"),
        examples=("why is checkout failing?", "payments is slow"),
    ),
    inputs={"service": InputSpec(one_of="services", label="service")},
    steps=(
        StepSpec(id="metrics", title="Reading metrics", agent="metrics-analyst"),
        StepSpec(id="logs", title="Reading logs", tool="logs.patterns"),
        StepSpec(
            id="rollback", title="Rolling back", tool="service.rollback", needs=("metrics", "logs")
        ),
        StepSpec(id="answer", title="Writing the answer", tool="test.answer", after=("rollback",)),
    ),
    answer="answer",
)
REPORT = WorkflowSpec(
    name="weekly-report",
    title="Weekly report",
    description="Sums up the week.",
    match=MatchSpec(keywords=("report", "weekly"), examples=("write the weekly report",)),
    inputs={"days": InputSpec(type="integer", default=7)},
    steps=(StepSpec(id="answer", title="Writing", tool="test.answer"),),
    answer="answer",
)
CATALOGUE = Catalogue(
    agents={
        "metrics-analyst": AgentSpec(
            name="metrics-analyst",
            title="Metrics analyst",
            description="Reads metrics.",
            runbook=RunbookSpec(report=ReportSpec(output={"x": 1})),
        )
    },
    workflows={"incident": INCIDENT, "weekly-report": REPORT},
    services={"checkout": ServiceSpec(), "payments": ServiceSpec()},
    routes=(RouteSpec(name="everything", workflow="incident", group_by=("service",)),),
    sources={
        "alertmanager": SourceSpec(kind="alertmanager"),
        "generic": SourceSpec(
            kind="generic",
            items="body.alerts or [body]",
            mapping={
                "title": "item.title",
                "service": "item.service",
                "severity": "item.severity",
                "status": "item.status",
                "fingerprint": "item.id",
                "starts_at": "item.since",
                "ends_at": "item.until",
                "url": "item.url",
                "labels": "item.labels",
                "labels.team": "item.owner.team",
                "description": "item.text",
            },
        ),
    },
)


class RollbackArguments(BaseModel):
    """What a rollback needs."""

    service: str
    release: str


async def nothing(context: ToolContext, args: Any) -> ToolResult:
    """Fail: what shows runs carries out no tool."""
    raise AssertionError("no tool runs here")


TOOLBOX = Toolbox(
    [
        Tool(
            name="service.rollback",
            description="Roll back.",
            arguments=RollbackArguments,
            output=RollbackArguments,
            run=nothing,
            effect=Effect.WRITES,
        )
    ]
)


def am_alert(
    name: str = "CheckoutErrorRateHigh",
    service: str = "checkout",
    status: str = "firing",
    started: str = "2026-11-20T21:30:05.123456789Z",
    ended: str = "0001-01-01T00:00:00Z",
) -> dict[str, Any]:
    """Return one alert as Alertmanager sends it."""
    return {
        "status": status,
        "labels": {"alertname": name, "service": service, "severity": "critical"},
        "annotations": {"summary": f"{service} answers with errors"},
        "startsAt": started,
        "endsAt": ended,
        "generatorURL": "http://127.0.0.1:9090/graph",
        "fingerprint": f"{name}-{service}",
    }


def am_body(*alerts: dict[str, Any], **fields: Any) -> bytes:
    """Return a delivery of Alertmanager."""
    payload = {
        "version": "4",
        "groupKey": "{}:{alertname='X'}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "muster",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://127.0.0.1:9093",
        "alerts": list(alerts or [am_alert()]),
        **fields,
    }
    return json.dumps(payload).encode()
