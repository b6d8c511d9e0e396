"""What follows by itself after each change of a run: queueing, skipping, expanding, ending."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from pydantic import JsonValue, TypeAdapter, ValidationError

from agents.domain import Answer, Step
from config.expressions import ExpressionError, evaluate
from config.specs import MAX_FAN_OUT
from jobs import events as e
from jobs import planning
from jobs.apply import apply_all
from jobs.state import TERMINAL, ApprovalStatus, CallStatus, Run, Status, StepState
from jobs.summary import fallback_answer, variables

ANSWER = TypeAdapter(Answer)
MAX_CHILD_ERRORS_SHOWN = 3
IDLE = frozenset({Status.PENDING, Status.WAITING})
OVERTAKEN = "nobody decided before the answer was there"


def advance(run: Run, now: float) -> list[e.Event]:
    """Return the events that follow from the run as it is, until nothing more follows."""
    happened: list[e.Event] = []
    while not run.is_over:
        following = _following(run, now)
        if not following:
            break
        happened += following
        run = apply_all(run, following)
    return happened


def _following(run: Run, now: float) -> list[e.Event]:
    events: list[e.Event] = []
    is_all_over = True
    for step in run.all_steps():
        state = run.steps[step.id]
        if state.status in TERMINAL:
            continue
        is_all_over = False
        if step.parent and not run.stopped_by and planning.plan_has_ended(run, step.id):
            events += planning.abandon(run, step, now)
        elif state.status is Status.PENDING and state.retry_at is None:
            events += _begin(run, step, state, now)
        elif state.is_waiting_for_children and state.subplan is not None:
            events += planning.wake(run, step, state, now)
        elif state.is_waiting_for_children:
            events += _gather(run, step, state, now)
    if is_all_over:
        return [_ended(run, now)]
    return events or _overtaken(run, now)


def _overtaken(run: Run, now: float) -> list[e.Event]:
    """Skip the steps at the side that still wait although the answer is there."""
    scopes = [key for key, state in run.steps.items() if state.subplan is not None]
    for scope in ("", *scopes):
        if events := _overtaken_in(run, scope, now):
            return events
    return []


def _overtaken_in(run: Run, scope: str, now: float) -> list[e.Event]:
    """Do so in the plan of the run, or in that of a supervising step.

    What works, or has begun a write, is let end first.
    """
    subplan = run.steps[scope].subplan if scope else None
    answer = subplan.answer if subplan else run.plan.answer
    if not answer or run.steps[answer].status is not Status.SUCCEEDED:
        return []
    left = [step for step in run.siblings(scope) if run.steps[step.id].status not in TERMINAL]
    if not all(step.aside and _is_idle(run, step) for step in left):
        return []
    ids = {step.id for step in left}
    overtaken = [
        e.ApprovalDecided(at=now, approval_id=key, status=ApprovalStatus.CANCELLED.value)
        for key, approval in run.approvals.items()
        if approval.status is ApprovalStatus.PENDING and approval.step_id in ids
    ]
    skipped = [e.StepSkipped(at=now, step_id=step.id, reason=OVERTAKEN) for step in left]
    return [*overtaken, *skipped]


def _is_idle(run: Run, step: Step) -> bool:
    """Say whether skipping the step would cut nothing off.

    An open question in a supervisor's plan is waited for: the run goes on, and could be answered.
    """
    state = run.steps[step.id]
    is_writing = any(
        call.step_id == step.id and call.status is CallStatus.INTENDED
        for call in run.calls.values()
    )
    is_asking = bool(step.parent) and any(
        question.step_id == step.id and question.is_open for question in run.questions.values()
    )
    return state.status in IDLE and not state.children and not is_writing and not is_asking


def queued(step_id: str, state: StepState, now: float, agent: str = "") -> e.StepQueued:
    """Return the event that queues the step's next attempt."""
    return e.StepQueued(at=now, step_id=step_id, attempt=state.attempt + 1, agent=agent)


