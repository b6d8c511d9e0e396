"""The report in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.evals.report import Report, Row
from bot.evals.tally import ALL


def print_report(report: Report, console: Console) -> None:
    """Print the table, what has to be said about it, and each failure's first reason."""
    table = Table(title=f"{report.folder}, {report.runs_per_case} per case and mode")
    table.add_column("mode")
    table.add_column("label", no_wrap=True)
    for name in ("passed", "95 %", "cost", "median", "time", "p95"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.rows:
        if row.label == ALL and table.row_count:
            table.add_section()
        table.add_row(*cells(row), style="bold" if row.label == ALL else "")
    console.print(table)
    for note in report.notes:
        console.print(Text(note))
    for case, trial, count in report.failures:
        text = Text("failed ", style="bold red")
        text.append(
            f"{case.name} ({trial.mode}, {count} of {report.runs_per_case}): ", style="bold"
        )
        text.append(trial.missed[0] if trial.missed else "")
        console.print(text)


def cells(row: Row) -> tuple[str, ...]:
    """Return the cells of a row, as the page shows them too."""
    return (
        mode_text(row),
        row.label,
        f"{row.passed}/{row.trials}",
        f"{row.low * 100:.0f}-{row.high * 100:.0f} %",
        cost_text(row),
        f"${row.cost_usd.median:.4f}",
        f"{row.latency_s.median:.1f} s",
        f"{row.latency_s.p95:.1f} s",
    )


def mode_text(row: Row) -> str:
    """Say who thought: a scripted model is never taken for a real one."""
    return row.mode if row.by == row.mode else f"{row.mode} ({row.by})"


def cost_text(row: Row) -> str:
    """Return what all trials cost together; what nobody knows is said."""
    unknown = f" + {row.cost_usd.unknown} unknown" if row.cost_usd.unknown else ""
    return f"${row.cost_usd.total:.4f}{unknown}"
