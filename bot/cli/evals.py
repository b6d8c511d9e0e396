"""`muster eval`: run scenarios, judge them, and report with intervals."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from agents.models import lite
from agents.models.memory_gate import MemoryGate
from agents.models.router import ModelRouter
from bot.evals.page import page_of
from bot.evals.reading import ScenariosError, read_scenarios
from bot.evals.report import Report, report_on
from bot.evals.runner import MODEL, RUNBOOK, RefusedError, Selection, Work, run_all, select
from bot.evals.table import print_report
from bot.evals.trial import Thinker, Trial
from config.catalogue import CatalogueError
from config.contents import Catalogue
from config.models import effective_models, model_keys
from config.settings import Settings
from config.specs import ModelsFile
from jobs.assembly import read_catalogue
from jobs.metered import MeteredModels
from jobs.observe import configure_logging
from jobs.spending_store import MemoryLedger

PASSED = 0
FAILED = 1
REFUSED = 2


@dataclass(frozen=True, slots=True)
class EvalOptions:
    """What the person at the terminal asked for."""

    folder: Path
    selection: Selection
    runs: int = 1
    jobs: int = 4
    out: Path | None = None
    html: Path | None = None


def run_evals(settings: Settings, environ: Mapping[str, str], options: EvalOptions) -> int:
    """Run the scenarios and report on them; returns the exit code."""
    configure_logging("ERROR")
    console = Console()
    try:
        scenarios = read_scenarios(options.folder)
        catalogue = read_catalogue(settings)
        models = effective_models(catalogue.models, catalogue.agents.values(), settings)
        thinkers = [Thinker(RUNBOOK, RUNBOOK)]
        if models.models:
            thinkers.append(_modelled(models, environ, settings))
        work = select(scenarios, options.selection, thinkers)
    except (ScenariosError, CatalogueError, RefusedError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    began_at, began = time.time(), time.monotonic()
    try:
        trials = asyncio.run(_run(work, replace(catalogue, models=models), options, console))
    except KeyboardInterrupt:
        sys.stderr.write("Stopped before all cases were run: there is no report.\n")
        return REFUSED
    report = report_on(
        trials,
        work,
        folder=str(options.folder),
        runs=options.runs,
        began_at=began_at,
        duration_s=time.monotonic() - began,
    )
    print_report(report, console)
    _write(report, options, console)
    return PASSED if report.has_passed else FAILED


def _modelled(models: ModelsFile, environ: Mapping[str, str], settings: Settings) -> Thinker:
    """Return the configured models, on budgets of their own for this evaluation."""
    router = ModelRouter(models, MemoryGate(), model_keys(models, environ, settings))
    metered = MeteredModels(router, MemoryLedger(models.budgets), time.time)
    names = dict.fromkeys(specs[0].model for specs in models.models.values() if specs)
    aliases = frozenset(alias for alias, specs in models.models.items() if specs)
    return Thinker(MODEL, ", ".join(names), metered, aliases)


async def _run(
    work: Work, catalogue: Catalogue, options: EvalOptions, console: Console
) -> list[Trial]:
    try:
        return await run_all(
            work,
            catalogue,
            runs=options.runs,
            jobs=options.jobs,
            told=lambda trial: _tell(trial, console),
        )
    finally:
        await lite.close()


def _tell(trial: Trial, console: Console) -> None:
    mark = "[green]passed[/]" if trial.has_passed else "[red]failed[/]"
    console.print(
        f"{mark} {trial.scenario.name} ({trial.thinker.mode}, {trial.outcome.duration_s:.1f} s)",
        highlight=False,
    )


def _write(report: Report, options: EvalOptions, console: Console) -> None:
    if options.out is not None:
        _put(options.out, report.model_dump_json(indent=2) + "\n", console)
    if options.html is not None:
        _put(options.html, page_of(report), console)


def _put(path: Path, text: str, console: Console) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    console.print(f"The report is in {path}", highlight=False)
