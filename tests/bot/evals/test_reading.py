"""Scenario files are read strictly: what is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.evals.reading import ScenariosError, read_scenarios

GOOD = """\
name: case
title: A case
labels: [incident]
goal: why is checkout failing?
world:
  services:
    checkout:
      deploys: [{id: bad, at_s: -60}]
expect:
  required: [{kind: healthy}]
"""


def problems(folder: Path, **files: str) -> list[str]:
    """Return what is wrong with a folder of these files."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ScenariosError) as caught:
        read_scenarios(folder)
    return [str(problem) for problem in caught.value.problems]


def test_folders_in_folders(tmp_path: Path) -> None:
    """All files below the folder are read, in order of their names."""
    (tmp_path / "more").mkdir()
    (tmp_path / "z.yaml").write_text(GOOD, encoding="utf-8")
    other = GOOD.replace("name: case", "name: another")
    (tmp_path / "more" / "a.yaml").write_text(other, encoding="utf-8")

    assert [one.name for one in read_scenarios(tmp_path)] == ["another", "case"]


def test_an_unknown_key_is_told_with_its_line(tmp_path: Path) -> None:
    """A misspelt expectation would never fail, so it is refused."""
    found = problems(tmp_path, a=GOOD.replace("required:", "requires:"))

    assert 'a.yaml:10:3: expect.requires: unknown key "requires"; did you mean required?' in found[
        0
    ].replace('"required"', "required")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("  required: [{kind: healthy}]", "  max_s: 5", "could not fail"),
        ("goal: why is checkout failing?\n", "", "exactly one of goal and alert"),
        ("{kind: healthy}", "{cause: any, service: cart}", 'no service "cart"'),
        ("{kind: healthy}", "{cause: any, release: good}", 'no deploy "good"'),
        ("{kind: healthy}", "{service: checkout}", "give cause too"),
        ("      deploys:", "      depends_on: [payments]\n      deploys:", 'no service "payments"'),
        ("[{id: bad, at_s: -60}]", "[{id: b, at_s: -9}, {id: b, at_s: -8}]", "the same id"),
        ("at_s: -60", "at_s: 60", "at_s"),
        ("labels: [incident]", "labels: []", "labels"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    """Names that lead nowhere, and cases that could not fail, are found before anything runs."""
    assert sentence in "\n".join(problems(tmp_path, a=GOOD.replace(old, new)))


def test_two_of_one_name(tmp_path: Path) -> None:
    """Reports tell cases apart by name."""
    (found,) = problems(tmp_path, a=GOOD, b=GOOD)

    assert 'the name "case" is taken by a.yaml' in found


def test_a_script_may_stand_in_a_file(tmp_path: Path) -> None:
    """Cases share a database; one that is not there is told at its place."""
    text = GOOD.replace("world:\n", "world:\n  databases: {books: {script_file: books.sql}}\n")
    assert "script_file: cannot be read" in "\n".join(problems(tmp_path, a=text))

    (tmp_path / "books.sql").write_text("CREATE TABLE books (title TEXT);", encoding="utf-8")
    (case,) = read_scenarios(tmp_path)

    assert case.world.databases["books"].script.startswith("CREATE TABLE")


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is not there is told, not taken for an empty one."""
    with pytest.raises(ScenariosError, match="no such folder"):
        read_scenarios(tmp_path / "nowhere")
