"""The graph that is measured, and the stub that each of its steps runs.

1 -> 8 -> 1 -> 1 -> 1: twelve steps of 200 ms, so the critical path is 1.0 s.
"""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, Field

from agents.domain import Goal, Origin, Plan, Step, ThreadRef
from agents.tool import Limits, Tool, ToolContext, ToolResult

STEP_S = 0.2
WIDTH = 8
LEVELS = 5
CRITICAL_PATH_S = LEVELS * STEP_S
TOOL = "bench.sleep"
CHANNEL = "bench"


class SleepArguments(BaseModel, extra="forbid"):
    """How long to wait."""

    seconds: float = Field(STEP_S, ge=0, le=600)


class SleepOutput(BaseModel):
    """What a run's answer may be made of."""

    headline: str = "slept"


async def _sleep(_context: ToolContext, arguments: SleepArguments) -> ToolResult:
    await asyncio.sleep(arguments.seconds)
    return ToolResult(output=SleepOutput(), text=f"slept {arguments.seconds:g} s")


def sleep_tool() -> Tool:
    """Return the stub: a reading tool that waits in the worker's own event loop."""
    return Tool(
        name=TOOL,
        description="Wait.",
        arguments=SleepArguments,
        output=SleepOutput,
        run=_sleep,
        is_confined=False,
        limits=Limits(timeout_s=600),
    )


def step(step_id: str, *needs: str, seconds: float = STEP_S) -> Step:
    """Return a step that waits."""
    return Step(
        id=step_id,
        title=step_id,
        tool=TOOL,
        inputs={"seconds": seconds},
        needs=needs,
        timeout_s=600,
    )


def twelve_steps() -> Plan:
    """Return the graph of the overhead figures."""
    wide = [step(f"look-{number}", "begin") for number in range(WIDTH)]
    steps = (
        step("begin"),
        *wide,
        step("join", *(one.id for one in wide)),
        step("check", "join"),
        step("answer", "check"),
    )
    return Plan(workflow="bench", steps=steps, answer="answer")


def one_step(seconds: float) -> Plan:
    """Return a run of a single step."""
    return Plan(workflow="bench", steps=(step("answer", seconds=seconds),), answer="answer")


def goal() -> Goal:
    """Return what the measured runs are asked for."""
    return Goal(
        text="measure",
        requester_id="console:bench",
        requester_name="Bench",
        origin=Origin.API,
        thread=ThreadRef("console", CHANNEL, "bench"),
    )
