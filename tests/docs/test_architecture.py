"""The picture of the house is the house."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, code, page, section

PACKAGES = ("config", "agents", "jobs", "bot")
NAMED = {word for word in code(page("docs/architecture.md")) if "/" in word}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_is_named(package: str) -> None:
    """Each module and folder of a package has its line under Rooms: add yours there."""
    rooms = set(code(section(page("docs/architecture.md"), "Rooms: where things are")))
    there = {
        f"{package}/{path.name}" + ("/" if path.is_dir() else "")
        for path in (ROOT / package).iterdir()
        if path.name not in {"__init__.py", "__pycache__"}
        and (path.suffix == ".py" or (path.is_dir() and any(path.iterdir())))
    }

    assert there - rooms == set()


def test_every_named_room_exists() -> None:
    """Nothing is named that was moved or removed."""
    ours = {name for name in NAMED if name.split("/")[0] in {*PACKAGES, "tests", "docs"}}

    assert {name for name in ours if not (ROOT / name).exists()} == set()


def test_words_of_the_glossary_are_sorted_and_unique() -> None:
    """A word is found where one looks for it, and once."""
    lines = section(page("docs/architecture.md"), "Glossary")
    words = re.findall(r"^\| ([A-Z][^|]*?) \|", lines, re.M)[1:]

    assert words == sorted(set(words))


def test_bold_words_are_in_the_glossary() -> None:
    """What the page calls a word of the house is explained."""
    text = page("docs/architecture.md")
    glossary = section(text, "Glossary").lower()
    introduced = re.findall(r"\*\*([a-z]+)\*\*", text)

    for word in introduced:
        stem = re.sub(r"(s|ing|ed)$", "", word)
        assert stem in glossary, word
