"""The runner of the benchmarks: it measures, prints a table and writes flat JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.figures import Figure, as_json, at_least, at_most, percentile, table
from bench.graph import CRITICAL_PATH_S, STEP_S, twelve_steps
from bench.run import main

FIGURES = (
    Figure("fast", 0.12345678, "s", at_most(0.4)),
    Figure("rate", 25.0, "runs/s", at_least(30)),
    Figure("told", 1_234.5, "jobs/s"),
)


def test_cheapest_part_prints_and_stores_its_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each figure has a value, a unit, a target and whether it is met."""
    output = tmp_path / "latest.json"

    assert main(["help", "--output", str(output)]) == 0

    stored = json.loads(output.read_text())
    assert set(stored) == {"help"}
    assert set(stored["help"]) == {"value", "unit", "target", "met"}
    assert stored["help"]["value"] > 0
    assert (stored["help"]["unit"], stored["help"]["target"]) == ("s", 0.4)
    assert "help" in capsys.readouterr().out


def test_unknown_part_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt part measures nothing and names those there are."""
    with pytest.raises(SystemExit):
        main(["hepl"])

    assert "overhead" in capsys.readouterr().err


def test_targets_are_limits_from_above_or_below() -> None:
    """A time should be small, a rate large; without a target nothing is met or missed."""
    stored = as_json(FIGURES)

    assert [stored[name]["met"] for name in stored] == [True, False, None]
    assert stored["fast"]["value"] == 0.1235


def test_table_says_what_is_missed() -> None:
    """The table is read by people: a missed target stands out."""
    lines = table(FIGURES).splitlines()

    assert lines[3].split() == ["rate", "25.0", "runs/s", "≥", "30", "NO"]
    assert lines[4].split() == ["told", "1,234", "jobs/s"]


def test_percentile_needs_no_more_than_one_value() -> None:
    """The percentiles of few values are among them."""
    assert percentile([3.0], 99) == 3.0
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0


def test_measured_graph_has_the_critical_path_it_says() -> None:
    """Twelve steps on five levels of 200 ms: whatever takes longer is overhead."""
    plan = twelve_steps()
    ends: dict[str, float] = {}
    for step in plan.steps:
        ends[step.id] = STEP_S + max((ends[need] for need in step.needs), default=0.0)

    assert len(plan.steps) == 12
    assert max(ends.values()) == pytest.approx(CRITICAL_PATH_S)
