"""The report says for each label how many passed, and why the others did not."""

from __future__ import annotations

import json
from io import StringIO

from rich.console import Console

from bot.evals.page import page_of
from bot.evals.report import Report, report_on
from bot.evals.runner import Work
from bot.evals.table import print_report
from bot.evals.trial import Trial
from tests.bot.evals.cases import SCRIPTED, trial

NOTE = "No model is configured: the runbook row is all there is."


def report(*trials: Trial, runs: int = 1) -> Report:
    """Return the report on these trials."""
    thinkers = dict.fromkeys(one.thinker for one in trials)
    work = Work(tuple((thinker, ()) for thinker in thinkers), (NOTE,))
    return report_on(trials, work, folder="cases", runs=runs, began_at=0.0, duration_s=2.0)


MIXED = report(
    trial("good"),
    trial("bad", "required and missing: <b>it says</b> “x”", labels=["incident", "deploy"]),
    trial("good", thinker=SCRIPTED),
)


def test_rows() -> None:
    """There is a row for everything and one for each label, for each who thought."""
    rows = {(row.mode, row.label): (row.passed, row.trials) for row in MIXED.rows}

    assert rows == {
        ("runbook", "all"): (1, 2),
        ("runbook", "deploy"): (0, 1),
        ("runbook", "incident"): (1, 2),
        ("model", "all"): (1, 1),
        ("model", "incident"): (1, 1),
    }
    assert not MIXED.has_passed


def test_json_is_what_is_documented() -> None:
    """The shape is versioned, and reads back as it was written."""
    data = json.loads(MIXED.model_dump_json())

    assert data["version"] == 1
    assert data["cases"][0]["trials"][0]["missed"]
    assert Report.model_validate(data) == MIXED


def test_table() -> None:
    """The terminal shows the rows, the notes, and each failure's first reason."""
    written = StringIO()
    print_report(MIXED, Console(file=written, width=120))
    text = written.getvalue()

    assert "scripted" in text
    assert "they say nothing about the judgement of a real model" in text
    assert NOTE in text
    assert "failed bad (runbook, 1 of 1): required and missing" in text


def test_page() -> None:
    """The page stands for itself, loads nothing, and takes no markup from answers."""
    text = page_of(MIXED)

    assert "scripted" in text
    assert "&lt;b&gt;it says&lt;/b&gt;" in text
    assert "http" not in text
    assert "<script" not in text


def test_a_failure_is_told_once_per_mode() -> None:
    """Of many failing tries the first is shown, with how many there were."""
    again = report(trial("bad", "no"), trial("bad", "no"), trial("bad"), runs=3)

    ((case, _, count),) = again.failures

    assert (case.name, count) == ("bad", 2)


def test_passed() -> None:
    """Only when every trial passed did the evaluation pass."""
    assert report(trial("a"), trial("b")).has_passed
