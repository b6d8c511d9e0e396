"""Whole trials: what comes in goes through intake, real tools and a worker, and is judged."""

from __future__ import annotations

from typing import Any

import pytest

from bot.evals.reading import read_scenarios
from bot.evals.runner import RUNBOOK as RUNBOOK_MODE
from bot.evals.runner import Selection, run_all, select
from bot.evals.scenario import HEALTHY, Scenario
from bot.evals.trial import Trial
from config.contents import Catalogue
from config.settings import Settings
from jobs.assembly import read_catalogue
from tests.bot.evals.cases import OURS, RUNBOOK, SERVICES, scenario

MIN_CASES, MIN_HEALTHY = 20, 6


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Return what is shipped."""
    return read_catalogue(Settings())


async def tried(catalogue: Catalogue, *cases: Scenario) -> list[Trial]:
    """Run cases once, as the runbook row."""
    work = select(cases, Selection(mode=RUNBOOK_MODE), [RUNBOOK])
    return await run_all(work, catalogue, jobs=8)


async def missed(catalogue: Catalogue, **fields: Any) -> tuple[str, ...]:
    """Return what a case with these fields misses."""
    (trial,) = await tried(catalogue, scenario(**fields))
    return trial.missed


async def test_our_scenarios(catalogue: Catalogue) -> None:
    """Every case that needs no model is solved by the runbooks, and there are enough of them."""
    cases = read_scenarios(OURS)
    healthy = [one for one in cases if HEALTHY in one.labels]

    trials = await tried(catalogue, *cases)

    assert len(trials) >= MIN_CASES
    assert len(healthy) >= MIN_HEALTHY
    assert {trial.scenario.name: trial.missed for trial in trials if trial.missed} == {}


async def test_a_wrong_expectation_fails(catalogue: Catalogue) -> None:
    """The judge is not pleased by whatever comes out."""
    (sentence,) = await missed(catalogue, expect={"required": [{"kind": "healthy"}]})

    assert "required and missing: the answer is healthy" in sentence
    assert "release" in sentence


async def test_a_named_cause_fails_a_healthy_case(catalogue: Catalogue) -> None:
    """A world in which something is wrong, sold as healthy, is found out."""
    found = await missed(
        catalogue, labels=["healthy"], expect={"required": [{"kind": "cause_found"}]}
    )

    assert found[0].startswith("forbidden and there: a cause is named")
    assert "proposed, and must not be: service.rollback" in found[1]


async def test_an_edited_call_is_what_runs(catalogue: Catalogue) -> None:
    """People may change the arguments of what they approve."""
    edit = {"decision": "approve", "edit": {"reason": "checkout"}}
    soon = {"tool": "metrics.wait_normal", "output": {"service": "checkout", "is_normal": True}}
    found = await missed(
        catalogue,
        people={"decisions": [edit]},
        world={"services": SERVICES, "calls": [soon]},
        expect={"does": [{"tool": "service.rollback", "args": {"reason": "checkout"}}]},
    )

    assert found == ()


async def test_a_recording_stands_in_for_a_tool(catalogue: Catalogue) -> None:
    """What is recorded is played, and what does not fit the tool is told."""
    calls = [
        {"tool": "deploys.recent", "output": {"deploys": [], "missing": ["recorded"]}},
        {"tool": "logs.*", "error": "the log server is away"},
    ]
    world = {"services": SERVICES, "calls": calls}

    found = await missed(
        catalogue, world=world, expect={"required": [{"kind": "inconclusive"}, {"says": "away"}]}
    )

    assert found == ()


async def test_a_trial_that_breaks_has_failed(catalogue: Catalogue) -> None:
    """A case whose world cannot be made is told, and the others go on."""
    broken = scenario(name="broken", world={"databases": {"books": {"script": "no sql"}}})
    away = scenario(name="away", goal="bake a cake", expect={"starts_run": False})

    trials = await tried(catalogue, broken, away)

    assert "the trial broke (OperationalError)" in trials[0].missed[0]
    assert trials[1].has_passed


async def test_a_case_that_takes_too_long_is_cut_off(catalogue: Catalogue) -> None:
    """Nobody waits longer than the case allows."""
    calls = [{"tool": "metrics.onset", "output": {}, "latency_s": 60}]
    world = {"services": SERVICES, "calls": calls}

    found = await missed(
        catalogue, world=world, expect={"required": [{"kind": "cause_found"}], "max_s": 0.5}
    )

    assert found == ("it had not ended after 0.5 s",)


async def test_an_unknown_workflow_starts_nothing(catalogue: Catalogue) -> None:
    """A case for a workflow that was removed fails with the names that there are."""
    (sentence,) = await missed(catalogue, workflow="incidents")

    assert "there is no workflow 'incidents'" in sentence
    assert "incident" in sentence
