"""The rules of supervising steps: what a plan may be, when its supervisor looks at it again.

A supervising step plans children and then waits for them without a worker. It is queued again
when it has something to look at: a child failed, a child's finding says that the plan should
change, a person wrote, or all children have ended. What has begun is never rewritten.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

from agents.domain import Step
from agents.drafts import REPLAN
from config.specs import MAX_STEPS
from jobs import events as e
from jobs.commands import Refusal, Refused, RevisePlan
from jobs.state import TERMINAL, ApprovalStatus, Run, Status, StepState, SubPlan

MAX_DEPTH = 3
"""How deep supervisors may plan for supervisors."""
MAX_LOOKS = 12
"""How often a supervisor may change its plan; after that it looks once more, at the end."""
MESSAGE = "message"
"""The kind of a signal that is what a person wrote in the thread."""
MAX_REASON_CHARS = 2_000


def revise(run: Run, command: RevisePlan, now: float) -> list[e.Event]:
    """Return the events of a new revision; Refused (INVALID) says what is wrong with it."""
    state = run.steps[command.step_id]
    subplan = state.subplan
    if command.steps and subplan is not None and subplan.looks >= MAX_LOOKS:
        raise _invalid(f"the plan was changed {MAX_LOOKS} times, and that is the most")
    for dropped in command.dropped:
        if dropped not in state.children:
            raise _invalid(f"there is no step {dropped} to drop")
    _check_steps(run, command, state)
    open_children = [
        key
        for key in (*state.children, *(step.id for step in command.steps))
        if key not in command.dropped
        and (key not in run.steps or run.steps[key].status not in TERMINAL)
    ]
    is_dropping = any(run.steps[key].status not in TERMINAL for key in command.dropped)
    if not open_children and not is_dropping:
        raise _invalid("nothing is left to do in this plan: finish, or add steps")
    if command.answer and command.answer not in open_children:
        raise _invalid(f"the answer {command.answer} is no step that is still to end")
    revised = e.PlanRevised(
        at=now,
        step_id=command.step_id,
        revision=subplan.revision + 1 if subplan else 1,
        reason=command.reason[:MAX_REASON_CHARS],
        steps=command.steps,
        dropped=command.dropped,
        answer=command.answer,
        workflow=command.workflow,
        inputs=command.inputs,
        seen=command.seen,
        heard_at=command.heard_at,
        max_wall_s=command.max_wall_s,
        service_levels=command.service_levels,
    )
    reason = f"no longer needed: {command.reason}"[:MAX_REASON_CHARS]
    skipped = [
        e.StepSkipped(at=now, step_id=key, reason=reason)
        for key in command.dropped
        if run.steps[key].status is Status.PENDING
    ]
    return [revised, *skipped]


def _check_steps(run: Run, command: RevisePlan, state: StepState) -> None:
    ids = [step.id for step in command.steps]
    if len(set(ids)) < len(ids):
        raise _invalid("two of its steps have the same id")
    if len(run.steps.keys() | set(ids)) > MAX_STEPS:
        raise _invalid(f"the run would have more than {MAX_STEPS} steps")
    if ids and depth(run, command.step_id) >= MAX_DEPTH:
        raise _invalid(f"supervisors may plan {MAX_DEPTH} levels deep, and this is one more")
    siblings = {*state.children, *ids}
    for step in command.steps:
        if step.parent != command.step_id or not step.id.startswith(f"{command.step_id}."):
            raise _invalid(f"step {step.id} is not named as a child of {command.step_id}")
        if step.id in command.dropped:
            raise _invalid(f"step {step.id} is both planned and dropped")
        known = run.steps.get(step.id)
        if known is not None and (known.status is not Status.PENDING or known.attempt):
            raise _invalid(f"step {step.id} has begun, so it cannot be planned anew")
        for other in (*step.needs, *step.after, *step.approves):
            if other not in siblings:
                raise _invalid(f"step {step.id} refers to {other}, which is not in the plan")
    planned = {key: run.step(key) for key in state.children}
    planned |= {step.id: step for step in command.steps}
    graph = {key: {*step.needs, *step.after} for key, step in planned.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise _invalid(f"the plan loops: {' -> '.join(error.args[1])}") from error


def depth(run: Run, step_id: str) -> int:
    """Return how many supervising steps stand above this one."""
    return len(above(run, step_id))


def above(run: Run, step_id: str) -> list[str]:
    """Return the supervising steps above this one, the nearest first."""
    found: list[str] = []
    scope = run.scope(run.step(step_id))
    while scope:
        found.append(scope)
        scope = run.scope(run.step(scope))
    return found


def late_at(run: Run, step_id: str) -> float | None:
    """Return when a supervising step's workflow must have ended (Unix seconds), if ever."""
    state = run.steps[step_id]
    subplan = state.subplan
    if subplan is None or subplan.max_wall_s is None or state.status in TERMINAL:
        return None
    return subplan.began_at + subplan.max_wall_s


