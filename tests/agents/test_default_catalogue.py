"""The shipped agents and workflows fit the tools and reports of the code."""

from __future__ import annotations

from agents.findings import OUTPUTS
from agents.reports import REPORTS
from agents.tool import Toolbox
from agents.tools import confined_tools
from agents.tools.alerts import alert_tools
from agents.tools.chat import chat_tools
from agents.tools.memory import memory_tools
from config.catalogue import check_catalogue, load_catalogue
from config.contents import ToolSchema
from jobs.memory_book import MemoryFacts
from jobs.past import NoRuns
from tests.agents.test_tools.test_folder import NoAlerts, NoThread

TOOLS = Toolbox(
    (
        *confined_tools(),
        *alert_tools(NoAlerts()),
        *chat_tools(NoThread()),
        *memory_tools(MemoryFacts(), NoRuns()),
    )
)


def test_shipped_files_have_no_problem() -> None:
    """Names, order, expressions and types of the defaults are right."""
    schemas = {
        tool.name: ToolSchema(
            tool.arguments.model_json_schema(), tool.output.model_json_schema(), tool.effect.value
        )
        for tool in TOOLS.values()
    }
    outputs = {name: model.model_json_schema() for name, model in OUTPUTS.items()}

    problems = check_catalogue(None, schemas, outputs)

    assert [str(problem) for problem in problems if not problem.is_warning] == []


def test_every_shipped_report_exists() -> None:
    """An agent's report function is in the registry."""
    for agent in load_catalogue(None).agents.values():
        assert not agent.report_function or agent.report_function in REPORTS


def test_reasons_of_writes_are_fixed_words() -> None:
    """No free text of a writing step comes from an expression, so it is never tainted."""
    for step in load_catalogue(None).workflows["incident"].steps:
        if step.tool and step.tool.startswith("service."):
            assert "{{" not in str(step.inputs["reason"])
