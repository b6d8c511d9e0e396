"""`muster eval` ends with 0 when all passed, 1 when not, and 2 when there is nothing to report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli.evals import FAILED, PASSED, REFUSED, EvalOptions, run_evals
from bot.evals.report import Report
from bot.evals.runner import Selection
from config.settings import Settings

CASE = """\
name: away
title: A goal that nothing fits
labels: [intake]
goal: bake a cake
expect: {starts_run: false}
"""


def evaluated(folder: Path, text: str, **fields: Any) -> int:
    """Return the exit code for a folder with this one case."""
    (folder / "cases").mkdir()
    (folder / "cases" / "case.yaml").write_text(text, encoding="utf-8")
    options = EvalOptions(
        folder / "cases",
        Selection(**fields),
        out=folder / "report" / "out.json",
        html=folder / "report" / "out.html",
    )
    return run_evals(Settings(), {}, options)


def test_passed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table is printed and the files are written."""
    assert evaluated(tmp_path, CASE) == PASSED

    report = Report.model_validate(json.loads((tmp_path / "report" / "out.json").read_text()))
    assert report.has_passed
    assert "<title>" in (tmp_path / "report" / "out.html").read_text()
    assert "No model is configured" in capsys.readouterr().out


def test_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first unmet expectation of what failed is said."""
    expect = "expect: {required: [{kind: healthy}]}"
    assert evaluated(tmp_path, CASE.replace("expect: {starts_run: false}", expect)) == FAILED
    assert "failed away (runbook, 1 of 1): no run was started" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (CASE, {"min_cases": 2}),
        (CASE, {"labels": ("nosuch",)}),
        (CASE, {"mode": "model"}),
        (CASE.replace("labels:", "requires: model\nlabels:"), {}),
        (CASE.replace("goal:", "gaol:"), {}),
    ],
)
def test_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, fields: dict[str, Any]
) -> None:
    """Nothing is reported, and a sentence says why."""
    assert evaluated(tmp_path, text, **fields) == REFUSED

    assert not (tmp_path / "report").exists()
    assert capsys.readouterr().err.strip()
