"""The examples of the guide work together, and do what the guide says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agents.domain import JsonObject
from agents.matching import Match, match
from agents.registry import report_outputs, tool_schemas
from agents.reports import CallOutcome
from agents.runbook import follow
from config.catalogue import check_catalogue, load_catalogue
from config.contents import Catalogue
from jobs.assembly import all_tools
from jobs.incident_store import MemoryIncidentStore
from tests.docs.pages import page

EXAMPLES = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", page("docs/workflows.md"), re.S))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the examples where a person would put them."""
    for name, text in EXAMPLES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def catalogue(folder: Path) -> Catalogue:
    """Load the examples over the shipped catalogue."""
    return load_catalogue(folder)


def test_the_examples_are_found() -> None:
    """The guide shows every kind of file that it speaks of."""
    assert {"services.yaml", "policies.yaml", "people.yaml"} <= set(EXAMPLES)
    assert {name for name in EXAMPLES if "/" in name} == {
        "workflows/health.yaml",
        "workflows/restart-both.yaml",
        "workflows/careful.yaml",
        "agents/numbers-reader.yaml",
        "agents/health-reporter.yaml",
    }


def test_the_examples_are_accepted(folder: Path) -> None:
    """The real checker has nothing to say, not even a warning."""
    tools = tool_schemas(all_tools(MemoryIncidentStore()))

    assert [str(one) for one in check_catalogue(folder, tools, report_outputs())] == []


def test_the_typed_goal_finds_its_workflow(catalogue: Catalogue) -> None:
    """The goal that the guide tells people to type starts the workflow it is about."""
    found = match("how is web doing?", catalogue.workflows, catalogue.services)

    assert isinstance(found, Match)
    assert found.workflow.name == "health"
    assert found.inputs == {"service": "web"}


async def _no_calls(call_id: str, tool: str, args: JsonObject) -> CallOutcome:
    raise AssertionError(f"{call_id} was not to be called")


@pytest.mark.parametrize(
    ("numbers", "errors", "headline"),
    [
        (
            {"current": 0.25},
            {"count": 3},
            "web: 25.0 % of its requests fail, and 3 lines of its log speak of errors.",
        ),
        (
            None,
            None,
            "web: an unknown share of its requests fail, and 0 lines of its log speak of errors.",
        ),
    ],
)
async def test_the_reporter_answers(
    catalogue: Catalogue, numbers: JsonObject | None, errors: JsonObject | None, headline: str
) -> None:
    """The example of an answer reads well, with and without what the other steps found."""
    inputs: JsonObject = {"service": "web", "numbers": numbers, "errors": errors}

    output = await follow(catalogue.agents["health-reporter"], inputs, _no_calls)

    assert output == {"headline": headline, "finding": "report"}
