"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from bot.evals.report import Report
from bot.evals.table import cells


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
    overall = [row for row in report.rows if row.label == "all"]
    return template.render(report=report, by_mode=by_mode, overall=overall)
