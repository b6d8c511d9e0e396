"""Scenarios of a few lines, and what came out of imagined trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agents.domain import Answer, Cite, Claim, Finding
from bot.evals.outcome import Act, Cause, Outcome
from bot.evals.scenario import Scenario
from bot.evals.trial import Thinker, Trial

OURS = Path(__file__).parents[2] / "evals"
"""The scenarios that Muster is held to."""
BAD = "b" * 40
RELEASES = {"bad": BAD}
RUNBOOK = Thinker("runbook", "runbook")
SCRIPTED = Thinker("model", "scripted")
SERVICES: dict[str, Any] = {
    "checkout": {
        "series": {
            "error_ratio": {"changes": [{"at_s": -240, "to": 0.3}]},
            "latency_p95": {},
            "request_rate": {},
        },
        "logs": [
            {"text": "cart {id} priced"},
            {"level": "ERROR", "text": "KeyError for cart {id}", "from_s": -238, "every_s": 3},
        ],
        "deploys": [{"id": "bad", "at_s": -244, "subject": "Apply discount codes"}],
    }
}


def scenario(**fields: Any) -> Scenario:
    """Return a case in which a release of checkout is bad; `expect` and others may be given."""
    return Scenario.model_validate(
        {
            "name": "case",
            "title": "A case",
            "labels": ["incident"],
            "goal": "why is checkout failing?",
            "world": {"services": SERVICES},
            "expect": {"required": [{"kind": "cause_found"}]},
            **fields,
        }
    )


def expecting(**expect: Any) -> Scenario:
    """Return the case with other expectations."""
    return scenario(expect=expect)


def outcome(**fields: Any) -> Outcome:
    """Return the outcome of a run that found the bad release."""
    answer = Answer(
        headline="Checkout is failing because release bbbbbbb broke it.",
        finding=Finding.CAUSE_FOUND,
        confidence=0.9,
        claims=(Claim("Errors rose.", (Cite("ev-1", "rose"),)),),
    )
    return Outcome(
        **{
            "status": "succeeded",
            "answer": answer,
            "words": answer.headline,
            "causes": (Cause("deploy", "checkout", BAD),),
            "cited": frozenset({"metrics.onset"}),
            "proposed": (Act("service.rollback", {"service": "checkout", "release": "a" * 40}),),
            "duration_s": 1.0,
            **fields,
        }
    )


def trial(name: str, *missed: str, thinker: Thinker = RUNBOOK, **fields: Any) -> Trial:
    """Return a trial of the case of that name; with sentences it has failed."""
    return Trial(scenario(name=name, **fields), thinker, outcome(), missed)
