"""The commands that the pages tell people to run exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer.main

from bot.cli.app import FAULTS, app
from config.settings import NOT_SETTINGS, Settings, variable
from tests.docs.pages import PAGES, ROOT, blocks, code, page, prose

MAKE = re.compile(r"^(?:[A-Z_]+=\S+ )*make ((?:[a-z]+ ?)+)", re.M)
MUSTER = re.compile(r"^(?:[A-Z_]+=\S+ )*(?:(?:\./)?muster|python -m bot) ([a-z]+)\b", re.M)
OF_EXAMPLES = frozenset({"MUSTER_TOKEN_ALICE", "MUSTER_WEBHOOK_TOKEN", "MUSTER_UPTIME_TOKEN"})
"""Variables that a catalogue names; people choose them."""
OF_TESTS = frozenset({"MUSTER_CI"})
MADE = ("demo/", "bench/latest.json")
"""What is named but made at run time: the demo's state directory, figures."""


def commands(path: Path) -> str:
    """Return all code of a page, one piece per line."""
    text = path.read_text(encoding="utf-8")
    return "\n".join([*code(prose(text)), *blocks(text, "sh")])


def targets() -> set[str]:
    """Return the targets of the Makefile."""
    return set(re.findall(r"^([a-z]+):", page("Makefile"), re.M))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(path: Path) -> None:
    """Each `make …` names targets of the Makefile."""
    named = {name for found in MAKE.findall(commands(path)) for name in found.split()}

    assert named <= targets()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_muster_commands_exist(path: Path) -> None:
    """Each `muster …` names a command."""
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    named = set(MUSTER.findall(commands(path)))

    assert named <= known


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_variables_exist(path: Path) -> None:
    """Each MUSTER_* variable is a setting, or one that people choose themselves."""
    named = set(re.findall(r"\bMUSTER_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
    known = {variable(field) for field in Settings.model_fields}

    assert named <= known | NOT_SETTINGS | OF_EXAMPLES | OF_TESTS


def test_readme_names_the_two_commands_and_the_faults() -> None:
    """The front page has what a newcomer needs first."""
    text = page("README.md")

    assert "make demo" in text
    assert "make test" in text
    assert {fault for fault in FAULTS if f"FAULT={fault}" in text} == {"slow-payments", "none"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(path: Path) -> None:
    """A path in the prose that begins with one of our folders is there."""
    pattern = re.compile(
        r"(?:config|agents|jobs|bot|tests|docs|deploy|demo|bench)/[\w./-]*(?:\.\w+|/)"
    )
    text = prose(path.read_text(encoding="utf-8"))
    named = {word for word in code(text) if pattern.fullmatch(word)}
    kept = {word for word in named if not word.startswith(MADE)}

    assert [word for word in sorted(kept) if not (ROOT / word).exists()] == []


def test_examples_of_code_can_be_read() -> None:
    """What a contributor copies is Python."""
    examples = blocks(page("CONTRIBUTING.md"), "python")

    assert len(examples) == 3
    for example in examples:
        ast.parse(example)
