"""How an agent works without a model: the tool calls of its runbook, then its report.

An agent with a model may begin with what its runbook gathers, too; see `gather`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol, cast

from pydantic import JsonValue

from agents.domain import JsonObject
from agents.reports import REPORTS, CallOutcome
from config.expressions import evaluate, fill, references
from config.specs import AgentSpec, CallSpec, ReportSpec

NOT_NEEDED = "not needed"
NOT_MADE = "not made: a call that the runbook cannot do without failed before"


class NoRunbookError(Exception):
    """The agent works with a model only, and there is none."""

    def __init__(self, agent: str) -> None:
        super().__init__(
            f"agent {agent} has no runbook, so it needs a model, and none answers: "
            "configure one in models.yaml, or give the agent a runbook"
        )


class CallTool(Protocol):
    """Carry out one call of a step; the same id gives the same result after a takeover."""

    async def __call__(self, call_id: str, tool: str, args: JsonObject) -> CallOutcome:
        """Return the outcome; raises `agents.tool.ToolError` when there is none."""


async def follow(agent: AgentSpec, inputs: JsonObject, call_tool: CallTool) -> JsonValue:
    """Return the output of the agent's runbook for these inputs.

    Raises what `call_tool` raises, and RunbookCallError when a needed call had no result.
    """
    outcomes = await gather(agent, inputs, call_tool)
    for call in agent.calls:
        if _is_fatal(call, outcomes[call.id]):
            raise RunbookCallError(call, outcomes[call.id].error)
    return report(agent, inputs, outcomes)


async def gather(
    agent: AgentSpec, inputs: JsonObject, call_tool: CallTool
) -> dict[str, CallOutcome]:
    """Return what each call of the agent's runbook came to.

    Calls run as soon as the calls they refer to have ended; when one that the runbook cannot do
    without has failed, those that have not begun are not made any more.
    """
    outcomes: dict[str, CallOutcome] = {}
    runbook = agent.runbook
    if runbook is None:
        raise NoRunbookError(agent.name)
    waiting = list(runbook.calls)
    while waiting:
        ready = [call for call in waiting if _refers_to(call) <= outcomes.keys()]
        if not ready:
            stuck = ", ".join(call.id for call in waiting)
            raise ValueError(f"the runbook of {agent.name} loops: {stuck} wait for each other")
        known = _variables(inputs, outcomes)
        results = await asyncio.gather(
            *(_carry_out(call, known, call_tool) for call in ready), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        outcomes.update(
            {
                call.id: result
                for call, result in zip(ready, results, strict=True)
                if isinstance(result, CallOutcome)
            }
        )
        waiting = [call for call in waiting if call.id not in outcomes]
        if any(_is_fatal(call, outcomes[call.id]) for call in ready):
            outcomes |= {call.id: CallOutcome(None, "", "", NOT_MADE) for call in waiting}
            break
    return outcomes


def report(agent: AgentSpec, inputs: JsonObject, outcomes: Mapping[str, CallOutcome]) -> JsonValue:
    """Return what the agent's runbook makes of the outcomes of its calls."""
    if agent.runbook is None:
        raise NoRunbookError(agent.name)
    return _report(agent.runbook.report, inputs, outcomes)


def is_not_needed(outcome: CallOutcome) -> bool:
    """Whether a call was left out because its `when` did not hold."""
    return outcome.error.startswith(NOT_NEEDED)


def _is_fatal(call: CallSpec, outcome: CallOutcome) -> bool:
    return bool(outcome.error) and not call.optional and not is_not_needed(outcome)


async def _carry_out(call: CallSpec, known: Mapping[str, Any], call_tool: CallTool) -> CallOutcome:
    if call.when is not None and not evaluate(call.when, known):
        return CallOutcome(output=None, evidence_id="", text="", error=f"{NOT_NEEDED}: {call.when}")
    filled = cast(JsonObject, fill(dict(call.args), known))
    args: JsonObject = {name: value for name, value in filled.items() if value is not None}
    return await call_tool(call.id, call.tool, args)


class RunbookCallError(Exception):
    """A call that the runbook cannot do without had no result."""

    def __init__(self, call: CallSpec, error: str) -> None:
        self.call = call
        super().__init__(f"{call.tool} ({call.id}): {error}")


def _refers_to(call: CallSpec) -> set[str]:
    used = references(dict(call.args))
    if call.when is not None:
        used |= references(f"{{{{ {call.when} }}}}")
    return {path[1] for path in used if len(path) > 1 and path[0] == "calls"}


def _variables(inputs: JsonObject, outcomes: Mapping[str, CallOutcome]) -> dict[str, Any]:
    return {
        "inputs": inputs,
        "calls": {key: asdict(outcome) for key, outcome in outcomes.items()},
    }


def _report(
    report: ReportSpec, inputs: JsonObject, outcomes: Mapping[str, CallOutcome]
) -> JsonValue:
    if report.function is not None:
        return REPORTS[report.function](inputs, outcomes)
    return fill(dict(report.output or {}), _variables(inputs, outcomes))
