"""From what a supervisor's model drafted to steps, and everything that can be wrong on the way.

A draft is held to the checks of a workflow that a person wrote, and to what its supervisor may
do. Errors are sentences for the model; they go back to it as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from agents.domain import JsonObject, Step
from agents.drafts import (
    ANSWER_SCHEMA,
    FINDINGS_SCHEMA,
    DraftInput,
    DraftStep,
    PlanDraft,
    ReviewDraft,
)
from agents.matching import allowed_values, convert
from agents.plan import plan_from_workflow
from agents.ranking import ranked
from agents.wording import one_line
from config.contents import Catalogue, Surroundings, ToolSchema
from config.expressions import ExpressionError, references
from config.lint.workflows import ancestors, lint_workflow
from config.nearest import hint
from config.shapes import json_type
from config.specs import (
    MAX_STEPS,
    AgentSpec,
    InputSpec,
    Retries,
    ReviewSpec,
    ServicesFile,
    StepSpec,
    WorkflowSpec,
)

MAX_PLANNED_STEPS = 20
"""How many steps a supervisor may plan in one look."""
MAX_OPTIONS = 8
MAX_OPTION_CHARS = 60
"""Longer ones do not fit on a button."""
MAX_ID_SHOWN = 60
MAX_QUESTION_CHARS = 1_000
PLANNED_TIMEOUT_S = 300.0
PLANNED_RETRIES = Retries(times=1)
HEADLINE = "headline"
ONLY = "work"
"""The id of the one step that takes a goal as a whole."""
ROOTS = ("goal", "steps", "status", "run", "item")
_SCALARS = ("string", "number", "integer", "boolean")


@dataclass(frozen=True, slots=True)
class Scope:
    """What one supervising step may plan with, and what it has planned so far.

    `team` are the agents it may give steps; `agents` are all of them. Steps have full ids
    (`<step_id>.<name>`) here and short ones in drafts. `begun` are those that cannot be changed;
    `failed` those that nothing can need any more. `room` is how many steps the run can still take.
    """

    step_id: str
    supervisor: str
    agents: Mapping[str, AgentSpec]
    team: Mapping[str, AgentSpec]
    tools: Mapping[str, ToolSchema]
    reports: Mapping[str, Mapping[str, Any]]
    workflows: Mapping[str, WorkflowSpec]
    world: ServicesFile
    steps: tuple[Step, ...] = ()
    begun: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    inputs: JsonObject = field(default_factory=dict)
    may_add: bool = True
    may_nest: bool = True
    may_ask_before_steps: bool = False
    room: int = MAX_STEPS

    def full(self, name: str) -> str:
        """Return the full id of a step of this scope."""
        return f"{self.step_id}.{name}"

    def short(self, step_id: str) -> str:
        """Return how expressions and drafts name a step of this scope."""
        return step_id.removeprefix(f"{self.step_id}.")

    @property
    def allowed_tools(self) -> frozenset[str]:
        """The tools that somebody of the team may use."""
        return frozenset(tool for agent in self.team.values() for tool in agent.tools)


def check_plan(draft: PlanDraft, scope: Scope) -> list[str]:
    """Return what is wrong with a first plan, in sentences for its author."""
    match draft.decision:
        case "workflow":
            return list(_workflow_faults(draft, scope))
        case "single" if len(draft.steps) != 1 or not draft.steps[0].agent:
            return ["decision single needs exactly one step, with an agent"]
        case "plan" if not draft.steps:
            return ["decision plan needs steps"]
        case "single" | "plan":
            return list(_step_faults(draft.steps, (), scope))
        case "answer":
            is_said = draft.answer is not None and draft.answer.headline.strip()
            return [] if is_said else ["decision answer needs an answer with a headline"]
        case _:
            return _question_faults(draft.question, draft.options)


def check_review(draft: ReviewDraft, scope: Scope) -> list[str]:
    """Return what is wrong with a later look, in sentences for its author."""
    if draft.decision == "ask":
        return _question_faults(draft.question, draft.options)
    if draft.decision != "revise":
        return []
    if not draft.steps and not draft.dropped:
        return ["decision revise needs steps or dropped; to change nothing say go_on"]
    if draft.steps and not scope.may_add:
        return ["no steps can be added any more: say go_on or finish"]
    return [*_drop_faults(draft, scope), *_step_faults(draft.steps, draft.dropped, scope)]


def _question_faults(question: str, options: Sequence[str]) -> list[str]:
    if not question.strip():
        return ["decision ask needs a question"]
    shown = [option.strip() for option in options]
    if len(question) > MAX_QUESTION_CHARS or len(options) > MAX_OPTIONS:
        return [
            f"ask in at most {MAX_QUESTION_CHARS} characters, with at most {MAX_OPTIONS} options"
        ]
    if any(len(option) > MAX_OPTION_CHARS for option in shown):
        return [f"each option has at most {MAX_OPTION_CHARS} characters: say the rest above them"]
    if len(set(shown)) < len(shown) or not all(shown):
        return ["the options must differ and say something"]
    return []


def _workflow_faults(draft: PlanDraft, scope: Scope) -> Iterator[str]:
    workflow = scope.workflows.get(draft.workflow)
    if workflow is None:
        yield f'no workflow "{draft.workflow}"; {hint(draft.workflow, scope.workflows)}'
        return
    yield from workflow_inputs(workflow, draft.inputs, scope.world)[1]


def workflow_inputs(
    workflow: WorkflowSpec, given: Iterable[DraftInput], world: ServicesFile
) -> tuple[JsonObject, list[str]]:
    """Return the inputs as the workflow takes them, and what is wrong with those given."""
    values = {one.name: one.value for one in given if one.value is not None}
    faults = [
        f'workflow {workflow.name} takes no input "{name}"; {hint(name, workflow.inputs)}'
        for name in values
        if name not in workflow.inputs
    ]
    inputs: JsonObject = {}
    for name, spec in workflow.inputs.items():
        if name in values:
            text = _as_text(values[name])
            value, fault = convert(text, spec, allowed_values(spec, world.services))
            inputs[name] = value
            faults += [f"input {name}: {fault}"] if fault else []
        elif spec.default is not None:
            inputs[name] = spec.default
        elif spec.required:
            what = f" ({spec.description})" if spec.description else ""
            faults.append(f'workflow {workflow.name} needs the input "{name}"{what}')
    return inputs, faults


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _drop_faults(draft: ReviewDraft, scope: Scope) -> Iterator[str]:
    known = {scope.short(step.id) for step in scope.steps}
    begun = {scope.short(step_id) for step_id in scope.begun}
    for name in draft.dropped:
        if name not in known:
            yield f'dropped: there is no step "{name}"; {hint(name, known)}'
        elif name in begun:
            yield f'dropped: "{name}" has begun, so it cannot be dropped'


def _step_faults(
    drafts: Sequence[DraftStep], dropped: Sequence[str], scope: Scope
) -> Iterator[str]:
    if len(drafts) > MAX_PLANNED_STEPS:
        yield f"at most {MAX_PLANNED_STEPS} steps can be planned at once, not {len(drafts)}"
        return
    new = {scope.full(draft.id) for draft in drafts} - {step.id for step in scope.steps}
    if len(new) > scope.room:
        yield f"the run has room for {scope.room} more steps, not for {len(new)}: plan fewer"
        return
    specs: list[StepSpec] = []
    for draft in drafts:
        try:
            specs.append(_spec(draft, scope))
        except ValidationError as error:
            for fault in error.errors():
                where = "".join(f"{part}: " for part in fault["loc"])
                yield f'step "{one_line(draft.id, MAX_ID_SHOWN)}": {where}{fault["msg"]}'
    if len(specs) < len(drafts) or not specs:
        return
    for spec in specs:
        yield from _permission_faults(spec, scope, dropped)
    yield from _lint_faults(specs, dropped, scope)


def _spec(draft: DraftStep, scope: Scope) -> StepSpec:
    review = None
    if draft.acceptance:
        review = ReviewSpec(criteria=draft.acceptance, by=scope.supervisor)
    return StepSpec(
        id=draft.id,
        title=draft.title,
        agent=draft.agent or None,
        tool=draft.tool or None,
        approves=tuple(draft.approves),
        instruction=draft.instruction,
        inputs={one.name: one.value for one in draft.inputs if one.value is not None},
        needs=tuple(dict.fromkeys(draft.needs)),
        after=tuple(name for name in dict.fromkeys(draft.after) if name not in draft.needs),
        when=draft.when or None,
        for_each=draft.for_each or None,
        timeout_s=PLANNED_TIMEOUT_S,
        retries=PLANNED_RETRIES,
        approval=draft.approval,
        review=review,
    )


def _permission_faults(spec: StepSpec, scope: Scope, dropped: Sequence[str]) -> Iterator[str]:
    at = f'step "{spec.id}":'
    if spec.agent and spec.agent not in scope.team:
        if spec.agent in scope.agents:
            yield f"{at} {spec.agent} is not in the team; choose from {', '.join(scope.team)}"
        else:
            yield f'{at} no agent "{spec.agent}"; {hint(spec.agent, scope.team)}'
    elif spec.agent and scope.team[spec.agent].supervises and not scope.may_nest:
        yield f"{at} {spec.agent} plans for others, and no level below this one may plan"
    if spec.tool and spec.tool in scope.tools and spec.tool not in scope.allowed_tools:
        known = hint(spec.tool, scope.allowed_tools)
        yield f'{at} nobody of the team may use "{spec.tool}"; {known}'
    if spec.approval and not scope.may_ask_before_steps:
        yield f"{at} no policy says who approves a step; leave approval out: writes ask anyway"
    if scope.full(spec.id) in scope.begun:
        yield f"{at} a step of that id has begun, so it cannot be planned anew; choose another id"
    if spec.id in dropped:
        yield f"{at} it is both planned and dropped"
    for name in spec.needs:
        if scope.full(name) in scope.failed or name in dropped:
            yield f'{at} it needs "{name}", which will not succeed any more'


def _lint_faults(specs: Sequence[StepSpec], dropped: Sequence[str], scope: Scope) -> Iterator[str]:
    """Hold the steps, among those planned before, to what a workflow's steps are held to."""
    new = {spec.id for spec in specs}
    gone = new | set(dropped)
    before = [spec_of(step, scope) for step in scope.steps if scope.short(step.id) not in gone]
    try:
        workflow = WorkflowSpec(
            name="draft",
            title="draft",
            description="",
            inputs=_known_inputs(scope.inputs),
            steps=(*before, *specs),
            answer=specs[-1].id,
            max_wall_s=PLANNED_TIMEOUT_S * 2,
        )
    except ValidationError as error:
        yield f"the plan is too large: {error.errors()[0]['msg']}"
        return
    around = Surroundings(tools=scope.tools, reports=scope.reports)
    for remark in lint_workflow(workflow, _catalogue(scope), around):
        if remark.path[0] != "steps" or not isinstance(remark.path[1], int):
            continue
        index = remark.path[1] - len(before)
        if index < 0 or (remark.path[-1] == "agent" and specs[index].agent not in scope.agents):
            continue  # Somebody else's, or said already.
        where = ".".join(str(part) for part in remark.path[2:])
        advice = f"; {remark.hint}" if remark.hint else ""
        yield f'step "{specs[index].id}": {where + ": " if where else ""}{remark.message}{advice}'
    reach = ancestors(workflow.steps)
    for spec in specs:
        yield from _instruction_faults(spec, reach[spec.id])


