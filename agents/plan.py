"""From a reviewed workflow to a plan."""

from __future__ import annotations

from agents.domain import Plan, Step
from config.specs import StepSpec, WorkflowSpec


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
    )
