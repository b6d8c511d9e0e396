"""`muster check`: everything that can be wrong before a start, said all at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from agents.registry import report_outputs, tool_schemas
from bot.platforms.slack.check import check as check_slack
from config.catalogue import CatalogueError, check_catalogue, load_catalogue
from config.schemas import write_schemas
from config.settings import Settings, unclaimed, unclaimed_sentence
from jobs.assembly import all_tools
from jobs.incident_store import MemoryIncidentStore
from jobs.redis_check import check as check_redis


def run_check(settings: Settings, environ: Mapping[str, str], schemas: Path | None) -> int:
    """Print what is wrong; returns 1 when something must be mended before Muster can run."""
    tools = tool_schemas(all_tools(MemoryIncidentStore()))
    problems = check_catalogue(settings.config_dir, tools, report_outputs())
    lines = [str(problem) for problem in problems]
    is_broken = any(not problem.is_warning for problem in problems)
    claimed: frozenset[str] = frozenset()
    if not is_broken:
        claimed = _token_variables(settings)
        lines += [
            f"warning: {name} is not set, so nobody can use what names it"
            for name in sorted(claimed - environ.keys())
        ]
    lines += [f"warning: {unclaimed_sentence(name)}" for name in unclaimed(environ, claimed)]
    if settings.redis_url:
        found = asyncio.run(check_redis(settings.redis_url))
        lines += [str(problem) for problem in found]
        is_broken = is_broken or any(problem.is_fatal for problem in found)
    slack = asyncio.run(check_slack(settings))
    lines += [str(problem) for problem in slack]
    is_broken = is_broken or any(problem.is_fatal for problem in slack)
    if schemas is not None:
        written = write_schemas(schemas)
        lines.append(f"{len(written)} schemas are in {schemas}")
    for line in lines:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write("Something must be mended first.\n" if is_broken else "Ready to run.\n")
    return 1 if is_broken else 0


def _token_variables(settings: Settings) -> frozenset[str]:
    """Return the variables that the catalogue names for tokens."""
    try:
        return load_catalogue(settings.config_dir).token_variables
    except CatalogueError:
        return frozenset()