def _catalogue(scope: Scope) -> Catalogue:
    """Return the agents with the outputs that their planned steps will have."""
    agents = {name: _as_planned(agent) for name, agent in scope.agents.items()}
    return Catalogue(agents=agents, services=scope.world.services)


def _as_planned(agent: AgentSpec) -> AgentSpec:
    if not is_free(agent):
        return agent
    output = ANSWER_SCHEMA if agent.supervises else FINDINGS_SCHEMA
    return agent.model_copy(update={"output": output})


def _known_inputs(inputs: JsonObject) -> dict[str, InputSpec]:
    found: dict[str, InputSpec] = {}
    for name, value in inputs.items():
        kind = json_type(value)
        if kind in _SCALARS:
            found[name] = InputSpec.model_validate({"type": kind})
    return found


def _instruction_faults(spec: StepSpec, known: frozenset[str]) -> Iterator[str]:
    at = f'step "{spec.id}": instruction:'
    try:
        read = references(spec.instruction)
    except ExpressionError as error:
        yield f"{at} {error}"
        return
    for path in sorted(read):
        if path[0] not in ROOTS:
            yield f'{at} no variable "{path[0]}"; {hint(path[0], ROOTS)}'
        elif path[0] in ("steps", "status") and (len(path) == 1 or path[1] not in known):
            named = path[1] if len(path) > 1 else "a step"
            yield f"{at} it reads {named}, which may not have ended; add it to needs or after"


