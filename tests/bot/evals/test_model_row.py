"""The model row: the same cases through an agent with a model, here a scripted one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.evals.reading import read_scenarios
from bot.evals.report import report_on
from bot.evals.runner import MODEL, Selection, run_all, select
from bot.evals.scenario import Scenario
from bot.evals.trial import Trial
from config.contents import Catalogue
from config.settings import Settings
from config.specs import AgentSpec, StepSpec, WorkflowSpec
from jobs.assembly import read_catalogue
from tests.bot.evals.analyst import scripted_analyst
from tests.bot.evals.cases import OURS, RUNBOOK, scenario

LOOKING = AgentSpec(
    name="looker",
    title="Looker",
    description="Looks at one service.",
    instructions="Say what is wrong, and cite the lines that show it.",
    model="smart",
    tools=("metrics.onset", "deploys.recent", "logs.patterns"),
)
LOOK = WorkflowSpec(
    name="look",
    title="Look",
    description="One agent looks.",
    steps=(StepSpec(id="look", agent="looker"),),
    answer="look",
)
LABELS = {"healthy", "inconclusive"}
CITED = {
    "required": [{"kind": "cause_found"}, {"cause": "deploy", "service": "checkout"}],
    "cites": ["metrics.onset", "deploys.recent"],
    "max_model_calls": 4,
    "max_cost_usd": 0.5,
}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Return what is shipped, with an agent that cannot work without a model."""
    shipped = read_catalogue(Settings())
    return replace(
        shipped,
        agents={**shipped.agents, LOOKING.name: LOOKING},
        workflows={**shipped.workflows, LOOK.name: LOOK},
    )


def looked_at(**fields: object) -> Scenario:
    """Return the case of the bad release for the agent with a model."""
    return scenario(**{"workflow": "look", "requires": "model", **fields})


async def tried(catalogue: Catalogue, *cases: Scenario) -> list[Trial]:
    """Run the cases in the model row."""
    work = select(cases, Selection(mode=MODEL), [RUNBOOK, scripted_analyst()])
    return await run_all(work, catalogue)


async def test_a_model_is_judged_like_a_runbook(catalogue: Catalogue) -> None:
    """Claims that hold, cause, calls and cost come from the run of the model."""
    (trial,) = await tried(catalogue, looked_at(expect=CITED))

    assert trial.missed == ()
    assert trial.outcome.models == ("scripted",)
    assert trial.outcome.spent.calls == 2
    assert 0 < (trial.outcome.cost_usd or 0) < 0.5


async def test_a_model_can_fail(catalogue: Catalogue) -> None:
    """What it says wrongly, and what it costs too much, is found out."""
    wrong = looked_at(name="wrong", expect={"required": [{"kind": "healthy"}]})
    dear = looked_at(name="dear", expect={**CITED, "max_cost_usd": 0.000_01})

    missed = {trial.scenario.name: trial.missed for trial in await tried(catalogue, wrong, dear)}

    assert "the answer is cause_found" in missed["wrong"][0]
    assert missed["dear"][0].startswith("it cost $")


async def test_a_healthy_case(catalogue: Catalogue) -> None:
    """A model that finds nothing wrong where nothing is wrong has passed."""
    well = looked_at(
        labels=["healthy"],
        world={"services": {"checkout": {}}},
        expect={"required": [{"kind": "healthy"}]},
    )

    (trial,) = await tried(catalogue, well)

    assert trial.missed == ()


async def test_our_scenarios_with_models(catalogue: Catalogue) -> None:
    """Typed goals go to the supervisor, its workflow runs with models, and the same is expected."""
    cases = [
        one for one in read_scenarios(OURS) if set(one.labels) & LABELS and one.requires is None
    ]

    trials = await tried(catalogue, *cases)

    assert {trial.scenario.name: trial.missed for trial in trials if trial.missed} == {}
    assert all(trial.outcome.spent.calls for trial in trials)


async def test_the_row_says_who_thought(catalogue: Catalogue) -> None:
    """A scripted model is never shown as a real one, and runbooks are in the same table."""
    cases = [looked_at(expect=CITED), scenario(name="other")]
    work = select(cases, Selection(), [RUNBOOK, scripted_analyst()])

    trials = await run_all(work, catalogue)
    report = report_on(trials, work, folder="x", runs=1, began_at=0.0, duration_s=1.0)

    overall = {(row.mode, row.by): row.cases for row in report.rows if row.label == "all"}
    assert overall == {("runbook", "runbook"): 1, ("model", "scripted"): 2}
    (used,) = [one for one in report.rows if one.mode == "model" and one.label == "all"]
    assert used.model_calls >= 2
    assert used.cost_usd.total > 0
