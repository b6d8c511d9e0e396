"""How an agent works without a model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agents.domain import JsonObject
from agents.reports import CallOutcome
from agents.runbook import RunbookCallError, follow
from agents.tool import TransientError
from config.expressions import ExpressionError
from config.specs import AgentSpec, CallSpec, ReportSpec, RunbookSpec


def agent(*calls: CallSpec, **report: Any) -> AgentSpec:
    """Return an agent with these calls and this report."""
    runbook = RunbookSpec(calls=calls, report=ReportSpec(output=report))
    return AgentSpec(name="scout", title="Scout", description="Looks.", runbook=runbook)


def call(call_id: str, **fields: Any) -> CallSpec:
    """Return a call of a reading tool."""
    return CallSpec(**{"id": call_id, "tool": "look.at", **fields})


class Tools:
    """Tools that say what they were asked, or fail by the call's id."""

    def __init__(self, **errors: str) -> None:
        self.errors = errors
        self.asked: list[tuple[str, JsonObject]] = []

    async def __call__(self, call_id: str, tool: str, args: JsonObject) -> CallOutcome:
        """Answer a call."""
        self.asked.append((call_id, args))
        if error := self.errors.get(call_id):
            return CallOutcome(output=None, evidence_id="", text="", error=error)
        return CallOutcome({"said": f"{call_id}!"}, f"ev-{call_id}", "text", "")


async def test_calls_follow_what_they_refer_to() -> None:
    """A call waits for those whose output it uses, whatever the order in the file."""
    tools = Tools()
    last = call("last", args={"x": "{{ calls.first.output.said }}"})

    output = await follow(agent(last, call("first"), all="{{ calls.last.output.said }}"), {}, tools)

    assert [call_id for call_id, _ in tools.asked] == ["first", "last"]
    assert tools.asked[1][1] == {"x": "first!"}
    assert output == {"all": "last!"}


async def test_arguments_without_a_value_are_left_out() -> None:
    """What an expression does not find leaves the tool its default."""
    tools = Tools()

    await follow(
        agent(call("a", args={"x": "{{ inputs.none }}", "y": "{{ inputs.y }}"})), {"y": 1}, tools
    )

    assert tools.asked == [("a", {"y": 1})]


async def test_call_that_is_not_needed_is_not_made() -> None:
    """A call whose `when` does not hold has no output, and is no failure."""
    tools = Tools()

    output = await follow(
        agent(call("a", when="inputs.x"), why="{{ calls.a.error }}"), {"x": False}, tools
    )

    assert tools.asked == []
    assert output == {"why": "not needed: inputs.x"}


async def test_failed_call_ends_the_runbook_unless_it_is_optional() -> None:
    """What an agent cannot do without is an error that names the call."""
    with pytest.raises(RunbookCallError, match=r"look.at \(a\): gone"):
        await follow(agent(call("a")), {}, Tools(a="gone"))

    output = await follow(
        agent(call("a", optional=True), why="{{ calls.a.error }}"), {}, Tools(a="gone")
    )
    assert output == {"why": "gone"}


async def test_other_calls_end_before_an_error_is_told() -> None:
    """Nothing of a runbook is cut off in the middle because another call failed."""
    ended: list[str] = []

    async def tools(call_id: str, tool: str, args: JsonObject) -> CallOutcome:
        if call_id == "bad":
            raise TransientError("away")
        await asyncio.sleep(0)
        ended.append(call_id)
        return CallOutcome({}, "", "", "")

    with pytest.raises(TransientError):
        await follow(agent(call("bad"), call("good")), {}, tools)

    assert ended == ["good"]


async def test_calls_that_wait_for_each_other_are_an_error() -> None:
    """A loop is said with its names instead of waited for."""
    first = call("a", args={"x": "{{ calls.b.output }}"})
    second = call("b", when="calls.a.output")

    with pytest.raises(ValueError, match="a, b wait for each other"):
        await follow(agent(first, second), {}, Tools())


async def test_expression_that_fails_is_told() -> None:
    """An expression without a value that JSON knows ends the runbook."""
    with pytest.raises(ExpressionError, match="divides by zero"):
        await follow(agent(call("a", args={"x": "{{ 1 / 0 }}"})), {}, Tools())


async def test_report_may_be_a_function_of_the_findings() -> None:
    """A function of `agents.reports` makes the output from inputs and calls."""
    runbook = RunbookSpec(report=ReportSpec(function="log_findings"))
    spec = agent().model_copy(update={"runbook": runbook})

    output = await follow(spec, {"service": "checkout"}, Tools())

    assert isinstance(output, dict)
    assert output["service"] == "checkout"
