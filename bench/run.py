"""Runs the measurements one after the other, prints the table and writes latest.json."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import structlog

from bench import alerts_bench, console, idle, models, overhead, recovery, slack, worker_bench
from bench.figures import LATEST, Figure, save, table

Measure = Callable[[], Awaitable[list[Figure]]]
BUSY_LOAD = 0.5
"""A load average of more than this per core before the start says that others use the machine."""


async def _help() -> list[Figure]:
    return await asyncio.to_thread(idle.help_figures)


PARTS: Mapping[str, Measure] = {
    "help": _help,
    "overhead": overhead.measure,
    "models": models.measure,
    "recovery": recovery.measure,
    "console": console.measure,
    "slack": slack.measure,
    "idle": idle.measure,
    "worker": worker_bench.figures,
    "store": alerts_bench.figures,
}
"""Each starts and stops what it needs; `help` is the cheapest."""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what was asked for (by default all); returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--output", type=Path, default=LATEST, help="where the JSON is written")
    asked = parser.parse_args(argv)
    unknown = [part for part in asked.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]}; choose from: {', '.join(PARTS)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if os.getloadavg()[0] > BUSY_LOAD * (os.cpu_count() or 1):
        _say(f"Others use this machine (load {os.getloadavg()[0]:.1f}): figures will be worse.")
    figures: list[Figure] = []
    for part in asked.parts or PARTS:
        _say(f"measuring {part} ...")
        figures += asyncio.run(_measured(PARTS[part]))
    print(table(figures))
    save(figures, asked.output)
    return 0


async def _measured(measure: Measure) -> list[Figure]:
    return await measure()


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
