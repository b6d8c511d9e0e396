"""From a reviewed workflow, or from a goal that a supervisor takes, to a plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from agents.domain import Plan, Step
from agents.wording import one_line
from config.specs import AgentSpec, Retries, StepSpec, WorkflowSpec

SUPERVISOR = "supervisor"
"""The agent that takes goals in plain words."""
GOAL_STEP = "goal"
LOOK_TIMEOUT_S = 600.0
"""How long a supervisor may take for one look, corrections and all."""
SUPERVISED_WALL_S = 6 * 3_600.0
MAX_TITLE_CHARS = 80


def plan_from_workflow(workflow: WorkflowSpec) -> Plan:
    """Return the plan that the workflow is a template of; the workflow was checked at load."""
    return Plan(
        workflow=workflow.name,
        steps=tuple(_step(spec) for spec in workflow.steps),
        answer=workflow.answer,
        reason=f"workflow {workflow.name} v{workflow.version}",
        max_wall_s=workflow.max_wall_s,
        service_levels=workflow.service_levels,
    )


def supervisor_of(agents: Mapping[str, AgentSpec], aliases: Collection[str]) -> AgentSpec | None:
    """Return who takes goals in plain words; None when there is nobody or no model for them."""
    agent = agents.get(SUPERVISOR)
    is_able = agent is not None and agent.supervises and agent.model in aliases
    return agent if is_able else None


def plan_for_goal(text: str, supervisor: AgentSpec) -> Plan:
    """Return the plan in which the supervisor takes a goal and plans the rest as it goes."""
    step = Step(
        id=GOAL_STEP,
        title=one_line(text, MAX_TITLE_CHARS),
        agent=supervisor.name,
        instruction="{{ goal.text }}",  # Not the text itself: its braces are no expressions.
        timeout_s=LOOK_TIMEOUT_S,
        retries=Retries(times=1),
    )
    return Plan(
        workflow="",
        steps=(step,),
        answer=GOAL_STEP,
        reason=f"{supervisor.title} plans it",
        max_wall_s=SUPERVISED_WALL_S,
    )


def _step(spec: StepSpec) -> Step:
    return Step(
        id=spec.id,
        title=spec.title or spec.id,
        agent=spec.agent or "",
        tool=spec.tool or "",
        approves=spec.approves,
        instruction=spec.instruction,
        inputs=dict(spec.inputs),
        needs=spec.needs,
        after=spec.after,
        when=spec.when or "",
        for_each=spec.for_each or "",
        timeout_s=spec.timeout_s,
        retries=spec.retries,
        fallback_agent=spec.fallback_agent or "",
        memory_mib=spec.memory_mib,
        output_schema=spec.output_schema,
        approval=spec.approval,
        review=spec.review,
        max_hops=spec.max_hops,
        aside=spec.aside,
    )
