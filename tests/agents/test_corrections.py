"""A model words and weighs; what was measured, done or declared it cannot change."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import JsonValue

from agents.corrections import corrected
from agents.domain import JsonObject

MEASURED: JsonObject = {
    "service": "checkout",
    "is_normal_now": False,
    "symptom_since": 100.0,
    "indicators": [{"service": "checkout", "indicator": "error_ratio", "after": 0.4}],
    "missing": ["no latency"],
}
RANKED: JsonObject = {
    "service": "checkout",
    "status": "cause_found",
    "confidence": 0.8,
    "symptom_since": 100.0,
    "symptom_indicator": "error_ratio",
    "is_present_now": True,
}
CHANGES: JsonObject = {
    "service": "checkout",
    "deploys": [{"service": "checkout", "release": "bbb2222", "previous": "aaa1111"}],
    "actions": {"checkout": ["rollback"], "payments": ["restart"]},
}


def proposal(tool: str, service: str, release: str = "") -> JsonObject:
    """Return what a model proposes."""
    return {"tool": tool, "args": {"service": service, "release": release}}


def ranked(rules: JsonObject | None = None, **said: JsonValue) -> Any:
    """Return a model's ranking as it is passed on."""
    output: JsonObject = {**RANKED, **said}
    return corrected("suspects", {"changes": CHANGES}, {**RANKED, **(rules or {})}, output)


def test_measured_numbers_stay_and_cited_ones_are_added() -> None:
    """A model that makes the error ratio small is not heard; what it found besides is."""
    said: JsonObject = {
        **MEASURED,
        "is_normal_now": True,
        "indicators": [
            {"service": "checkout", "indicator": "error_ratio", "after": 0.0},
            {"service": "payments", "indicator": "x", "evidence_id": "ev-1", "quote": "x 3"},
            {"service": "payments", "indicator": "made up"},
        ],
        "missing": ["no traces"],
    }
    found: Any = corrected("metrics_findings", {}, MEASURED, said)

    assert [(one["indicator"], one["after"]) for one in found["indicators"]] == [
        ("error_ratio", 0.4),
        ("x", None),
    ]
    assert (found["is_normal_now"], found["missing"]) == (False, ["no latency", "no traces"])


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (proposal("service.rollback", "checkout", "aaa1111"), "service.rollback"),
        (proposal("service.restart", "payments"), "service.restart"),
        (proposal("service.rollback", "checkout", "bbb2222"), None),
        (proposal("service.rollback", "checkout", "evil"), None),
        (proposal("service.restart", "checkout"), None),
        (proposal("service.rollback", "payments", "aaa1111"), None),
    ],
)
def test_only_declared_commands_are_proposed(said: JsonObject, kept: str | None) -> None:
    """A rollback goes to a release that was there before, with a command that is declared."""
    assert ranked(proposal=said)["proposal"]["tool"] == kept


@pytest.mark.parametrize(
    ("rules", "said", "status"),
    [
        ({}, "healthy", "inconclusive"),
        ({"status": "healthy", "is_present_now": False}, "cause_found", "healthy"),
        ({"status": "inconclusive"}, "cause_found", "cause_found"),
        ({}, "inconclusive", "inconclusive"),
    ],
)
def test_health_is_measured(rules: JsonObject, said: str, status: str) -> None:
    """Nobody talks a service healthy, or ill."""
    rollback = proposal("service.rollback", "checkout", "aaa1111")

    found = ranked(rules, status=said, proposal=rollback)

    assert found["status"] == status
    assert (found["proposal"]["tool"] is not None) is (status == "cause_found")


def test_the_symptom_is_the_measured_one() -> None:
    """Since when, and which indicator, come from the numbers; nobody is surer than rules may be."""
    found = ranked(symptom_since=5.0, symptom_indicator="mood", confidence=1.0)

    assert (found["symptom_since"], found["symptom_indicator"]) == (100.0, "error_ratio")
    assert found["confidence"] == 0.95


def test_an_answer_keeps_the_record() -> None:
    """The words are the model's; what was done, when, and whether it helped are on record."""
    record: JsonObject = {
        "headline": "Checkout was rolled back, the effect was not verified.",
        "finding": "cause_found",
        "actions": ["Rolled back, approved by Ada"],
        "timeline": [{"at": 1.0, "text": "Alert"}],
        "charts": ["ev-chart"],
        "missing": ["verify failed"],
    }
    said: JsonObject = {
        "headline": "All is well again!",
        "finding": "fixed",
        "summary": "My own words.",
        "actions": ["Restarted everything"],
    }
    found: Any = corrected("incident_answer", {}, record, said)

    assert (found["headline"], found["finding"]) == (record["headline"], "cause_found")
    assert found["summary"] == "My own words."
    assert (found["actions"], found["charts"]) == (record["actions"], record["charts"])
    assert (len(found["timeline"]), found["missing"]) == (1, ["verify failed"])


def test_a_model_may_doubt() -> None:
    """Less sure than the rules is always allowed, in the model's own headline."""
    said: JsonObject = {"headline": "It cannot be told.", "finding": "inconclusive"}
    found: Any = corrected("incident_answer", {}, {"headline": "x", "finding": "cause_found"}, said)

    assert (found["headline"], found["finding"]) == ("It cannot be told.", "inconclusive")


@pytest.mark.parametrize("rules", [None, "text", {"service": 3}])
def test_without_rules_nothing_is_changed(rules: JsonValue) -> None:
    """Agents that did not start with their runbook, and other outputs, pass as they are."""
    assert corrected("suspects", {}, rules, {"a": 1}) == {"a": 1}
    assert corrected("log_findings", {}, {}, {"a": 1}) == {"a": 1}