def out_of_time(run: Run, step_id: str, now: float) -> list[e.Event]:
    """Fail a supervising step whose workflow took too long; its plan ends with it."""
    due = late_at(run, step_id) if step_id in run.steps else None
    subplan = run.steps[step_id].subplan if due is not None else None
    if due is None or subplan is None or now < due:
        return []
    error = f"its workflow {subplan.workflow} may take {subplan.max_wall_s:g} s"
    return [
        *_cancelled_approvals(run, step_id, now),
        e.StepFailed(at=now, step_id=step_id, error=error),
    ]


def plan_has_ended(run: Run, step_id: str) -> bool:
    """Return whether a supervising step above this one has ended: without it, nothing goes on."""
    return any(run.steps[key].status in TERMINAL for key in above(run, step_id))


def abandon(run: Run, step: Step, now: float) -> list[e.Event]:
    """End a step whose plan has ended without it; a write that has begun is let end.

    Half of it helps nobody. What comes after the write is cancelled once it is on record.
    """
    state = run.steps[step.id]
    if state.status is Status.RUNNING and state.worker and run.open_writes(step.id):
        return []
    if state.status is Status.PENDING and not state.attempt:
        return [e.StepSkipped(at=now, step_id=step.id, reason="its plan has ended")]
    return [
        *_cancelled_approvals(run, step.id, now),
        e.StepCancelled(at=now, step_id=step.id),
    ]


def _cancelled_approvals(run: Run, step_id: str, now: float) -> list[e.Event]:
    return [
        e.ApprovalDecided(at=now, approval_id=key, status=ApprovalStatus.CANCELLED.value)
        for key, approval in run.approvals.items()
        if approval.status is ApprovalStatus.PENDING and approval.step_id == step_id
    ]


def wake(run: Run, step: Step, state: StepState, now: float) -> list[e.Event]:
    """Return what follows for a supervising step that waits for its children."""
    subplan = state.subplan
    if subplan is None or state.worker:
        return []
    is_all_over = all(run.steps[key].status in TERMINAL for key in state.children)
    has_message = bool(unheard(run, step.id, subplan))
    if is_all_over and not has_message and subplan.answer:
        answer = run.steps[subplan.answer]
        if answer.status is Status.SUCCEEDED:
            return [e.StepSucceeded(at=now, step_id=step.id, output=answer.output)]
    if is_all_over or (
        subplan.looks < MAX_LOOKS and (has_message or news(run, state.children, subplan))
    ):
        return [e.StepQueued(at=now, step_id=step.id, attempt=state.attempt + 1)]
    return []


def news(run: Run, children: tuple[str, ...], subplan: SubPlan) -> list[str]:
    """Return the children that ended in a way which the supervisor should look at, and has not."""
    return [
        key
        for key in children
        if key not in subplan.seen
        and (run.steps[key].status is Status.FAILED or finding_of(run.steps[key]))
    ]


def finding_of(state: StepState) -> str:
    """Return why a step's finding changes the plan, in its words; empty when it does not.

    A fan-out gives the list of what its children found.
    """
    if state.status is not Status.SUCCEEDED:
        return ""
    outputs = state.output if isinstance(state.output, list) else [state.output]
    said = [output.get(REPLAN) for output in outputs if isinstance(output, dict)]
    return "; ".join(reason for reason in said if reason and isinstance(reason, str))


def unheard(run: Run, step_id: str, subplan: SubPlan | None) -> list[str]:
    """Return what people wrote that the first supervisor has not heard; others are told by it."""
    if run.scope(run.step(step_id)):
        return []
    heard_at = subplan.heard_at if subplan else 0.0
    return [one.text for one in run.signals if one.kind == MESSAGE and one.at > heard_at]


def is_held(run: Run, step: Step, need: str) -> bool:
    """Say whether a step whose need failed waits for its supervisor's word instead of ending."""
    scope = run.scope(step)
    if not scope or run.steps[need].status is not Status.FAILED:
        return False
    state = run.steps[scope]
    subplan = state.subplan
    return (
        state.status not in TERMINAL
        and subplan is not None
        and need not in subplan.seen
        and subplan.looks < MAX_LOOKS
    )


def _invalid(sentence: str) -> Refused:
    return Refused(Refusal.INVALID, sentence)
