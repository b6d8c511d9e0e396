"""What is measured, against which target, and how it is printed and stored."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LATEST = Path(__file__).resolve().parent / "latest.json"


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure should be: at most, or at least, this much."""

    limit: float
    is_floor: bool = False

    def is_met(self, value: float) -> bool:
        """Whether the value is good enough."""
        return value >= self.limit if self.is_floor else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.is_floor else '≤'} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the table; without a target it is there to explain the others."""

    name: str
    value: float
    unit: str
    target: Target | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.target.is_met(self.value)


def at_most(limit: float) -> Target:
    """Return the target of a figure that should be small."""
    return Target(limit)


def at_least(limit: float) -> Target:
    """Return the target of a figure that should be large."""
    return Target(limit, is_floor=True)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that this percentage of the values does not exceed."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a table for people."""
    words = {True: "yes", False: "NO", None: ""}
    rows = [("figure", "value", "unit", "target", "met")]
    rows += [
        (f.name, _number(f.value), f.unit, str(f.target or ""), words[f.is_met]) for f in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        name, value, *rest = row
        cells = [name.ljust(widths[0]), value.rjust(widths[1])]
        cells += [cell.ljust(width) for cell, width in zip(rest, widths[2:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def as_json(figures: Sequence[Figure]) -> Mapping[str, Mapping[str, object]]:
    """Return the figures by name: value, unit, target, met."""
    return {
        f.name: {
            "value": round(f.value, 4),
            "unit": f.unit,
            "target": f.target.limit if f.target else None,
            "met": f.is_met,
        }
        for f in figures
    }


def save(figures: Sequence[Figure], path: Path = LATEST) -> None:
    """Write the figures where other programs find them."""
    path.write_text(json.dumps(as_json(figures), indent=2) + "\n")


def _number(value: float) -> str:
    """Return the value with as many digits as mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
