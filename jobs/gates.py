"""Approvals of more than one call: a gate before several writing steps, and a whole step."""

from __future__ import annotations

from typing import cast

from pydantic import JsonValue

from agents import sandbox
from agents.domain import Step
from agents.policy import Query, Ruling, rule
from agents.secret_args import refusal, secret_argument
from agents.tool import Effect, Toolbox, ToolContext
from config.expressions import evaluate
from config.specs import Verdict
from jobs.asking import (
    Denied,
    Rules,
    Suspended,
    approval_id,
    call_key,
    request,
    ruling_of,
    why_not,
)
from jobs.filling import StepError, filled, given, tool_of
from jobs.state import ApprovalStatus, ProposedCall, Run
from jobs.store import Lease, Store
from jobs.summary import proposed, variables

STEP_TOOL = "muster.step"
"""What policies call the start of a step that has `approval: true`."""


def ask_for_step(rules: Rules, run: Run, step: Step, lease: Lease, now: float) -> None:
    """Return when a person has approved the step; else raise Suspended or Denied."""
    approval = run.approvals.get(approval_id(run.id, step.id))
    if approval is None:
        ruling = _step_ruling(rules, run, step)
        raise Suspended(request(run, step, lease, step.id, (), ruling, now))
    if approval.status is not ApprovalStatus.APPROVED:
        raise Denied(why_not(approval))


def _step_ruling(rules: Rules, run: Run, step: Step) -> Ruling:
    workflow, name = _named(run, step)
    query = Query(
        tool=STEP_TOOL,
        effect=Effect.WRITES,
        args={"step": name, "workflow": workflow},
        agent=step.agent,
        requester=run.goal.requester_id,
    )
    ruling = rule(rules.policies, query)
    if ruling.verdict is not Verdict.ASK:
        raise StepError(
            f"the step has approval: true, but no policy for {STEP_TOOL} says who decides; "
            "add one with verdict ask to policies.yaml"
        )
    return ruling


def _named(run: Run, step: Step) -> tuple[str, str]:
    """Return the workflow and the name by which people who wrote a policy know the step.

    A supervisor may have chosen the workflow; what it planned by itself keeps its full id, so
    that no model can take the name of a reviewed step.
    """
    scope = run.scope(step)
    subplan = run.steps[scope].subplan if scope and step.is_reviewed else None
    if subplan is None:
        return run.plan.workflow, step.id
    return subplan.workflow, step.id.removeprefix(f"{scope}.")


async def pass_gate(
    store: Store, rules: Rules, toolbox: Toolbox, run: Run, step: Step, lease: Lease, now: float
) -> JsonValue:
    """Return which calls may run; raise Suspended to ask once for all of them, or Denied."""
    approval = run.approvals.get(approval_id(run.id, step.id))
    if approval is not None:
        if approval.status is not ApprovalStatus.APPROVED:
            raise Denied(why_not(approval))
        dropped = set(approval.dropped)
        approved = [call.key for call in approval.calls if call.key not in dropped]
        return cast(JsonValue, {"approved": approved, "dropped": sorted(dropped)})
    calls: list[ProposedCall] = []
    rulings: dict[str, Ruling] = {}
    for name in step.approves:
        found = await _planned(store, rules, toolbox, run, run.step(name))
        if found is not None:
            calls.append(found[0])
            rulings[found[1].policy] = found[1]
    if not calls:
        return {"approved": [], "dropped": []}
    if len(rulings) > 1:
        raise StepError(
            f"its calls fall under different policies ({', '.join(rulings)}), which may name "
            "different approvers: use one gate for each"
        )
    ruling = next(iter(rulings.values()))
    raise Suspended(request(run, step, lease, step.id, calls, ruling, now))


async def _planned(
    store: Store, rules: Rules, toolbox: Toolbox, run: Run, step: Step
) -> tuple[ProposedCall, Ruling] | None:
    """Return the call that the step will make and what policy says; None when nobody is asked."""
    known = variables(run, step)
    if step.when and not evaluate(step.when, known):
        return None
    target = filled(step, known)
    tool = tool_of(toolbox, target.tool)
    args = given(target.inputs)
    if name := secret_argument(args, rules.secrets):
        raise StepError(refusal(tool.name, name))
    sandbox.check_arguments(tool, args, ToolContext(world=rules.world, now=run.started_at))
    ruling = await ruling_of(store, rules, run, step.id, tool.name, tool.effect, args)
    if ruling.verdict is Verdict.DENY:
        raise StepError(f"{target.title} is denied by policy ({ruling.policy})")
    if ruling.verdict is Verdict.ALLOW:
        return None
    return proposed(call_key(step.id, "call"), tool.name, args), ruling