def is_free(agent: AgentSpec) -> bool:
    """Say whether the agent has no output of its own, so that a plan may say what it gives."""
    return not agent.output and agent.runbook is None


def spec_of(step: Step, scope: Scope) -> StepSpec:
    """Return a step that was planned before, as its author would write it."""
    return StepSpec(
        id=scope.short(step.id),
        title=step.title,
        agent=step.agent or None,
        tool=step.tool or None,
        approves=tuple(map(scope.short, step.approves)),
        instruction=step.instruction,
        inputs=step.inputs,
        needs=tuple(map(scope.short, step.needs)),
        after=tuple(map(scope.short, step.after)),
        when=step.when or None,
        for_each=step.for_each or None,
        output_schema=step.output_schema,
        aside=step.aside,
    )


def steps_of(drafts: Iterable[DraftStep], scope: Scope) -> tuple[Step, ...]:
    """Return the steps of a checked draft, with full ids."""
    return tuple(_step(_spec(draft, scope), scope) for draft in drafts)


def _step(spec: StepSpec, scope: Scope) -> Step:
    agent = scope.team.get(spec.agent or "")
    return Step(
        id=scope.full(spec.id),
        title=spec.title or spec.id,
        agent=spec.agent or "",
        tool=spec.tool or "",
        approves=tuple(map(scope.full, spec.approves)),
        instruction=spec.instruction,
        inputs=dict(spec.inputs),
        needs=tuple(map(scope.full, spec.needs)),
        after=tuple(map(scope.full, spec.after)),
        when=spec.when or "",
        for_each=spec.for_each or "",
        timeout_s=spec.timeout_s,
        retries=spec.retries,
        output_schema=_output_of(agent),
        approval=spec.approval,
        parent=scope.step_id,
        review=spec.review,
        is_reviewed=False,
    )


