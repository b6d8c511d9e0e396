"""Reports summarise calls, and the incident's answer says what happened with its evidence."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, TypeAdapter

from agents.claims import check
from agents.domain import Answer, Evidence, JsonObject
from agents.findings import OUTPUTS, AnswerOut, MetricsFindings, Verification
from agents.reports import REPORTS, CallOutcome
from agents.suspects import rank
from tests.agents.test_suspects import BAD_RELEASE, SLOW_PAYMENTS, T0, bad, facts, good

MAX_FINDING_BYTES = 16 * 1024
ANSWER = TypeAdapter(Answer)
CHART = CallOutcome({"title": "t"}, "ev-chart", "chart", "")
ROLLED_BACK: JsonObject = {
    "service": "checkout",
    "release": "0" * 40,
    "line": "rollback of checkout to 0000000 finished with exit code 0 after 0.4 s",
    "evidence_id": "ev-rollback",
}
APPROVED: JsonObject = {"tool": "service.rollback", "outcome": "approved", "by": "Alice", "at": T0}
NORMAL = Verification(
    service="checkout", is_normal=True, normal_since=T0 + 60, values={"error_ratio": 0.002}
).model_dump(mode="json")


def report(name: str, inputs: dict[str, Any], **calls: CallOutcome) -> dict[str, Any]:
    """Run a report function and hold its output to its documented model."""
    output = REPORTS[name](cast(JsonObject, inputs), calls)
    OUTPUTS[name].model_validate(output)
    json.dumps(output)
    return cast(dict[str, Any], output)


def outcome(output: JsonObject, evidence_id: str = "ev") -> CallOutcome:
    """Return a call that succeeded."""
    return CallOutcome(output, evidence_id, "", "")


def answer(scene: Any = BAD_RELEASE, **inputs: Any) -> Answer:
    """Return the answer about a scene."""
    ranking = rank(scene).model_dump(mode="json") if scene is not None else None
    given_ = {"service": "checkout", "ranking": ranking, **inputs}
    return ANSWER.validate_python(report("incident_answer", given_, chart=CHART))


def test_every_report_has_an_output_model() -> None:
    """The registry and the documented outputs name the same functions."""
    assert REPORTS.keys() == OUTPUTS.keys()


def test_answer_model_is_the_domain_answer() -> None:
    """What the reporter writes can be read as an answer, field by field."""
    assert set(AnswerOut.model_fields) == set(Answer.__dataclass_fields__)


def test_metrics_findings_say_since_when_and_keep_the_quote() -> None:
    """The first symptom of the service itself is the beginning."""
    items: list[JsonValue] = [
        {**bad("payments", at=T0 - 5).model_dump(mode="json"), "line": "payments rose"},
        {**bad("checkout").model_dump(mode="json"), "line": "checkout rose"},
    ]
    call = outcome({"indicators": items, "depends_on": ["payments"], "missing": ["m"]}, "ev-1")

    found = report("metrics_findings", {"service": "checkout"}, onset=call)

    assert found["symptom_since"] == T0
    assert found["is_normal_now"] is False
    assert found["indicators"][0]["quote"] == "checkout rose"
    assert found["indicators"][0]["evidence_id"] == "ev-1"
    assert found["missing"] == ["m"]


def test_failed_call_is_missing_and_a_skipped_one_is_not() -> None:
    """What could not be looked at is named; what was not needed is not."""
    failed = CallOutcome(None, "", "", "Prometheus did not answer")
    skipped = CallOutcome(None, "", "", "not needed: x")

    found = report("log_findings", {"service": "checkout"}, a=failed, b=skipped)

    assert found["missing"] == ["Prometheus did not answer"]


def test_findings_stay_small() -> None:
    """However much the tools found, a finding stays a summary."""
    pattern: JsonObject = {"service": "checkout", "level": "ERROR", "template": "x" * 240}
    patterns: list[JsonValue] = [{**pattern, "line": "y" * 400} for _ in range(500)]
    deploy: JsonObject = {"service": "checkout", "release": "a" * 40, "at": 1.0}
    deploys: list[JsonValue] = [
        {**deploy, "line": "z" * 300, "files": ["f" * 60] * 20} for _ in range(100)
    ]
    indicator: JsonObject = {**bad("checkout").model_dump(mode="json"), "line": "w" * 200}
    indicators: list[JsonValue] = [indicator] * 200

    for name, output in (
        ("log_findings", {"patterns": patterns}),
        ("change_findings", {"deploys": deploys}),
        ("metrics_findings", {"indicators": indicators}),
    ):
        found = report(name, {"service": "checkout"}, call=outcome(cast(JsonObject, output)))
        assert len(json.dumps(found)) <= MAX_FINDING_BYTES


def test_suspects_work_with_what_there_is() -> None:
    """A finding that is missing is named in the ranking."""
    found = report(
        "suspects",
        {
            "service": "checkout",
            "metrics": BAD_RELEASE.metrics.model_dump(mode="json"),
            "changes": BAD_RELEASE.changes.model_dump(mode="json"),
            "logs": None,
        },
    )

    assert "the logs could not be looked at" in found["missing"]
    assert found["suspects"][0]["kind"] == "deploy"


def test_verification_needs_every_service_to_be_normal() -> None:
    """One service that is not back means that it is not over."""
    good_one = outcome({"service": "checkout", "is_normal": True, "normal_since": 5.0, "lines": []})
    bad_one = outcome({"service": "payments", "is_normal": False, "lines": ["payments is bad"]})

    both = report("verification", {"service": "checkout"}, a=good_one, b=bad_one)
    one = report("verification", {"service": "checkout"}, a=good_one)

    assert (both["is_normal"], one["is_normal"]) == (False, True)
    assert both["lines"][0]["quote"] == "payments is bad"


def test_fixed_says_cause_who_and_proof() -> None:
    """The headline of a fixed incident is the whole story in one sentence."""
    found = answer(rollback=ROLLED_BACK, verification=NORMAL, decisions=[APPROVED])

    assert found.finding == "fixed"
    assert found.headline == (
        "Checkout was failing because release aaaaaaa broke it; rolled back to 0000000, "
        "approved by Alice, error ratio back to 0.2 %."
    )
    assert found.charts == ("ev-chart",)
    assert "approved by Alice" in found.actions[0]
    assert not found.used_model


def test_fixed_by_restarting_a_dependency() -> None:
    """The service that was acted on is named when it is another one."""
    restarted = {"service": "payments", "line": "restart of payments", "evidence_id": "e"}
    approved = {**APPROVED, "tool": "service.restart"}

    found = answer(SLOW_PAYMENTS, restart=restarted, verification=NORMAL, decisions=[approved])

    assert "because payments, which it depends on, became bad first" in found.headline
    assert "payments was restarted, approved by Alice" in found.headline


def test_denied_changes_nothing_and_recommends_by_hand() -> None:
    """A denied fix is told with who denied it."""
    denied = {**APPROVED, "outcome": "denied", "by": "Bob"}

    found = answer(decisions=[denied])

    assert found.finding == "cause_found"
    assert "the rollback was denied by Bob and nothing was changed" in found.headline
    assert found.recommendations == ("Roll checkout back to 0000000 by hand, or fix it forward.",)
    assert found.actions == ()


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"decisions": [{**APPROVED, "outcome": "expired"}]}, "nobody decided"),
        ({"statuses": {"rollback": {"status": "failed", "error": "x"}}}, "the rollback failed"),
        ({}, "was not carried out"),
        ({"rollback": ROLLED_BACK}, "the effect was not verified"),
        (
            {"rollback": ROLLED_BACK, "verification": {**NORMAL, "is_normal": False}},
            "it is not back to normal",
        ),
    ],
)
def test_unfinished_fix_is_told_as_it_is(inputs: dict[str, Any], words: str) -> None:
    """Nothing is called fixed that was not done and verified."""
    found = answer(**inputs)

    assert words in found.headline
    assert found.finding == "cause_found"


def test_a_fix_by_hand_is_verified_like_any_other() -> None:
    """What a person mended is told so once the numbers are good, and not before."""
    mended = answer(facts([bad("checkout")]), manual=NORMAL)
    not_yet = answer(facts([bad("checkout")]), manual={**NORMAL, "is_normal": False})

    assert mended.finding == "fixed"
    assert mended.headline == (
        "Checkout was failing; it was mended by hand, error ratio back to 0.2 %."
    )
    assert "Declare what was done" in mended.recommendations[0]
    assert not_yet.finding == "inconclusive"


@pytest.mark.parametrize(("status", "is_said"), [("new", False), ("again", True)])
def test_what_an_incident_is_part_of_is_said(status: str, is_said: bool) -> None:
    """A new incident needs no sentence about others."""
    found = answer(detection={"status": status, "line": "It fired before"})

    assert ("It fired before." in found.summary) is is_said


def test_healthy_says_that_nothing_is_wrong() -> None:
    """The honest answer to a false alarm."""
    found = answer(facts([good("checkout")]), resolved={"is_resolved": True})

    assert found.headline == "Nothing is wrong with checkout now."
    assert found.finding == "healthy"
    assert found.actions == ()


def test_healthy_metrics_with_a_firing_alert_are_not_called_healthy() -> None:
    """An alert that no indicator explains stays open."""
    found = answer(facts([good("checkout")]), resolved={"is_resolved": False})

    assert found.finding == "inconclusive"
    assert "its alert still fires" in found.headline


def test_inconclusive_names_what_was_considered() -> None:
    """Without a clear cause the answer says so and where to look."""
    found = answer(facts([bad("checkout")]))

    assert found.finding == "inconclusive"
    assert "does not show one clear cause" in found.headline


def test_missing_diagnosis_is_a_failure_that_names_the_steps() -> None:
    """If the diagnosis failed, the answer says which step and why."""
    statuses = {
        "metrics": {"title": "Look at metrics", "status": "failed", "error": "no answer"},
        "logs": {"title": "Look at logs", "status": "succeeded", "error": ""},
    }

    found = answer(None, statuses=statuses)

    assert found.finding == "failed"
    assert found.missing == ("Look at metrics failed: no answer",)


def test_chart_that_failed_is_missing() -> None:
    """An answer without its chart says so."""
    failed = CallOutcome(None, "", "", "no data to draw")

    found = REPORTS["incident_answer"]({"service": "checkout"}, {"chart": failed})

    assert found["charts"] == []
    assert found["missing"] == ["chart: no data to draw"]


def test_timeline_is_in_order_and_tells_each_thing_once() -> None:
    """What the run and the evidence both know is told once."""
    alert = {"title": "CheckoutErrorRateHigh", "started_at": T0 + 12}
    known = [
        {"at": T0 + 12.5, "text": "Alert firing: CheckoutErrorRateHigh", "kind": "alert"},
        {"at": T0 + 30, "text": "Rollback: approved by Alice", "kind": "decision"},
    ]

    found = answer(alerts={"alerts": [alert]}, timeline=known, rollback=ROLLED_BACK)

    assert [moment.kind for moment in found.timeline] == ["change", "symptom", "alert", "decision"]
    assert list(found.timeline) == sorted(found.timeline, key=lambda moment: moment.at)


def test_claims_hold_against_their_evidence() -> None:
    """What the answer cites stands in the evidence that the findings name."""
    found = answer(rollback=ROLLED_BACK, verification=NORMAL, decisions=[APPROVED])
    texts = {
        "ev-metrics": "checkout error_ratio rose",
        "ev-logs": "unhandled KeyError: 'tax_region'",
        "ev-changes": "checkout deployed aaaaaaa",
        "ev-rollback": str(ROLLED_BACK["line"]),
    }
    evidence = {key: Evidence(key, "r", "s", "t", "t", text, 0.0) for key, text in texts.items()}

    checked = check(found, evidence)

    assert checked.claims
    assert not any(claim.is_struck for claim in checked.claims)


KEYS = st.sampled_from(["at", "text", "kind", "alerts", "started_at", "is_resolved", "resolved_at"])
VALUES: st.SearchStrategy[Any] = (
    st.none() | st.integers(0, 10) | st.booleans() | st.just([]) | st.just("words")
)
RECORDS = st.dictionaries(KEYS, VALUES, max_size=4)


@given(st.none() | RECORDS, st.none() | RECORDS, st.lists(RECORDS, max_size=3))
def test_partial_inputs_still_give_an_answer(
    alerts: Any, resolved: Any, timeline: list[Any]
) -> None:
    """Whatever earlier steps left out, there is an answer with a headline."""
    found = answer(None, alerts=alerts, resolved=resolved, timeline=timeline)

    assert found.headline


def test_empty_findings_are_valid() -> None:
    """A finding without calls says that nothing is known."""
    found = MetricsFindings.model_validate(report("metrics_findings", {"service": "checkout"}))

    assert found.is_normal_now is None
