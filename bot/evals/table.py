"""The report in a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from agents.models.scripted import NAME as SCRIPTED
from bot.evals.report import Report, Row
from bot.evals.runner import MODEL
from bot.evals.tally import ALL


def print_report(report: Report, console: Console) -> None:
    """Print the table, what has to be said about it, and each failure's first reason."""
    table = Table(
        title=f"{report.folder}, {report.runs_per_case} per case and mode",
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for name in ("mode", "label"):
        table.add_column(name, no_wrap=True)
    for name in ("passed", "95 %", "cost", "median", "time", "p95"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.rows:
        if row.label == ALL and table.row_count:
            table.add_section()
        table.add_row(*cells(row), style="bold" if row.label == ALL else "")
    console.print(table)
    for note in (*models_told(report), *report.notes):
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
    return SCRIPTED if row.by == SCRIPTED else row.mode


def models_told(report: Report) -> list[str]:
    """Return which models the model rows are about, in a sentence each."""
    names = dict.fromkeys(row.by for row in report.rows if row.mode == MODEL)
    return [
        "The scripted rows follow a script: they say nothing about the judgement of a real model."
        if name == SCRIPTED
        else f"The model rows are those of {name}."
        for name in names
    ]


def cost_text(row: Row) -> str:
    """Return what all trials cost together; what nobody knows is said."""
    unknown = f" + {row.cost_usd.unknown} unknown" if row.cost_usd.unknown else ""
    return f"${row.cost_usd.total:.4f}{unknown}"