def _output_of(agent: AgentSpec | None) -> dict[str, Any] | None:
    if agent is None or agent.supervises or not is_free(agent):
        return None
    return FINDINGS_SCHEMA


def workflow_steps(workflow: WorkflowSpec, scope: Scope) -> tuple[Step, ...]:
    """Return the steps of a workflow as those of a supervising step; people wrote them."""
    return tuple(
        replace(
            step,
            id=scope.full(step.id),
            parent=scope.step_id,
            needs=tuple(map(scope.full, step.needs)),
            after=tuple(map(scope.full, step.after)),
            approves=tuple(map(scope.full, step.approves)),
        )
        for step in plan_from_workflow(workflow).steps
    )


def with_answer(step: Step, scope: Scope) -> tuple[Step, str]:
    """Return the one step of a plan as it gives the answer, and its id; empty when it cannot."""
    agent = scope.agents.get(step.agent)
    if agent is None or step.for_each:
        return step, ""
    if agent.supervises:
        return step, step.id
    if is_free(agent):
        return replace(step, output_schema=ANSWER_SCHEMA), step.id
    schema = agent.output or scope.reports.get(agent.report_function, {})
    return step, step.id if HEADLINE in schema.get("properties", {}) else ""


def best_agent(goal: str, team: Mapping[str, AgentSpec]) -> AgentSpec | None:
    """Return the agent whose description fits the goal best, to take it alone; None without any.

    Only agents that plan for nobody and need no particular inputs can take any goal.
    """
    able = sorted(
        (
            agent
            for agent in team.values()
            if agent.model and not agent.supervises and not agent.inputs.get("required")
        ),
        key=lambda agent: (-len(agent.tools), agent.name),
    )
    texts = [f"{agent.title} {agent.description} {' '.join(agent.tools)}" for agent in able]
    best = ranked(goal, texts, limit=1)
    if best:
        return able[best[0][0]]
    return able[0] if able else None


def only_step(agent: AgentSpec, title: str, scope: Scope) -> Step:
    """Return the step in which one agent takes the goal; its words are the input `goal`."""
    spec = StepSpec(
        id=ONLY,
        title=one_line(title, 80),
        agent=agent.name,
        instruction="{{ goal.inputs.goal }}",
        timeout_s=PLANNED_TIMEOUT_S,
        retries=PLANNED_RETRIES,
    )
    return _step(spec, scope)
