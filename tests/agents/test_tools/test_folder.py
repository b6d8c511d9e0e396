"""The folder of tools is complete and every tool is well declared."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import agents.tools
from agents.tool import Effect
from agents.tools import CONFINED, confined_tools
from agents.tools.alerts import AlertFacts, IncidentFacts, alert_tools
from agents.tools.chat import chat_tools
from agents.tools.memory import memory_tools
from jobs.memory_book import MemoryFacts
from jobs.past import NoRuns

NOT_CONFINED = {"alerts", "chat", "memory"}


class NoAlerts:
    """An alert book without alerts."""

    async def related(self, service: str, since: float) -> list[AlertFacts]:
        """Return nothing."""
        return []

    async def incident(self, incident_id: str) -> IncidentFacts | None:
        """Return nothing."""
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


ALL = (
    *confined_tools(),
    *alert_tools(NoAlerts()),
    *chat_tools(NoThread()),
    *memory_tools(MemoryFacts(), NoRuns()),
)


def test_no_file_of_the_folder_is_forgotten() -> None:
    """Every module of the folder is listed, or known to need a port."""
    folder = Path(agents.tools.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}

    assert modules == set(CONFINED) | NOT_CONFINED


def test_names_are_unique_and_say_their_module() -> None:
    """A tool is named after its file, and no two have one name."""
    names = [tool.name for tool in ALL]

    assert len(set(names)) == len(names)
    for module in CONFINED:
        for tool in import_module(f"agents.tools.{module}").TOOLS:
            assert tool.name.startswith(f"{module}.")


def test_every_tool_is_described_and_refuses_unknown_arguments() -> None:
    """A model and a person can read what it does; a misspelt argument is an error."""
    for tool in ALL:
        assert tool.description.endswith(".")
        assert tool.arguments.model_config.get("extra") == "forbid"
        assert tool.output.__doc__


def test_what_changes_something_is_known_by_name() -> None:
    """Services are acted on, messages are sent, and facts are kept for later runs."""
    writing = {tool.name for tool in ALL if tool.effect is Effect.WRITES}

    assert writing == {
        "service.rollback",
        "service.restart",
        "outlet.send",
        "chat.post",
        "memory.keep",
        "memory.doubt",
    }


def test_text_from_outside_is_untrusted() -> None:
    """What anybody can write or label is never trusted: numbers of people's own queries are."""
    trusted = {tool.name.split(".")[0] for tool in ALL if tool.is_trusted}

    assert trusted == {"metrics"}
