"""The folder of patterns: ready to run, quoted on its page, chosen by words, models and rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agents.domain import Finding, JsonObject
from agents.matching import Match, match
from agents.models.scripted import output
from agents.registry import report_outputs, tool_schemas
from bot.cli.checking import run_check
from config.catalogue import check_catalogue
from config.settings import Settings
from jobs.assembly import all_tools
from jobs.incident_store import MemoryIncidentStore
from tests.docs.pages import ROOT, page
from tests.examples.house import (
    ANYBODY,
    FOLDER,
    PATTERNS,
    SUPERVISED,
    YES,
    Cast,
    ended_well,
    is_away,
)

NAMES = tuple(
    sorted(
        name
        for name in PATTERNS.catalogue.workflows
        if name not in {path.stem for path in (ROOT / "config/defaults/workflows").iterdir()}
    )
)
QUOTED = dict(re.findall(r"```yaml\n# (examples/\S+)\n(.*?)```", page("docs/patterns.md"), re.S))


# ---- the folder


def test_the_folder_is_ready_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`muster check` has nothing to mend, with a model and without."""
    given = {"state_dir": tmp_path, "config_dir": FOLDER}

    assert run_check(Settings.model_validate(given), {}, None) == 0
    assert capsys.readouterr().out.endswith("Ready to run.\n")


def test_the_folder_has_no_faults_of_its_own() -> None:
    """Whoever reads it as an example sees no warning, but that nobody is in its groups yet."""
    tools = tool_schemas(all_tools(MemoryIncidentStore()))
    said = [str(one) for one in check_catalogue(FOLDER, tools, report_outputs())]

    assert [one for one in said if "nobody is in the group" not in one] == []


@pytest.mark.parametrize("name", NAMES)
def test_its_goals_find_their_workflow_by_words(name: str) -> None:
    """The goal that people are shown starts the workflow without a model."""
    workflow = PATTERNS.catalogue.workflows[name]
    (example,) = workflow.match.examples

    found = match(example, PATTERNS.catalogue.workflows, ())

    assert isinstance(found, Match)
    assert found.workflow.name == name


def test_the_page_quotes_the_files() -> None:
    """What docs/patterns.md shows is what runs, and every workflow is shown."""
    there = {f"examples/patterns/workflows/{path.name}" for path in FOLDER.glob("workflows/*")}

    assert there - QUOTED.keys() == set()
    assert {name: (ROOT / name).read_text(encoding="utf-8") for name in QUOTED} == QUOTED


@pytest.mark.parametrize("name", NAMES)
async def test_each_is_chosen_by_the_planner(name: str) -> None:
    """A goal that fits starts the same steps as children of the supervisor's own step."""
    workflow = PATTERNS.catalogue.workflows[name]
    chosen: JsonObject = {
        "decision": "workflow",
        "reason": "It is made for this.",
        "workflow": name,
    }
    cast: Cast = {"supervisor": [output(chosen)], ANYBODY: is_away}

    played = ended_well(await PATTERNS.goal(workflow.match.examples[0], cast, YES))

    who, what = played.shape.decided[0]
    assert who == "supervisor"
    ids = ", ".join(f"{SUPERVISED}.{one.id}" for one in workflow.steps)
    assert what == f"chooses {name}: {ids}"
    assert len(played.asked["supervisor"]) == 1


# ---- without a model

BY_RULE: dict[str, list[str]] = {
    "announce": ["outline", "draft", "proofread"],
    "check-draft": ["facts", "style", "law", "gather"],
    "copy": ["write", "proofread"],
    "digest": ["split", "each.0", "each.1", "each.2", "bind"],
    "headline": ["headline"],
    "letter": ["answer"],
    "polish": ["polish"],
    "publish": ["outline", "draft", "facts", "law", "release", "release", "tell"],
}


@pytest.mark.parametrize("name", BY_RULE)
async def test_runbooks_work_in_the_same_shape(name: str) -> None:
    """Without a model the same steps run in the same order, by rules."""
    (example,) = PATTERNS.catalogue.workflows[name].match.examples
    played = ended_well(await PATTERNS.workflow(name, example, people=YES))

    assert [one.step for one in played.shape.stretches] == BY_RULE[name]
    assert not played.answer.used_model


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(BY_RULE)))
async def test_plans_need_a_model(name: str) -> None:
    """Nobody plans by rules: the answer says so, and nothing was done."""
    played = await PATTERNS.workflow(name, "whatever")

    assert played.answer.finding is Finding.INCONCLUSIVE
    assert "only a model can plan for a team" in played.answer.headline
    assert [end for _, _, end in played.shape.told] == ["succeeded"]


@pytest.mark.parametrize("name", ["letter", "polish"])
async def test_what_needs_judgement_is_not_pretended(name: str) -> None:
    """A runbook that cannot judge says so instead of passing its input off as a result."""
    played = await PATTERNS.workflow(name, "whatever")

    assert played.answer.finding is Finding.INCONCLUSIVE
    assert "Nobody has" in played.answer.headline


async def test_copy_says_that_nobody_reviewed_it() -> None:
    """What a runbook made is not held back for want of a reviewer, and the answer says so."""
    played = await PATTERNS.workflow("copy", "write copy: hello")

    assert played.answer.missing == ("Write the copy: nobody reviewed what its runbook gave",)