def _begin(run: Run, step: Step, state: StepState, now: float) -> list[e.Event]:
    scope = run.scope(step)
    if step.parent != scope:
        return [queued(step.id, state, now)]  # A child of a fan-out, ready with its siblings.
    for need in step.needs:
        status = run.steps[need].status
        if planning.is_held(run, step, need):
            return []
        if status in TERMINAL and status is not Status.SUCCEEDED:
            reason = f"needs {run.step(need).title}, which {_was(status)}"
            return [e.StepSkipped(at=now, step_id=step.id, reason=reason)]
    if any(run.steps[other].status not in TERMINAL for other in (*step.needs, *step.after)):
        return []
    if dropped := _dropped_by_gate(run, step):
        return [e.StepSkipped(at=now, step_id=step.id, reason=dropped)]
    try:
        if step.when and not evaluate(step.when, variables(run, step)):
            return [e.StepSkipped(at=now, step_id=step.id, reason=f"not needed: {step.when}")]
        if step.for_each:
            return _expand(step, evaluate(step.for_each, variables(run, step)), now)
    except ExpressionError as error:
        return [e.StepFailed(at=now, step_id=step.id, error=str(error))]
    return [queued(step.id, state, now)]


def _was(status: Status) -> str:
    return {Status.SKIPPED: "was skipped", Status.CANCELLED: "was stopped"}.get(status, "failed")


def _dropped_by_gate(run: Run, step: Step) -> str:
    """Say why a person's plan-level decision leaves this step out; empty when it does not."""
    for approval in run.approvals.values():
        for call in approval.calls:
            if call.key.split("/")[0] == step.id and call.key in approval.dropped:
                return f"left out by {approval.decided_by or 'an approver'}"
    return ""


def _expand(step: Step, items: JsonValue, now: float) -> list[e.Event]:
    if not isinstance(items, list):
        error = f"for_each gave {type(items).__name__}, not a list: {step.for_each}"
        return [e.StepFailed(at=now, step_id=step.id, error=error)]
    if len(items) > MAX_FAN_OUT:
        error = f"for_each gave {len(items)} items; {MAX_FAN_OUT} is the most: {step.for_each}"
        return [e.StepFailed(at=now, step_id=step.id, error=error)]
    if not items:
        return [e.StepSucceeded(at=now, step_id=step.id, output=[])]
    children = tuple(
        replace(
            step,
            id=f"{step.id}.{index}",
            title=f"{step.title} {index + 1}/{len(items)}",
            parent=step.id,
            item=item,
            for_each="",
            when="",
        )
        for index, item in enumerate(items)
    )
    return [e.StepExpanded(at=now, step_id=step.id, children=children)]


def _gather(run: Run, step: Step, state: StepState, now: float) -> list[e.Event]:
    """End a fan-out when its last child has ended: it succeeded when all of them did."""
    children = [run.steps[child] for child in state.children]
    if any(child.status not in TERMINAL for child in children):
        return []
    outputs = cast(JsonValue, [child.output for child in children])
    failed = [child for child in children if child.status is not Status.SUCCEEDED]
    if not failed:
        return [e.StepSucceeded(at=now, step_id=step.id, output=outputs)]
    errors = "; ".join(c.error or c.status for c in failed[:MAX_CHILD_ERRORS_SHOWN])
    error = f"{len(failed)} of {len(children)} failed: {errors}"
    return [e.StepFailed(at=now, step_id=step.id, error=error, output=outputs)]


def _ended(run: Run, now: float) -> e.RunEnded:
    state = run.steps[run.plan.answer]
    if run.stopped_by:
        return e.RunEnded(at=now, status=Status.CANCELLED, answer=fallback_answer(run))
    if state.status is Status.SUCCEEDED:
        try:
            answer = ANSWER.validate_python(state.output)
            return e.RunEnded(at=now, status=Status.SUCCEEDED, answer=answer)
        except ValidationError:
            text = state.output if isinstance(state.output, str) else ""
            if text:
                return e.RunEnded(
                    at=now, status=Status.SUCCEEDED, answer=Answer(headline=text[:4_000])
                )
    return e.RunEnded(at=now, status=Status.FAILED, answer=fallback_answer(run))
