"""Figures over trials: how many passed, how sure that is, what it cost, how long it took; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from bot.evals.trial import Trial

Z_95 = 1.959964
P95 = 0.95
ALL = "all"
"""The label of the row over everything."""


def wilson(passed: float, total: int) -> tuple[float, float]:
    """Return the Wilson 95 % interval of a share; (0, 1) when nothing is known."""
    if total <= 0:
        return 0.0, 1.0
    share = min(1.0, max(0.0, passed / total))
    scale = 1 + Z_95**2 / total
    middle = (share + Z_95**2 / (2 * total)) / scale
    half = Z_95 * math.sqrt(share * (1 - share) / total + Z_95**2 / (4 * total**2)) / scale
    low = 0.0 if share == 0.0 else max(0.0, middle - half)
    high = 1.0 if share == 1.0 else min(1.0, middle + half)
    return low, high


def interval(trials: Sequence[Trial]) -> tuple[float, float]:
    """Return the 95 % interval of the share that passes.

    It counts cases, not trials: trying one case ten times says little about the next case.
    """
    cases = {trial.scenario.name for trial in trials}
    passed = sum(trial.has_passed for trial in trials)
    return wilson(passed / len(trials) * len(cases), len(cases)) if trials else (0.0, 1.0)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least that share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def middle(values: Sequence[float]) -> float:
    """Return the median; 0 of nothing."""
    return median(values) if values else 0.0


def labels_of(trials: Sequence[Trial]) -> list[str]:
    """Return the labels that occur, sorted."""
    return sorted({label for trial in trials for label in trial.scenario.labels})


def with_label(trials: Sequence[Trial], label: str) -> list[Trial]:
    """Return the trials of a label; all of them for `ALL`."""
    return [trial for trial in trials if label == ALL or label in trial.scenario.labels]
