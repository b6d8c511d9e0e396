"""The judge can be satisfied, and it can fail: each kind of expectation, both ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.domain import Answer, Finding
from bot.evals.judge import unmet
from bot.evals.outcome import Act, Cause, Outcome, turned_away
from jobs.state import Spent
from tests.bot.evals.cases import RELEASES, expecting, outcome, scenario

ROLLBACK = Act("service.rollback", {"service": "checkout"})
MET: list[dict[str, Any]] = [
    {"required": [{"kind": "cause_found"}]},
    {"required": [{"cause": "deploy", "service": "checkout", "release": "bad"}]},
    {"required": [{"cause": "any"}]},
    {"required": [{"says": "RELEASE {bad}   broke it"}]},
    {"any_of": [{"kind": "fixed"}, {"kind": "cause_found"}]},
    {"forbidden": [{"kind": "healthy"}, {"cause": "dependency"}]},
    {"cites": ["metrics.*"]},
    {"proposes": [{"tool": "service.rollback", "args": {"service": "checkout"}}]},
    {"never_proposes": [{"tool": "service.*", "args": {"service": "payments"}}]},
    {"never_does": [{"tool": "*"}]},
    {"required": [{"cause": "any"}], "min_confidence": 0.8, "max_confidence": 0.95},
    {"required": [{"cause": "any"}], "max_model_calls": 0, "max_cost_usd": 0},
]
UNMET: list[tuple[dict[str, Any], str]] = [
    ({"required": [{"kind": "healthy"}]}, "required and missing: the answer is healthy"),
    ({"required": [{"cause": "dependency"}]}, "the cause is dependency"),
    ({"required": [{"cause": "deploy", "service": "payments"}]}, "of payments"),
    ({"required": [{"kind": "fixed", "cause": "deploy"}]}, "the answer is fixed and the cause"),
    ({"required": [{"says": "payments"}]}, "it says “payments”"),
    ({"any_of": [{"kind": "fixed"}, {"kind": "healthy"}]}, "fixed or the answer is healthy"),
    ({"forbidden": [{"cause": "any"}]}, "forbidden and there: a cause is named"),
    ({"cites": ["logs.*"]}, "no claim that holds cites evidence of logs.*; cited: metrics.onset"),
    ({"asks": ["which region"]}, "nobody was asked “which region”"),
    ({"proposes": [{"tool": "service.restart"}]}, "not proposed: service.restart()"),
    ({"never_proposes": [{"tool": "service.*"}]}, "proposed, and must not be: service.rollback"),
    ({"does": [{"tool": "service.rollback"}]}, "not done: service.rollback(); done: nothing"),
    ({"required": [{"cause": "any"}], "min_confidence": 0.95}, "expected at least 0.95"),
    ({"required": [{"cause": "any"}], "max_confidence": 0.5}, "expected at most 0.5"),
    ({"required": [{"cause": "any"}], "max_s": 0.5}, "it took 1.0 s, allowed: 0.5 s"),
    ({"required": [{"cause": "any"}], "status": "failed"}, "the run succeeded, expected: failed"),
]


@pytest.mark.parametrize("expect", MET, ids=str)
def test_met(expect: dict[str, Any]) -> None:
    """What holds is not complained about."""
    assert unmet(expecting(**expect), outcome(), RELEASES) == []


@pytest.mark.parametrize(("expect", "sentence"), UNMET, ids=str)
def test_unmet(expect: dict[str, Any], sentence: str) -> None:
    """What does not hold is told with what there is instead."""
    (missed,) = unmet(expecting(**expect), outcome(), RELEASES)

    assert sentence in missed


def test_healthy_case_with_a_named_cause_fails() -> None:
    """Who names a cause or proposes a fix where nothing is wrong has failed, whatever is listed."""
    healthy = scenario(labels=["healthy"], expect={"required": [{"kind": "cause_found"}]})

    missed = unmet(healthy, outcome(), RELEASES)

    assert [one.partition(":")[0] for one in missed] == [
        "forbidden and there",
        "proposed, and must not be",
    ]


def test_a_word_in_the_thread_is_no_act() -> None:
    """Saying that all is well is no write that a healthy case forbids."""
    healthy = scenario(labels=["healthy"], expect={"required": [{"kind": "healthy"}]})
    well = outcome(
        answer=Answer("All is well.", Finding.HEALTHY),
        causes=(),
        proposed=(Act("chat.post", {"text": "Looking."}),),
    )

    assert unmet(healthy, well, RELEASES) == []


def test_no_run() -> None:
    """A goal that was turned away fails, unless that is what was wanted."""
    away = turned_away("Say what is wanted.")

    assert unmet(expecting(starts_run=False), away, {}) == []
    assert unmet(scenario(), away, {}) == ["no run was started: Say what is wanted."]
    assert unmet(expecting(starts_run=False), outcome(), {}) == [
        "a run was started, and it should have been turned away"
    ]


def test_a_run_that_was_cut_off_fails_for_that_alone() -> None:
    """What it did not get to is not counted against it twice."""
    assert unmet(scenario(), outcome(is_cut_off=True), {}) == ["it had not ended after 120 s"]


def test_unknown_cost_is_not_cheap() -> None:
    """A limit on money cannot be met by a model whose price nobody knows."""
    spent = Spent(calls=3, has_unknown_cost=True)
    case = expecting(required=[{"cause": "any"}], max_cost_usd=1)

    (missed,) = unmet(case, outcome(spent=spent), RELEASES)

    assert "its cost is not known" in missed


def test_cost_and_calls() -> None:
    """Dearer or more talkative than allowed is told with the figures."""
    spent = Spent(calls=9, cost_usd=0.25)
    case = expecting(required=[{"cause": "any"}], max_cost_usd=0.1, max_model_calls=8)

    assert unmet(case, outcome(spent=spent), RELEASES) == [
        "it cost $0.2500, allowed: $0.1000",
        "it made 9 model calls, allowed: 8",
    ]


def told(words: str) -> Outcome:
    """Return an outcome whose cause stands in its words alone."""
    return replace(outcome(), causes=(Cause(words=words),), words=words)


def test_a_cause_in_words() -> None:
    """Without a ranking, the names of the cause must stand in the answer."""
    case = expecting(required=[{"cause": "deploy", "service": "checkout", "release": "bad"}])

    assert unmet(case, told("Release bbbbbbb of checkout is at fault."), RELEASES) == []
    assert unmet(case, told("Something in checkout is at fault."), RELEASES)
