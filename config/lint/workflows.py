"""Checks of workflows: names, order, expressions and types of every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from config.contents import Catalogue, Surroundings
from config.lint.approvers import lint_approvers
from config.lint.remark import Path, Remark
from config.lint.values import (
    UnknownReferenceError,
    ValueCheck,
    look_up,
    schema_fault,
)
from config.nearest import hint
from config.shapes import TEXT, UNKNOWN, Shape, json_type, types_of, under
from config.specs import InputSpec, StepSpec, WorkflowSpec

_TEXT = Shape.of(TEXT)
_NUMBER = Shape.of({"type": "number"})
_LIST = Shape.of({"type": "array"})
_OBJECT = Shape.of({"type": "object"})
GOAL_FIELDS: Mapping[str, Shape] = {
    "text": _TEXT,
    "inputs": _OBJECT,
    "facts": _OBJECT,
    "incident_id": _TEXT,
    "requester_name": _TEXT,
}
RUN_FIELDS: Mapping[str, Shape] = {
    "id": _TEXT,
    "started_at": _NUMBER,
    "timeline": _LIST,
    "decisions": _LIST,
    "statuses": UNKNOWN,
}
ROOTS = ("goal", "steps", "status", "run", "item")
ANSWER_FIELD = "headline"


def lint_workflow(
    workflow: WorkflowSpec, catalogue: Catalogue, around: Surroundings
) -> Iterator[Remark]:
    """Return everything that is wrong with one workflow."""
    yield from _Workflow(workflow, catalogue, around).remarks()


def ancestors(steps: Sequence[StepSpec]) -> dict[str, frozenset[str]]:
    """Return for each step all the steps that have ended before it can start."""
    known = {step.id: step for step in steps}
    found: dict[str, frozenset[str]] = {}
    for step in steps:
        seen: set[str] = set()
        ahead = [*step.needs, *step.after]
        while ahead:
            name = ahead.pop()
            if name in known and name not in seen:
                seen.add(name)
                ahead += [*known[name].needs, *known[name].after]
        found[step.id] = frozenset(seen)
    return found


def cycle(steps: Sequence[StepSpec]) -> tuple[str, ...]:
    """Return a loop of the graph in the order of work, first step repeated; empty without one."""
    graph = {step.id: {*step.needs, *step.after} - {step.id} for step in steps}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        loop: list[str] = error.args[1]
        start = loop.index(min(loop))
        return (*loop[start:-1], *loop[:start], loop[start])
    return ()


class _Workflow:
    """One workflow with what its checks look up again and again."""

    def __init__(self, workflow: WorkflowSpec, catalogue: Catalogue, around: Surroundings) -> None:
        self._workflow = workflow
        self._catalogue = catalogue
        self._tools = around.tools
        self._reports = around.reports
        self._steps = {step.id: step for step in workflow.steps}
        self._ancestors = ancestors(workflow.steps)

    def remarks(self) -> Iterator[Remark]:
        yield from self._inputs()
        yield from self._ids()
        loop = cycle(self._workflow.steps)
        if loop:
            index = [step.id for step in self._workflow.steps].index(loop[0])
            yield self._say(
                ("steps", index), f"steps wait for each other: {' -> '.join(loop)}", "cut one link"
            )
        for index, step in enumerate(self._workflow.steps):
            yield from self._step(step, ("steps", index))
        yield from self._levels()
        yield from self._answer()

    def _say(self, path: Path, message: str, advice: str = "") -> Remark:
        return Remark("workflows", self._workflow.name, path, message, advice)

    def _levels(self) -> Iterator[Remark]:
        name = self._workflow.name
        check = ValueCheck("workflows", name, self._resolve_ended)
        for index, level in enumerate(self._workflow.service_levels):
            at: Path = ("service_levels", index)
            if level.when is not None:
                yield from check.expression(level.when, (*at, "when"))
            yield from lint_approvers("workflows", name, level.to, (*at, "to"), self._catalogue)
            if level.within_s >= self._workflow.max_wall_s:
                yield self._say(
                    (*at, "within_s"),
                    f"is over after {level.within_s:g} s, when the run has ended "
                    f"(max_wall_s is {self._workflow.max_wall_s:g})",
                )
            if level.when is None and index + 1 < len(self._workflow.service_levels):
                yield self._say(
                    at, "holds for every run, so those below never count", "move it to the end"
                )

    def _inputs(self) -> Iterator[Remark]:
        for name, spec in self._workflow.inputs.items():
            if spec.default is not None and not _is_of_type(spec, spec.default):
                yield self._say(
                    ("inputs", name, "default"),
                    f"the default is of type {json_type(spec.default)}, not {spec.type}",
                )
            if spec.one_of is not None and spec.type != "string":
                yield self._say(("inputs", name, "one_of"), "one_of is for inputs of type string")

    def _ids(self) -> Iterator[Remark]:
        seen: set[str] = set()
        for index, step in enumerate(self._workflow.steps):
            if step.id in seen:
                yield self._say(
                    ("steps", index, "id"), f'the id "{step.id}" is used by an earlier step'
                )
            seen.add(step.id)

    def _step(self, step: StepSpec, at: Path) -> Iterator[Remark]:
        yield from self._links(step, at)
        yield from self._worker(step, at)
        yield from self._gate(step, at)
        has_items = step.for_each is not None
        before = ValueCheck("workflows", self._workflow.name, _Resolver(self, step, has_item=False))
        inside = ValueCheck(
            "workflows", self._workflow.name, _Resolver(self, step, has_item=has_items)
        )
        if step.when is not None:
            yield from before.expression(step.when, (*at, "when"))
        if step.for_each is not None:
            yield from self._fan_out(before, step.for_each, (*at, "for_each"))
        yield from self._given(inside, step, at)
        if step.output_schema is not None:
            fault = schema_fault(step.output_schema)
            if fault:
                yield self._say((*at, "output_schema"), fault)
        if step.timeout_s > self._workflow.max_wall_s:
            yield self._say(
                (*at, "timeout_s"),
                f"may take {step.timeout_s:g} s, longer than the whole run "
                f"(max_wall_s is {self._workflow.max_wall_s:g})",
            )

    def _links(self, step: StepSpec, at: Path) -> Iterator[Remark]:
        for field, names in (("needs", step.needs), ("after", step.after)):
            for index, name in enumerate(names):
                if name == step.id:
                    yield self._say((*at, field, index), "a step cannot wait for itself")
                elif name in self._steps and self._steps[name].aside and not step.aside:
                    yield self._say(
                        (*at, field, index),
                        f'waits for "{name}", which is to hold up nothing (aside)',
                        "give this step aside: true as well, or do not wait for it",
                    )
                elif name not in self._steps:
                    yield self._say(
                        (*at, field, index), f'no step "{name}"', hint(name, self._steps)
                    )

    def _worker(self, step: StepSpec, at: Path) -> Iterator[Remark]:
        agents = self._catalogue.agents
        for field, name in (("agent", step.agent), ("fallback_agent", step.fallback_agent)):
            if name is not None and name not in agents:
                yield self._say((*at, field), f'no agent "{name}"', hint(name, agents))
        if step.fallback_agent is not None and step.fallback_agent == step.agent:
            yield self._say((*at, "fallback_agent"), "the fallback is the agent itself")
        if step.review is not None:
            yield from self._reviewer(step.review.by, (*at, "review", "by"))
            worker = agents.get(step.agent or "")
            if worker is not None and worker.supervises:
                yield self._say(
                    (*at, "review"),
                    f'"{step.agent}" plans for others, and what it sums up is not reviewed',
                    "review the steps whose work it is",
                )
        if step.tool is not None and self._tools is not None and step.tool not in self._tools:
            yield self._say((*at, "tool"), f'no tool "{step.tool}"', hint(step.tool, self._tools))

    def _reviewer(self, name: str, at: Path) -> Iterator[Remark]:
        agent = self._catalogue.agents.get(name)
        if agent is None:
            yield self._say(at, f'no agent "{name}"', hint(name, self._catalogue.agents))
        elif agent.model is None:
            yield self._say(at, f'"{name}" has no model, so it cannot judge', "name one that has")

    def _gate(self, step: StepSpec, at: Path) -> Iterator[Remark]:
        for index, name in enumerate(step.approves):
            place = (*at, "approves", index)
            gated = self._steps.get(name)
            if gated is None:
                yield self._say(place, f'no step "{name}"', hint(name, self._steps))
                continue
            if gated.tool is None:
                yield self._say(place, f'"{name}" is no direct tool step, so it needs no gate')
            elif self._is_reading(gated.tool):
                yield self._say(place, f'"{name}" only reads, so there is nothing to approve')
            if step.id not in self._ancestors[name]:
                yield self._say(
                    place,
                    f'"{name}" could run before it is approved',
                    f'add "{step.id}" to the needs of "{name}"',
                )

    def _is_reading(self, tool: str) -> bool:
        known = None if self._tools is None else self._tools.get(tool)
        return known is not None and known.effect == "reads"

    def _fan_out(self, check: ValueCheck, source: str, at: Path) -> Iterator[Remark]:
        faults = list(check.expression(source, at))
        yield from faults
        types = types_of(check.shape(source))
        if not faults and types is not None and "array" not in types:
            yield self._say(at, f"{source} is {' or '.join(sorted(types))}, not a list")

    def _given(self, check: ValueCheck, step: StepSpec, at: Path) -> Iterator[Remark]:
        place = (*at, "inputs")
        yield from self._receives(check, step, place)
        fallback = self._catalogue.agents.get(step.fallback_agent or "")
        if fallback is not None and step.agent in self._catalogue.agents:
            target = Shape.of(fallback.inputs)
            seen = set(self._receives(check, step, place))
            for remark in check.arguments(
                step.inputs, target, place, f'the fallback agent "{fallback.name}"'
            ):
                if remark not in seen:
                    yield remark

    def _receives(self, check: ValueCheck, step: StepSpec, at: Path) -> Iterator[Remark]:
        target, receiver = UNKNOWN, "the step"
        if step.agent in self._catalogue.agents:
            target = Shape.of(self._catalogue.agents[step.agent or ""].inputs)
            receiver = f'agent "{step.agent}"'
        elif self._tools is not None and step.tool in self._tools:
            target = Shape.of(self._tools[step.tool or ""].arguments)
            receiver = f'tool "{step.tool}"'
        yield from check.arguments(step.inputs, target, at, receiver)

    def _answer(self) -> Iterator[Remark]:
        name = self._workflow.answer
        at: Path = ("answer",)
        step = self._steps.get(name)
        if step is None:
            yield self._say(at, f'no step "{name}"', hint(name, self._steps))
            return
        followers = [
            other.id for other in self._workflow.steps if name in (*other.needs, *other.after)
        ]
        if followers:
            yield self._say(
                at, f'the answer step "{name}" must be the last, but "{followers[0]}" waits for it'
            )
        if step.approves or step.for_each:
            yield self._say(at, f'"{name}" cannot give the answer: it is a gate or a fan-out')
            return
        output = self._output(step)
        types = types_of(output)
        try:
            is_answer = types is None or "object" in types
            under(output, (ANSWER_FIELD,))
        except LookupError:
            is_answer = False
        if not is_answer:
            yield self._say(
                at,
                f'the output of "{name}" is no answer: it has no {ANSWER_FIELD}',
                'let an agent such as "reporter" give the answer',
            )

    def _output(self, step: StepSpec) -> Shape:
        """Return what is known of a step's output; a fan-out gives the list of its children's."""
        schema: Mapping[str, Any] = {}
        if step.output_schema is not None:
            schema = step.output_schema
        elif step.approves:
            return UNKNOWN
        elif step.agent in self._catalogue.agents:
            agent = self._catalogue.agents[step.agent or ""]
            function = agent.report_function
            schema = agent.output or (self._reports or {}).get(function, {})
        elif self._tools is not None and step.tool in self._tools:
            schema = self._tools[step.tool or ""].output
        if step.for_each:
            return Shape({"type": "array", "items": schema}, root=schema)
        return Shape.of(schema)

    def resolve(self, step: StepSpec, path: tuple[str, ...], *, has_item: bool) -> Shape:
        """Return the shape of a path read by a step; UnknownReferenceError says what is wrong."""
        root, rest, whole = path[0], path[1:], ".".join(path)
        if root == "goal":
            return self._goal(rest, whole)
        if root == "run":
            if not rest:
                return UNKNOWN
            if rest[0] not in RUN_FIELDS:
                raise UnknownReferenceError(f"{whole}: no such fact", hint(rest[0], RUN_FIELDS))
            return look_up(RUN_FIELDS[rest[0]], rest[1:], whole)
        if root in ("steps", "status"):
            return self._other_step(step, root, rest, whole)
        if root == "item":
            if not has_item:
                raise UnknownReferenceError(
                    "item exists only in the inputs of a step with for_each"
                )
            return UNKNOWN
        raise UnknownReferenceError(f'no variable "{root}"', self._variable_hint(root))

    def _resolve_ended(self, path: tuple[str, ...]) -> Shape:
        """Return the shape of a path that is read of the run as far as it has come."""
        root, rest, whole = path[0], path[1:], ".".join(path)
        if root == "goal":
            return self._goal(rest, whole)
        if root not in ("steps", "status"):
            raise UnknownReferenceError(f'no variable "{root}"', self._variable_hint(root))
        if not rest:
            raise UnknownReferenceError(f"name the step: {root}.<id>")
        if rest[0] not in self._steps:
            raise UnknownReferenceError(f'no step "{rest[0]}"', self._step_hint(rest[0]))
        return self._step_part(root, rest, whole)

    def _variable_hint(self, root: str) -> str:
        for name in sorted(self._steps):
            if "-" in name and root in name.split("-"):
                return f'a name with a dash is written steps["{name}"]'
        if root in self._steps:
            return f"did you mean steps.{root}?"
        if root in self._workflow.inputs:
            return f"did you mean goal.inputs.{root}?"
        return hint(root, ROOTS)

    def _goal(self, rest: tuple[str, ...], whole: str) -> Shape:
        if not rest:
            return UNKNOWN
        if rest[0] not in GOAL_FIELDS:
            raise UnknownReferenceError(
                f"{whole}: a goal has no such part", hint(rest[0], GOAL_FIELDS)
            )
        if rest[0] == "inputs" and len(rest) > 1:
            known = self._workflow.inputs
            if rest[1] not in known:
                raise UnknownReferenceError(
                    f'no input "{rest[1]}" is declared by the workflow', hint(rest[1], known)
                )
            return look_up(Shape.of({"type": known[rest[1]].type}), rest[2:], whole)
        return look_up(GOAL_FIELDS[rest[0]], rest[1:], whole)

    def _other_step(self, step: StepSpec, root: str, rest: tuple[str, ...], whole: str) -> Shape:
        if not rest:
            raise UnknownReferenceError(f"name the step: {root}.<id>")
        name = rest[0]
        if name not in self._steps:
            raise UnknownReferenceError(f'no step "{name}"', self._step_hint(name))
        if name not in self._ancestors[step.id]:
            own = "itself" if name == step.id else f'"{name}", which may not have ended'
            advice = "" if name == step.id else f'add "{name}" to needs or after'
            raise UnknownReferenceError(f"reads {own}", advice)
        return self._step_part(root, rest, whole)

    def _step_part(self, root: str, rest: tuple[str, ...], whole: str) -> Shape:
        if root == "status":
            return look_up(_TEXT, rest[1:], whole)
        return look_up(self._output(self._steps[rest[0]]), rest[1:], whole)

    def _step_hint(self, name: str) -> str:
        for other in sorted(self._steps):
            if other.startswith(f"{name}-"):
                return f'a name with a dash is written steps["{other}"]'
        return hint(name, self._steps)


class _Resolver:
    """Resolves the paths that one step reads."""

    def __init__(self, workflow: _Workflow, step: StepSpec, *, has_item: bool) -> None:
        self._workflow = workflow
        self._step = step
        self._has_item = has_item

    def __call__(self, path: tuple[str, ...]) -> Shape:
        return self._workflow.resolve(self._step, path, has_item=self._has_item)


def _is_of_type(spec: InputSpec, value: object) -> bool:
    found = json_type(value)
    return found == spec.type or (found == "integer" and spec.type == "number")
