"""A step solved by an agent with a model."""

from __future__ import annotations

from pydantic import JsonValue

from agents.models.port import NoModelError
from jobs.workbench import Workbench


async def solve_step(bench: Workbench) -> JsonValue:
    """Return the agent's output for the step; NoModelError when no model answers."""
    raise NoModelError(bench.agent.model or "", {})
