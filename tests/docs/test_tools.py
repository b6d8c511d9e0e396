"""The page about tools names every tool with its effect and arguments."""

from __future__ import annotations

import yaml

from agents.databases.shapes import MAX_CELL_CHARS
from agents.tools.chat import MAX_MENTIONS
from agents.tools.outlet import PAUSES_S
from config.specs import ServicesFile
from tests.agents.test_tools.test_folder import ALL
from tests.docs.pages import blocks, code, page, rows, section

PAGE = page("docs/tools.md")


def test_every_tool_is_listed_as_it_is() -> None:
    """In the order of their names, with all arguments."""
    listed = [
        (code(name)[0], effect, code(arguments))
        for name, effect, arguments, _ in rows(section(PAGE, "The list"))
        if name.startswith("`")
    ]

    assert listed == [
        (tool.name, tool.effect.value, list(tool.arguments.model_fields))
        for tool in sorted(ALL, key=lambda tool: tool.name)
    ]


def test_examples_are_valid() -> None:
    """What a person copies into services.yaml is accepted."""
    examples = [yaml.safe_load(text) for text in blocks(PAGE, "yaml")]
    worlds = [ServicesFile.model_validate(one) for one in examples if isinstance(one, dict)]

    assert [*worlds[0].databases, *worlds[1].outlets] == ["customers", "customer-mail"]


def test_limits_are_those_of_the_code() -> None:
    """Numbers on the page are true."""
    assert f"rows of {MAX_CELL_CHARS} characters" in PAGE
    assert f"at most {MAX_MENTIONS}" in PAGE
    assert len(PAUSES_S) + 1 == 3
