"""Says whether an alert is something new, something that came back, or part of something larger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.domain import JsonObject
from agents.findings import Detection, Reason, as_json
from agents.outcome import CallOutcome
from agents.wording import clock, one_line

INCIDENTS_CALL = "incidents"
MAX_OTHERS = 5
MAX_DEPLOYS = 3
RECENT_S = 3_600.0
MAX_LINE_CHARS = 200


def detection(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Return what an incident is part of, with what else fires and what was deployed before."""
    service = str(inputs.get("service") or "")
    incident_id = str(inputs.get("incident_id") or "")
    alerts = _records(inputs.get("alerts"), "alerts")
    changes = inputs.get("changes")
    actions = changes.get("actions") if isinstance(changes, dict) else None
    near = {service, *(actions if isinstance(actions, dict) else ())}
    outcome = calls.get(INCIDENTS_CALL)
    found = _records(outcome.output if outcome else None, "incidents")
    others = [one for one in found if one.get("id") != incident_id]
    own_at = next((_at(one) for one in found if one.get("id") == incident_id), None)
    larger = next(
        (one for one in others if one.get("service") in near and _is_before(one, own_at)), None
    )
    again = _fired_before(alerts)
    if larger is not None:
        status, line = "part_of", f"Probably part of {larger.get('line')}"
    elif again is not None:
        status, line = "again", f"It fired before, at {clock(again)}, and was over"
    else:
        status, line = "new", "New: nothing else that is open explains it"
    evidence_id = outcome.evidence_id if outcome else ""
    return as_json(
        Detection.model_validate(
            {
                "status": status,
                "incident_id": str(larger.get("id")) if larger else "",
                "line": one_line(line, MAX_LINE_CHARS),
                "others": [
                    Reason(text=str(one["line"]), evidence_id=evidence_id, quote=str(one["line"]))
                    for one in others[:MAX_OTHERS]
                    if one.get("line")
                ],
                "deploys": [str(one["quote"]) for one in _recent(changes, alerts)],
                "missing": [outcome.error] if outcome and outcome.error else [],
            }
        )
    )


def _recent(changes: object, alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the newest deploys of the hour before it began."""
    began = min(
        (_at(one, "started_at") or 0.0 for one in alerts if one.get("is_firing")), default=0
    )
    return [
        one
        for one in _records(changes, "deploys")
        if one.get("quote") and began and 0 <= began - (_at(one, "at") or 0.0) <= RECENT_S
    ][:MAX_DEPLOYS]


def _fired_before(alerts: list[dict[str, Any]]) -> float | None:
    """Return when an alert that fires now had fired before, and ended."""
    firing = {one.get("title") for one in alerts if one.get("is_firing")}
    before = [
        _at(one, "started_at")
        for one in alerts
        if not one.get("is_firing") and one.get("title") in firing
    ]
    return max((at for at in before if at is not None), default=None)


def _is_before(incident: Mapping[str, Any], own_at: float | None) -> bool:
    at = _at(incident)
    return own_at is None or (at is not None and at <= own_at)


def _at(record: Mapping[str, Any], name: str = "opened_at") -> float | None:
    value = record.get(name)
    return float(value) if isinstance(value, int | float) else None


def _records(value: object, key: str) -> list[dict[str, Any]]:
    found = value.get(key) if isinstance(value, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
