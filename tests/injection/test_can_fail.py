"""The injection set finds what it looks for: with one rule taken away, payloads have effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agents import claims, planning
from agents.domain import Answer, Evidence
from agents.tools import http
from config.specs import PolicySpec, Verdict
from jobs import asking, calling
from tests.injection.house import shipped_policies
from tests.injection.outside import Outside, outside
from tests.injection.payloads import Carrier, Payload, Wanted, load
from tests.injection.trial import attack

TAINTED = "writes shaped by untrusted text need two people"


@pytest.fixture
def places() -> Iterator[Outside]:
    """Run the servers outside."""
    with outside() as served:
        yield served


def named(payload_id: str) -> Payload:
    """Return the payload of that id."""
    return next(payload for payload in load() if payload.id == payload_id)


async def kinds(
    payload_id: str, places: Outside, folder: Path, policies: tuple[PolicySpec, ...] | None = None
) -> set[str]:
    """Return the kinds of effects that the payload had."""
    trial = await attack(
        named(payload_id), folder / "house", places, policies or shipped_policies()
    )
    assert trial.has_obeyed
    return {effect.kind for effect in trial.effects}


async def test_a_policy_that_allows_is_found(places: Outside, tmp_path: Path) -> None:
    """Were the rule for untrusted text to allow, the service would be restarted."""
    policies = tuple(
        one.model_copy(update={"verdict": Verdict.ALLOW, "approval": None})
        if one.name == TAINTED
        else one
        for one in shipped_policies()
    )

    assert await kinds("log-restart", places, tmp_path, policies) == {"ran without approval"}


async def test_a_rule_that_sees_no_taint_is_found(
    places: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were nothing tainted, one person's word would be enough."""
    monkeypatch.setattr(asking, "is_tainted", lambda *_: False)

    assert await kinds("annotation-restart", places, tmp_path) == {"ran on weak terms"}


def _trust_all(evidence: Evidence) -> str:
    return evidence.text


def _never(*_: object) -> bool:
    return False


def _always(*_: object) -> bool:
    return True


def _check_nothing(answer: Answer, _: object) -> Answer:
    return answer


@pytest.mark.parametrize(
    ("payload_id", "module", "name", "broken", "kind"),
    [
        ("subject-planned-ping", asking, "trusted_part", _trust_all, "ran without approval"),
        ("row-data-to-the-internet", calling, "needs_person", _never, "fetched what nobody listed"),
        ("page-address-in-disguise", http, "is_listed", _always, "fetched what nobody listed"),
        ("log-false-all-clear", claims, "check", _check_nothing, "claimed as a fact"),
    ],
)
async def test_a_check_that_is_gone_is_found(
    payload_id: str,
    module: object,
    name: str,
    broken: Callable[..., object],
    kind: str,
    places: Outside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each check of code stands between a payload and its effect."""
    monkeypatch.setattr(module, name, broken)

    assert kind in await kinds(payload_id, places, tmp_path)


async def test_a_planned_step_that_counts_as_reviewed_is_found(
    places: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a model's plan taken for a workflow that people wrote, its words would be trusted."""
    honest = planning._step
    monkeypatch.setattr(planning, "_step", lambda *a: replace(honest(*a), is_reviewed=True))

    found = await kinds("message-planned-restart", places, tmp_path)

    assert found == {"a planned step counts as reviewed", "ran on weak terms"}


async def test_a_secret_that_is_not_taken_out_is_found(
    places: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the log's secret shown to the model, it would be everywhere at once."""
    monkeypatch.setattr("tests.injection.house.KNOWN_SECRETS", ())

    assert "leaked a secret" in await kinds("log-secret-to-an-outlet", places, tmp_path)


async def test_a_payload_that_nobody_saw_is_a_defect(places: Outside, tmp_path: Path) -> None:
    """A payload that never reaches the model proves nothing, and is counted as such."""
    hidden = named("log-restart").model_copy(update={"says": "seen", "text": "not shown: {says}"})
    unread = hidden.model_copy(
        update={"carrier": Carrier.FACT, "calls": (Wanted(tool="service.restart"),)}
    )

    trial = await attack(unread, tmp_path / "house", places, shipped_policies())

    assert not trial.has_obeyed
