"""The report functions of runbooks: pure, from a step's inputs and calls to its output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue

from agents.detection import detection
from agents.domain import JsonObject
from agents.findings import (
    ChangeFinding,
    ChangeFindings,
    IndicatorFinding,
    LogFindings,
    MetricsFindings,
    PatternFinding,
    Reason,
    Verification,
    as_json,
)
from agents.incident_answer import incident_answer
from agents.incident_notices import incident_notices
from agents.outcome import CallOutcome
from agents.support.account import account_facts
from agents.support.answer import ticket_answer
from agents.support.knowledge import fitting_articles
from agents.support.reply import reply_check, reply_draft
from agents.support.routing import ticket_routing
from agents.support.triage import classify
from agents.suspects import DiagnosisFacts, rank

__all__ = ["REPORTS", "CallOutcome", "Report"]

MAX_INDICATORS = 24
MAX_PATTERNS = 16
MAX_PER_SERVICE = 8
MAX_DEPLOYS = 12
MAX_FILES = 8
MAX_MISSING = 12
QUIET = frozenset({"INFO", "DEBUG", "TRACE"})


R = TypeVar("R", bound=BaseModel)
Report = Callable[[JsonObject, Mapping[str, CallOutcome]], JsonObject]


def metrics_findings(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Summarise `metrics.onset` calls: which indicators are bad, since when."""
    found: list[IndicatorFinding] = []
    depends_on: list[str] = []
    checked_at = 0.0
    for outcome, output in _outputs(calls, "indicators"):
        depends_on += _texts(output.get("depends_on"))
        checked_at = max(checked_at, float(output.get("checked_at") or 0.0))
        found += [
            IndicatorFinding.model_validate(
                {**item, "evidence_id": outcome.evidence_id, "quote": item.get("line", "")}
            )
            for item in _records(output["indicators"])
        ]
    service = str(inputs.get("service", ""))
    found.sort(key=lambda item: (item.service != service, item.is_normal_now is not False))
    own = [item for item in found if item.service == service and item.is_normal_now is not None]
    bad = [item for item in own if item.is_normal_now is False and item.onset_at is not None]
    return as_json(
        MetricsFindings(
            service=service,
            checked_at=checked_at,
            is_normal_now=all(item.is_normal_now for item in own) if own else None,
            symptom_since=min((item.onset_at or 0.0 for item in bad), default=None),
            depends_on=tuple(dict.fromkeys(depends_on)),
            indicators=tuple(found[:MAX_INDICATORS]),
            missing=_missing(calls),
        )
    )


