"""`muster eval` ends with 0 when all passed, 1 when not, and 2 when there is nothing to report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli import evals
from bot.cli.evals import FAILED, PASSED, REFUSED, EvalOptions, run_evals
from bot.evals.report import Report
from bot.evals.runner import Selection
from config.settings import Settings
from tests.model_server import Asked, ModelServer, Reply, call

CASE = """\
name: away
title: A goal that nothing fits
labels: [intake]
goal: bake a cake
expect: {starts_run: false}
"""


@pytest.fixture(autouse=True)
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave logging alone: loggers keep the stream they first wrote to, and this test's closes."""
    monkeypatch.setattr(evals, "configure_logging", lambda *_: None)


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


AGENT = """\
name: looker
title: Looker
description: Looks at one service.
model: smart
tools: [metrics.onset]
output:
  type: object
  required: [headline, finding]
  properties: {headline: {type: string}, finding: {type: string}}
"""
WORKFLOW = """\
name: look
title: Look
description: One agent looks.
steps: [{id: look, agent: looker}]
answer: look
"""
MODEL_CASE = """\
name: fine
title: Nothing is wrong
labels: [healthy]
requires: model
goal: is checkout fine?
workflow: look
world: {services: {checkout: {}}}
expect: {required: [{kind: healthy}], max_model_calls: 2}
"""


def look_and_say(asked: Asked) -> Reply:
    """Look once, then hand in that all is well."""
    if not asked.results:
        return call("metrics__onset", service="checkout")
    return call("submit", headline="Nothing is wrong with checkout.", finding="healthy")


def test_a_configured_model_is_asked(tmp_path: Path) -> None:
    """With MUSTER_MODEL_* the model row is there, spoken to over HTTP as in production."""
    for name, text in {
        "config/agents/looker.yaml": AGENT,
        "config/workflows/look.yaml": WORKFLOW,
        "cases/case.yaml": MODEL_CASE,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    out = tmp_path / "out.json"
    options = EvalOptions(tmp_path / "cases", Selection(mode="model"), out=out)

    with ModelServer(look_and_say) as server:
        settings = Settings(
            config_dir=tmp_path / "config", model_name="local", model_base_url=server.base_url
        )
        code = run_evals(settings, {}, options)
        asked = len(server.calls)

    report = Report.model_validate_json(out.read_text(encoding="utf-8"))
    assert code == PASSED, report.cases[0].trials
    assert asked == 2
    assert (report.rows[0].mode, report.rows[0].by) == ("model", "local")
    assert report.rows[0].cost_usd.unknown == 1
