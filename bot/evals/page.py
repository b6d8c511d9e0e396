"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from bot.evals.report import Report
from bot.evals.table import cells, mode_text, models_told
from bot.evals.tally import ALL


def page_of(report: Report) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("bot.evals", "."), autoescape=True, undefined=StrictUndefined
    )
    template = environment.get_template("page.html.j2")
    by_mode: dict[str, list[tuple[str, ...]]] = {}
    for row in report.rows:
        shown = cells(row)
        by_mode.setdefault(shown[0], []).append(shown[1:])
    overall = [(mode_text(row), row) for row in report.rows if row.label == ALL]
    notes = (*models_told(report), *report.notes)
    return template.render(report=report, notes=notes, by_mode=by_mode, overall=overall)
