"""A step whose agent plans for others."""

from __future__ import annotations

from pydantic import JsonValue

from agents.models.port import NoModelError
from jobs.workbench import Workbench


async def supervise_step(bench: Workbench) -> JsonValue:
    """Return the supervisor's output once its plan has ended; raises Suspended to plan."""
    raise NoModelError(bench.agent.model or "", {})
