"""Puts right what a model hands in where code knows better: what was measured, done and decided.

A model may word, weigh, add and doubt. It may not change a number that a tool measured, call fixed
what nobody verified, or propose what was never declared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

from agents.domain import JsonObject
from agents.findings import (
    AnswerOut,
    ChangeFindings,
    MetricsFindings,
    Proposal,
    Ranking,
    as_json,
)
from agents.suspects import MAX_CONFIDENCE

Status = Literal["cause_found", "inconclusive", "healthy"]
Correction = Callable[[JsonObject, JsonObject, JsonObject], JsonObject]
"""From a step's inputs, what its runbook's report says, and what the model handed in."""
PROVEN = frozenset({"fixed", "healthy"})
"""Findings that rest on a measurement, never on an opinion."""


def corrected(function: str, inputs: JsonObject, rules: JsonValue, output: JsonValue) -> JsonValue:
    """Return a model's output as it may be passed on; `function` names the report it replaces."""
    correct = CORRECTIONS.get(function)
    if correct is None or not isinstance(rules, dict) or not isinstance(output, dict):
        return output
    try:
        return correct(inputs, rules, output)
    except ValidationError:
        return output  # Other steps read what they can of it.


def _metrics(inputs: JsonObject, rules: JsonObject, output: JsonObject) -> JsonObject:
    """Keep every number that was measured; the model may add indicators, with evidence."""
    measured, said = MetricsFindings.model_validate(rules), MetricsFindings.model_validate(output)
    known = {(one.service, one.indicator) for one in measured.indicators}
    added = [
        one
        for one in said.indicators
        if (one.service, one.indicator) not in known and one.evidence_id and one.quote
    ]
    return as_json(
        measured.model_copy(
            update={
                "indicators": (*measured.indicators, *added),
                "missing": tuple(dict.fromkeys((*measured.missing, *said.missing))),
            }
        )
    )


def _ranking(inputs: JsonObject, rules: JsonObject, output: JsonObject) -> JsonObject:
    """Keep what was measured, and drop a proposal that nobody declared or that comes too early."""
    measured, said = Ranking.model_validate(rules), Ranking.model_validate(output)
    status: Status = "inconclusive" if said.status == "healthy" else said.status
    if measured.status == "healthy":
        status = "healthy"
    changes = ChangeFindings.model_validate(inputs.get("changes") or {"service": said.service})
    may_act = (
        status == "cause_found"
        and measured.is_present_now is True
        and _is_declared(said.proposal, changes)
    )
    return as_json(
        said.model_copy(
            update={
                "service": measured.service,
                "status": status,
                "confidence": min(said.confidence, MAX_CONFIDENCE),
                "symptom_since": measured.symptom_since,
                "symptom_indicator": measured.symptom_indicator,
                "symptom_unit": measured.symptom_unit,
                "is_present_now": measured.is_present_now,
                "symptoms": measured.symptoms,
                "marks": measured.marks,
                "missing": tuple(dict.fromkeys((*measured.missing, *said.missing))),
                "proposal": said.proposal if may_act else Proposal(),
            }
        )
    )


def _is_declared(proposal: Proposal, changes: ChangeFindings) -> bool:
    """Say whether a proposal is a declared command, to a release that was there before."""
    if proposal.tool is None:
        return True
    service, verb = proposal.args.service, proposal.tool.partition(".")[2]
    if verb not in changes.actions.get(service, ()):
        return False
    known = {one.previous for one in changes.deploys if one.service == service and one.previous}
    return verb != "rollback" or proposal.args.release in known


def _answer(inputs: JsonObject, rules: JsonObject, output: JsonObject) -> JsonObject:
    """Keep the record: when, what was done, by whom, and whether it was verified."""
    record, said = AnswerOut.model_validate(rules), AnswerOut.model_validate(output)
    finding: Any = said.finding
    headline = said.headline
    if finding in PROVEN and record.finding != finding:
        finding, headline = record.finding, record.headline
    return as_json(
        said.model_copy(
            update={
                "headline": headline,
                "finding": finding,
                "confidence": _lower(said.confidence, MAX_CONFIDENCE),
                "timeline": record.timeline,
                "actions": record.actions,
                "charts": record.charts,
                "missing": tuple(dict.fromkeys((*record.missing, *said.missing))),
            }
        )
    )


def _lower(confidence: float | None, most: float) -> float | None:
    return None if confidence is None else min(confidence, most)


CORRECTIONS: Mapping[str, Correction] = {
    "metrics_findings": _metrics,
    "suspects": _ranking,
    "incident_answer": _answer,
}
"""What is put right, by the report function whose place the model takes."""
