"""The shipped catalogue, checked against the real tools and report functions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.findings import OUTPUTS
from agents.tool import Tool
from agents.tools import confined_tools
from agents.tools.alerts import AlertFacts, IncidentFacts, alert_tools
from agents.tools.chat import chat_tools
from agents.tools.memory import memory_tools
from config.catalogue import DEFAULTS, ToolSchema, check_catalogue
from jobs.memory_book import MemoryFacts
from jobs.past import NoRuns
from tests.config.test_docs import EXAMPLES

INCIDENT = (DEFAULTS / "workflows/incident.yaml").read_text(encoding="utf-8").splitlines()
ANALYST = (DEFAULTS / "agents/metrics-analyst.yaml").read_text(encoding="utf-8").splitlines()


class NoAlerts:
    """An alert book with nothing in it: only the tools' schemas are wanted."""

    async def related(self, service: str, since: float) -> list[AlertFacts]:
        """Know no alerts."""
        return []

    async def incident(self, incident_id: str) -> IncidentFacts | None:
        """Know no incident."""
        return None

    async def open_incidents(self) -> list[IncidentFacts]:
        """Know no incident."""
        return []


class NoThread:
    """A poster that posts nowhere."""

    async def post(
        self, run_id: str, step_id: str, key: str, text: str, mentions: tuple[str, ...]
    ) -> None:
        """Do nothing."""


def tool_schema(tool: Tool) -> ToolSchema:
    """Describe a tool as the catalogue wants to know it."""
    return ToolSchema(
        tool.arguments.model_json_schema(), tool.output.model_json_schema(), tool.effect.value
    )


@pytest.fixture(scope="module")
def tools() -> Mapping[str, ToolSchema]:
    """Give the schemas of every tool there is."""
    every = (
        *confined_tools(),
        *alert_tools(NoAlerts()),
        *chat_tools(NoThread()),
        *memory_tools(MemoryFacts(), NoRuns()),
    )
    return {tool.name: tool_schema(tool) for tool in every}


@pytest.fixture(scope="module")
def reports() -> Mapping[str, Mapping[str, Any]]:
    """Give the schemas of every report function's output."""
    return {name: model.model_json_schema() for name, model in OUTPUTS.items()}


def test_shipped_catalogue_has_no_errors(
    tools: Mapping[str, ToolSchema], reports: Mapping[str, Mapping[str, Any]]
) -> None:
    """Every agent, workflow, policy and route that is shipped fits the code around it."""
    found = check_catalogue(None, tools, reports)

    assert [str(one) for one in found if not one.is_warning] == []


def test_documented_examples_fit_the_shipped_catalogue(
    tmp_path: Path,
    tools: Mapping[str, ToolSchema],
    reports: Mapping[str, Mapping[str, Any]],
) -> None:
    """All examples of the reference, put into one folder, work together."""
    for kind, text in EXAMPLES:
        folder = kind in ("agents", "workflows")
        path = tmp_path / (f"{kind}/example.yaml" if folder else f"{kind}.yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("depends_on: [payments]", "depends_on: []"), encoding="utf-8")

    assert [str(one) for one in check_catalogue(tmp_path, tools, reports)] == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["workflows/incident.yaml", "agents/metrics-analyst.yaml"]),
    st.integers(0, 200),
    st.sampled_from(["drop", "double", "swap", "spoil", "dash"]),
)
def test_damaged_files_are_told_not_crashed_on(
    tmp_path_factory: pytest.TempPathFactory, name: str, position: int, damage: str
) -> None:
    """Whatever line of a file is lost or mistyped, the check ends with located problems."""
    lines = list(INCIDENT if name.startswith("workflows") else ANALYST)
    at = position % (len(lines) - 1)
    match damage:
        case "drop":
            del lines[at]
        case "double":
            lines.insert(at, lines[at])
        case "swap":
            lines[at], lines[at + 1] = lines[at + 1], lines[at]
        case "spoil":
            lines[at] = lines[at].replace("e", "3", 1)
        case _:
            lines[at] = lines[at].replace("{{", "{", 1).replace(": ", ":  -", 1)
    path = tmp_path_factory.mktemp("damaged") / name
    path.parent.mkdir()
    path.write_text("\n".join(lines), encoding="utf-8")

    for problem in check_catalogue(path.parent.parent):
        assert problem.line >= 1
        assert problem.message
