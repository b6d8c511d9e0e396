"""Runs scenarios, several at a time, each as often as asked in each mode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from agents.tool import Toolbox
from agents.tools.alerts import AlertBook
from agents.tools.chat import Poster
from bot.evals.monitor import Monitor
from bot.evals.scenario import Scenario
from bot.evals.trial import House, Thinker, Trial, try_once
from config.contents import Catalogue
from jobs.assembly import all_tools

RUNBOOK = "runbook"
MODEL = "model"
BOTH = "both"
MODES = (RUNBOOK, MODEL, BOTH)
THREADS_PER_JOB = 8
"""A case looks at metrics, logs and deploys at the same time, and waits in threads."""
MAX_NAMED = 10


class RefusedError(Exception):
    """There is nothing, or not enough, to report on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases run: those with one of the labels (all without any), at least `min_cases`."""

    labels: tuple[str, ...] = ()
    min_cases: int = 1
    mode: str = BOTH


@dataclass(frozen=True, slots=True)
class Work:
    """What will run: cases by thinker, and what has to be said openly about it."""

    rows: tuple[tuple[Thinker, tuple[Scenario, ...]], ...]
    notes: tuple[str, ...] = ()


def select(
    scenarios: Sequence[Scenario], selection: Selection, thinkers: Sequence[Thinker]
) -> Work:
    """Return what will run; RefusedError when that would be less than what was asked.

    `thinkers` are those that there are: runbooks always, models only when some are configured.
    """
    wanted = [one for one in scenarios if not selection.labels or _has(one, selection.labels)]
    unknown = [
        label for label in selection.labels if not any(label in one.labels for one in scenarios)
    ]
    if not scenarios:
        raise RefusedError("There is no scenario in the folder: nothing was run.")
    if unknown:
        known = ", ".join(sorted({label for one in scenarios for label in one.labels}))
        raise RefusedError(f"No scenario has the label {', '.join(unknown)}; labels: {known}.")
    if len(wanted) < selection.min_cases:
        raise RefusedError(
            f"{len(wanted)} cases were found and at least {selection.min_cases} were asked for: "
            "nothing was run. Add cases, or ask for fewer with --min-cases."
        )
    there = {thinker.mode: thinker for thinker in thinkers}
    modes = (RUNBOOK, MODEL) if selection.mode == BOTH else (selection.mode,)
    if selection.mode == MODEL and MODEL not in there:
        raise RefusedError(
            "No model is configured, so there is no model row: set MUSTER_MODEL_NAME (and "
            "MUSTER_MODEL_BASE_URL, MUSTER_MODEL_KEY), or fill models.yaml."
        )
    notes: list[str] = []
    if MODEL in modes and MODEL not in there:
        without = [one for one in wanted if one.requires == MODEL]
        if without:
            raise RefusedError(
                f"{_named(without)} need a model and none is configured, so they would be "
                "skipped: configure one, or ask for the runbook row alone with --mode runbook."
            )
        notes.append("No model is configured: the runbook row is all there is.")
    rows: list[tuple[Thinker, tuple[Scenario, ...]]] = []
    for mode in modes:
        if mode not in there:
            continue
        others = [one for one in wanted if one.requires not in (None, mode)]
        if others:
            notes.append(f"No part of the {mode} row: {_named(others)}.")
        rows.append((there[mode], tuple(one for one in wanted if one.requires in (None, mode))))
    for thinker, cases in rows:
        if len(cases) < selection.min_cases:
            raise RefusedError(
                f"The {thinker.mode} row would have {len(cases)} cases and at least "
                f"{selection.min_cases} were asked for: nothing was run."
            )
    return Work(tuple(rows), tuple(notes))


async def run_all(
    work: Work,
    catalogue: Catalogue,
    *,
    runs: int = 1,
    jobs: int = 4,
    tools: Callable[[AlertBook, Poster], Toolbox] = all_tools,
    told: Callable[[Trial], None] = lambda _: None,
) -> list[Trial]:
    """Return every trial, in the order of the work; `told` hears of each as it ends."""
    places = asyncio.Semaphore(jobs)
    with Monitor() as monitor, ThreadPoolExecutor(jobs * THREADS_PER_JOB) as threads:
        house = House(catalogue, tools, monitor, threads)

        async def attempt(scenario: Scenario, thinker: Thinker) -> Trial:
            async with places:
                trial = await try_once(scenario, thinker, house)
            told(trial)
            return trial

        return await asyncio.gather(
            *(
                attempt(scenario, thinker)
                for thinker, scenarios in work.rows
                for scenario in scenarios
                for _ in range(runs)
            )
        )


def _has(scenario: Scenario, labels: Sequence[str]) -> bool:
    return any(label in scenario.labels for label in labels)


def _named(scenarios: Sequence[Scenario]) -> str:
    names = ", ".join(one.name for one in scenarios[:MAX_NAMED])
    more = len(scenarios) - MAX_NAMED
    return f"{len(scenarios)} cases ({names}{f' and {more} more' if more > 0 else ''})"