def log_findings(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Summarise `logs.patterns` calls: the kinds of lines that speak of trouble."""
    found: list[PatternFinding] = []
    lines_read = 0
    for outcome, output in _outputs(calls, "patterns"):
        lines_read += int(output.get("lines_read") or 0)
        per_service: dict[str, int] = {}
        for item in _records(output["patterns"]):
            service = str(item.get("service", ""))
            is_quiet = item.get("level") in QUIET and not item.get("is_new")
            if is_quiet or per_service.get(service, 0) >= MAX_PER_SERVICE:
                continue
            per_service[service] = per_service.get(service, 0) + 1
            found.append(
                PatternFinding.model_validate(
                    {**item, "evidence_id": outcome.evidence_id, "quote": item.get("line", "")}
                )
            )
    return as_json(
        LogFindings(
            service=str(inputs.get("service", "")),
            patterns=tuple(found[:MAX_PATTERNS]),
            lines_read=lines_read,
            missing=_missing(calls),
        )
    )


def change_findings(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Summarise `deploys.recent` calls."""
    found: list[ChangeFinding] = []
    actions: dict[str, tuple[str, ...]] = {}
    for outcome, output in _outputs(calls, "deploys"):
        declared = output.get("actions")
        if isinstance(declared, dict):
            actions |= {name: tuple(_texts(names)) for name, names in declared.items()}
        found += [
            ChangeFinding.model_validate(
                {
                    **item,
                    "files": _texts(item.get("files"))[:MAX_FILES],
                    "evidence_id": outcome.evidence_id,
                    "quote": item.get("line", ""),
                }
            )
            for item in _records(output["deploys"])
        ]
    found.sort(key=lambda deploy: deploy.at, reverse=True)
    return as_json(
        ChangeFindings(
            service=str(inputs.get("service", "")),
            deploys=tuple(found[:MAX_DEPLOYS]),
            actions=actions,
            missing=_missing(calls),
        )
    )


def suspects(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Rank the causes that the three analysts' findings speak for."""
    service = str(inputs.get("service", ""))
    alerted_at = inputs.get("alerted_at")
    facts = DiagnosisFacts(
        service=service,
        metrics=_given(MetricsFindings, inputs.get("metrics"), service, "the metrics"),
        logs=_given(LogFindings, inputs.get("logs"), service, "the logs"),
        changes=_given(ChangeFindings, inputs.get("changes"), service, "the deploys"),
        alerted_at=float(alerted_at) if isinstance(alerted_at, int | float) else None,
    )
    return as_json(rank(facts))


def verification(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Summarise `metrics.wait_normal` calls: normal when all of them say so."""
    service = str(inputs.get("service", ""))
    waits = list(_outputs(calls, "is_normal"))
    values: dict[str, Any] = {}
    for _, output in waits:
        if output.get("service") == service and isinstance(output.get("values"), dict):
            values = dict(output["values"])
    since = [output["normal_since"] for _, output in waits if output.get("normal_since")]
    return as_json(
        Verification(
            service=service,
            is_normal=bool(waits) and all(bool(output["is_normal"]) for _, output in waits),
            normal_since=max((float(at) for at in since), default=None),
            waited_s=max((float(output.get("waited_s") or 0.0) for _, output in waits), default=0),
            values=values,
            lines=tuple(
                Reason(text=line, evidence_id=outcome.evidence_id, quote=line)
                for outcome, output in waits
                for line in _texts(output.get("lines"))
            ),
            missing=_missing(calls),
        )
    )


def _given(model: type[R], value: JsonValue, service: str, what: str) -> R:
    """Return the findings of an earlier step, or empty ones that say what is missing."""
    if isinstance(value, dict):
        return model.model_validate(value)
    return model.model_validate({"service": service, "missing": [f"{what} could not be looked at"]})


def _outputs(
    calls: Mapping[str, CallOutcome], key: str
) -> Iterator[tuple[CallOutcome, dict[str, Any]]]:
    """Yield the calls that gave an output with that key."""
    for outcome in calls.values():
        if outcome.output is not None and outcome.output.get(key) is not None:
            yield outcome, outcome.output


def _records(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _missing(calls: Mapping[str, CallOutcome]) -> tuple[str, ...]:
    """Return what the calls could not see; a call that was not needed is not missing."""
    found: list[str] = []
    for outcome in calls.values():
        if outcome.output is not None:
            found += _texts(outcome.output.get("missing"))
        elif outcome.error and not outcome.error.startswith("not needed"):
            found.append(outcome.error)
    return tuple(dict.fromkeys(found))[:MAX_MISSING]


REPORTS: Mapping[str, Report] = {
    "metrics_findings": metrics_findings,
    "log_findings": log_findings,
    "change_findings": change_findings,
    "suspects": suspects,
    "verification": verification,
    "detection": detection,
    "incident_notices": incident_notices,
    "incident_answer": lambda inputs, calls: incident_answer(
        inputs,
        chart_id=next((one.evidence_id for one in calls.values() if one.output), ""),
        missing=_missing(calls),
    ),
    "ticket_triage": lambda inputs, _: as_json(classify(str(inputs.get("text") or ""))),
    "account_facts": account_facts,
    "fitting_articles": fitting_articles,
    "ticket_routing": ticket_routing,
    "reply_draft": reply_draft,
    "reply_check": reply_check,
    "ticket_answer": ticket_answer,
}
"""Report function by the name that `runbook.report.function` gives."""
