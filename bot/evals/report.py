"""The report of an evaluation as data: the shape of its JSON, which tables and pages show.

Others read the JSON: within a version, fields are only added.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.evals.runner import Work
from bot.evals.tally import (
    ALL,
    P95,
    interval,
    labels_of,
    middle,
    percentile,
    with_label,
)
from bot.evals.trial import Trial

COST_DIGITS = 6
TIME_DIGITS = 3
SHARE_DIGITS = 4


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cost(_Part):
    """US dollars over trials; `unknown` counts those with a model whose price nobody knows."""

    total: float
    median: float
    unknown: int


class Latency(_Part):
    """Seconds over trials, from the goal or alert to the end of the run."""

    median: float
    p95: float


class Row(_Part):
    """The figures of one label (`all` for everything) in one mode."""

    mode: Literal["runbook", "model"]
    by: str
    """Who thinks: `runbook`, the models that were configured, or `scripted`."""
    label: str
    cases: int
    trials: int
    passed: int
    share: float
    low: float
    high: float
    """The Wilson 95 % interval of the share, by the number of cases."""
    cost_usd: Cost
    latency_s: Latency
    model_calls: int
    tokens: int


class TrialReport(_Part):
    """One trial; `missed` has a sentence per expectation that was not met."""

    mode: Literal["runbook", "model"]
    passed: bool
    missed: tuple[str, ...]
    status: str
    finding: str | None
    headline: str
    confidence: float | None
    models: tuple[str, ...]
    model_calls: int
    tokens: int
    cost_usd: float | None
    duration_s: float


class CaseReport(_Part):
    """One scenario with all its trials."""

    name: str
    title: str
    labels: tuple[str, ...]
    trials: tuple[TrialReport, ...]


class Report(_Part):
    """A whole evaluation."""

    version: Literal[1] = 1
    folder: str
    began_at: str
    duration_s: float
    runs_per_case: int
    notes: tuple[str, ...]
    rows: tuple[Row, ...]
    cases: tuple[CaseReport, ...]

    @property
    def has_passed(self) -> bool:
        """Whether every expectation of every trial was met."""
        return all(trial.passed for case in self.cases for trial in case.trials)

    @property
    def failures(self) -> list[tuple[CaseReport, TrialReport, int]]:
        """The cases that failed: the first failing trial of each mode, and how many failed."""
        found: list[tuple[CaseReport, TrialReport, int]] = []
        for case in self.cases:
            for mode in dict.fromkeys(trial.mode for trial in case.trials):
                failed = [one for one in case.trials if one.mode == mode and not one.passed]
                if failed:
                    found.append((case, failed[0], len(failed)))
        return found


def report_on(
    trials: Sequence[Trial],
    work: Work,
    *,
    folder: str,
    runs: int,
    began_at: float,
    duration_s: float,
) -> Report:
    """Return the report on all trials."""
    rows: list[Row] = []
    for thinker, _ in work.rows:
        own = [trial for trial in trials if trial.thinker.mode == thinker.mode]
        rows += [_row(with_label(own, label), label) for label in (ALL, *labels_of(own))]
    cases: dict[str, list[Trial]] = {}
    for trial in trials:
        cases.setdefault(trial.scenario.name, []).append(trial)
    return Report(
        folder=folder,
        began_at=datetime.fromtimestamp(began_at, UTC).isoformat(timespec="seconds"),
        duration_s=round(duration_s, TIME_DIGITS),
        runs_per_case=runs,
        notes=work.notes,
        rows=tuple(rows),
        cases=tuple(_case(cases[name]) for name in sorted(cases)),
    )


def _row(trials: Sequence[Trial], label: str) -> Row:
    thinker = trials[0].thinker
    passed = sum(trial.has_passed for trial in trials)
    low, high = interval(trials)
    outcomes = [trial.outcome for trial in trials]
    costs = [one.cost_usd for one in outcomes if one.cost_usd is not None]
    durations = [one.duration_s for one in outcomes]
    return Row(
        mode="model" if thinker.mode == "model" else "runbook",
        by=thinker.name,
        label=label,
        cases=len({trial.scenario.name for trial in trials}),
        trials=len(trials),
        passed=passed,
        share=round(passed / len(trials), SHARE_DIGITS),
        low=round(low, SHARE_DIGITS),
        high=round(high, SHARE_DIGITS),
        cost_usd=Cost(
            total=round(sum(costs), COST_DIGITS),
            median=round(middle(costs), COST_DIGITS),
            unknown=len(outcomes) - len(costs),
        ),
        latency_s=Latency(
            median=round(middle(durations), TIME_DIGITS),
            p95=round(percentile(durations, P95), TIME_DIGITS),
        ),
        model_calls=sum(one.spent.calls for one in outcomes),
        tokens=sum(one.spent.input_tokens + one.spent.output_tokens for one in outcomes),
    )


def _case(trials: Sequence[Trial]) -> CaseReport:
    scenario = trials[0].scenario
    return CaseReport(
        name=scenario.name,
        title=scenario.title,
        labels=scenario.labels,
        trials=tuple(_trial(trial) for trial in trials),
    )


def _trial(trial: Trial) -> TrialReport:
    outcome, answer = trial.outcome, trial.outcome.answer
    cost = outcome.cost_usd
    return TrialReport(
        mode="model" if trial.thinker.mode == "model" else "runbook",
        passed=trial.has_passed,
        missed=trial.missed,
        status=outcome.status or "not started",
        finding=answer.finding.value if answer else None,
        headline=answer.headline if answer else outcome.sentence,
        confidence=answer.confidence if answer else None,
        models=outcome.models,
        model_calls=outcome.spent.calls,
        tokens=outcome.spent.input_tokens + outcome.spent.output_tokens,
        cost_usd=None if cost is None else round(cost, COST_DIGITS),
        duration_s=round(outcome.duration_s, TIME_DIGITS),
    )
