"""Checks of agents: their tools, who they work with, their runbook's calls and report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from config.contents import Catalogue, Surroundings
from config.expressions import ExpressionError, paths, references
from config.lint.remark import Path, Remark
from config.lint.values import UnknownReferenceError, ValueCheck, look_up, schema_fault
from config.nearest import hint
from config.shapes import TEXT, UNKNOWN, Shape
from config.specs import PERSON, AgentSpec, CallSpec

ROOTS = ("inputs", "calls")
CALL_FIELDS = ("output", "evidence_id", "text", "error")


def lint_agent(agent: AgentSpec, catalogue: Catalogue, around: Surroundings) -> Iterator[Remark]:
    """Return everything that is wrong with one agent."""
    yield from _Agent(agent, catalogue, around).remarks()


def call_links(call: CallSpec) -> set[str]:
    """Return the ids of the calls whose results a call reads."""
    try:
        read = references(dict(call.args)) | (paths(call.when) if call.when else set())
    except ExpressionError:
        return set()
    return {path[1] for path in read if path[0] == "calls" and len(path) > 1}


class _Agent:
    """One agent with what its checks look up."""

    def __init__(self, agent: AgentSpec, catalogue: Catalogue, around: Surroundings) -> None:
        self._agent = agent
        self._others = catalogue.agents
        self._tools = around.tools
        self._reports = around.reports
        self._calls = {call.id: call for call in agent.calls}

    def remarks(self) -> Iterator[Remark]:
        yield from self._schemas()
        yield from self._tool_names()
        yield from self._team()
        yield from self._handoffs()
        yield from self._loop()
        seen: set[str] = set()
        for index, call in enumerate(self._agent.calls):
            at: Path = ("runbook", "calls", index)
            if call.id in seen:
                yield self._say((*at, "id"), f'the id "{call.id}" is used by an earlier call')
            seen.add(call.id)
            yield from self._call(call, at)
        yield from self._report()

    def _say(self, path: Path, message: str, advice: str = "") -> Remark:
        return Remark("agents", self._agent.name, path, message, advice)

    def _schemas(self) -> Iterator[Remark]:
        for field, schema in (("inputs", self._agent.inputs), ("output", self._agent.output)):
            fault = schema_fault(schema)
            if fault:
                yield self._say((field,), fault)

    def _tool_names(self) -> Iterator[Remark]:
        for index, name in enumerate(self._agent.tools):
            if self._tools is not None and name not in self._tools:
                yield self._say(("tools", index), f'no tool "{name}"', hint(name, self._tools))

    def _team(self) -> Iterator[Remark]:
        if self._agent.supervises and self._agent.model is None:
            yield self._say(
                ("supervises",), "only a model can plan for others", 'add "model:" to the agent'
            )
        for index, name in enumerate(self._agent.team):
            yield from self._colleague(("team", index), name, self._others)

    def _handoffs(self) -> Iterator[Remark]:
        if self._agent.handoffs and self._agent.model is None:
            yield self._say(
                ("handoffs",),
                "only an agent with a model has a conversation to hand over",
                'add "model:" to the agent',
            )
        for index, name in enumerate(self._agent.handoffs):
            at: Path = ("handoffs", index)
            if name == PERSON:
                continue
            yield from self._colleague(at, name, {*self._others, PERSON})
            other = self._others.get(name)
            if other is not None and other.model is None:
                yield self._say(at, f'"{name}" has no model, so it cannot take a conversation over')

    def _colleague(self, at: Path, name: str, known: Iterable[str]) -> Iterator[Remark]:
        if name == self._agent.name:
            yield self._say(at, "names the agent itself", "name another agent")
        elif name not in self._others:
            yield self._say(at, f'no agent "{name}"', hint(name, known))

    def _loop(self) -> Iterator[Remark]:
        graph = {call.id: call_links(call) & set(self._calls) for call in self._agent.calls}
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            loop = " -> ".join(error.args[1])
            yield self._say(("runbook", "calls"), f"calls read each other's results: {loop}")

    def _call(self, call: CallSpec, at: Path) -> Iterator[Remark]:
        tool = None if self._tools is None else self._tools.get(call.tool)
        if call.tool not in self._agent.tools:
            yield self._say(
                (*at, "tool"),
                f'the agent may not use "{call.tool}"',
                hint(call.tool, self._agent.tools) or f'add "{call.tool}" to its tools',
            )
        elif self._tools is not None and tool is None:
            yield self._say((*at, "tool"), f'no tool "{call.tool}"', hint(call.tool, self._tools))
        check = ValueCheck("agents", self._agent.name, self._resolve)
        if call.when is not None:
            yield from check.expression(call.when, (*at, "when"))
        target = UNKNOWN if tool is None else Shape.of(tool.arguments)
        yield from check.arguments(call.args, target, (*at, "args"), f'tool "{call.tool}"')

    def _report(self) -> Iterator[Remark]:
        if self._agent.runbook is None:
            return
        report = self._agent.runbook.report
        at: Path = ("runbook", "report")
        reports = self._reports
        if reports is not None and report.function is not None and report.function not in reports:
            yield self._say(
                (*at, "function"),
                f'no report function "{report.function}"',
                hint(report.function, reports),
            )
        if report.output is not None:
            check = ValueCheck("agents", self._agent.name, self._resolve)
            yield from check.arguments(
                report.output, Shape.of(self._agent.output), (*at, "output"), "the agent's output"
            )

    def _resolve(self, path: tuple[str, ...]) -> Shape:
        root, rest, whole = path[0], path[1:], ".".join(path)
        if root == "inputs":
            return look_up(Shape.of(self._agent.inputs), rest, whole)
        if root != "calls":
            advice = hint(root, ROOTS)
            if root in self._calls:
                advice = f"did you mean calls.{root}?"
            raise UnknownReferenceError(f'no variable "{root}"', advice)
        if not rest:
            return UNKNOWN
        if rest[0] not in self._calls:
            raise UnknownReferenceError(f'no call "{rest[0]}"', hint(rest[0], self._calls))
        if len(rest) == 1:
            return UNKNOWN
        if rest[1] not in CALL_FIELDS:
            raise UnknownReferenceError(
                f'{whole}: a call has no "{rest[1]}"',
                f"did you mean calls.{rest[0]}.output.{'.'.join(rest[1:])}?",
            )
        if rest[1] != "output":
            return look_up(Shape.of(TEXT), rest[2:], whole)
        tool = (self._tools or {}).get(self._calls[rest[0]].tool)
        return look_up(UNKNOWN if tool is None else Shape.of(tool.output), rest[2:], whole)
