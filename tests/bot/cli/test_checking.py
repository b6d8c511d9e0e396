"""`muster check` says everything at once, and whether Muster can run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.cli.checking import run_check
from config.settings import Settings


def settings(tmp_path: Path, **values: object) -> Settings:
    """Return settings that keep to the test's folder."""
    return Settings.model_validate({"state_dir": tmp_path / "state", "config_dir": None, **values})


def test_shipped_defaults_are_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fresh machine has nothing to mend."""
    assert run_check(settings(tmp_path), {}, None) == 0
    assert capsys.readouterr().out.endswith("Ready to run.\n")


def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken file is named with its line, and the exit code says so."""
    (tmp_path / "policies.yaml").write_text("policies:\n  - name: x\n    verdic: allow\n")

    assert run_check(settings(tmp_path, config_dir=tmp_path), {}, None) == 1

    said = capsys.readouterr().out
    assert "policies.yaml:" in said
    assert said.endswith("Something must be mended first.\n")


def test_variable_that_nothing_reads_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt variable is pointed out, and does not stop anybody."""
    assert run_check(settings(tmp_path), {"MUSTER_PROT": "1"}, None) == 0
    assert "MUSTER_PORT" in capsys.readouterr().out


def test_token_variable_that_is_not_set_is_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is named with a token that is nowhere cannot get in: that is said."""
    people = "people:\n  alice: {name: Alice, token_env: ALICE_TOKEN}\n"
    (tmp_path / "people.yaml").write_text(people)
    given = settings(tmp_path, config_dir=tmp_path)

    assert run_check(given, {}, None) == 0
    assert "ALICE_TOKEN is not set" in capsys.readouterr().out
    assert run_check(given, {"ALICE_TOKEN": "x"}, None) == 0
    assert "ALICE_TOKEN" not in capsys.readouterr().out


def test_server_that_cannot_be_reached_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A configured Redis is looked at too."""
    given = settings(tmp_path, redis_url=f"unix://{tmp_path}/none.sock")

    assert run_check(given, {}, None) == 1
    assert "Something must be mended first." in capsys.readouterr().out


def test_schemas_are_written_for_editors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is filled, and named."""
    folder = tmp_path / "schemas"

    run_check(settings(tmp_path), {}, folder)

    assert list(folder.iterdir())
    assert f"schemas are in {folder}" in capsys.readouterr().out
