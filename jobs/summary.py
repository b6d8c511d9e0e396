"""What a run can say of itself: its timeline, its decisions, and an answer made by code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from pydantic import JsonValue

from agents.domain import Answer, Finding, JsonObject, Moment, Step
from agents.redact import redact
from config.expressions import paths, references
from jobs.state import Approval, ApprovalStatus, Call, CallStatus, ProposedCall, Run, Status

MAX_NAMED_CHARS = 48
"""Longer arguments are prose (a reason, a query): they stand in the details, not in a title."""
DECISION_WORDS = {
    ApprovalStatus.APPROVED: "approved",
    ApprovalStatus.DENIED: "denied",
    ApprovalStatus.EXPIRED: "expired without a decision",
    ApprovalStatus.CANCELLED: "cancelled",
}


def timeline(run: Run) -> list[Moment]:
    """Return what happened around the run, oldest first: signals, decisions and actions."""
    moments = list(run.signals)
    for approval in run.approvals.values():
        what = approval.title or approval.step_id
        moments.append(Moment(approval.requested_at, f"Approval asked: {what}", "note"))
        if approval.decided_at is not None:
            by = f" by {approval.decided_by}" if approval.decided_by else ""
            words = DECISION_WORDS[approval.status]
            moments.append(Moment(approval.decided_at, f"{what}: {words}{by}", "decision"))
    moments += [
        Moment(call.ended_at or call.intended_at, f"{call_text(call)}: {call.status}", "action")
        for call in run.calls.values()
    ]
    return sorted(moments, key=lambda moment: moment.at)


def call_text(call: Call | ProposedCall) -> str:
    """Return a call in a few words: `service.rollback checkout 3f2a1c9`."""
    return " ".join([call.tool, *(str(v) for v in call.args.values() if _is_name(v))])


def _is_name(value: JsonValue) -> bool:
    """Say whether an argument names something: prose, switches and moments do not."""
    if isinstance(value, str):
        return 0 < len(value) <= MAX_NAMED_CHARS and not value.endswith(".")
    return isinstance(value, int) and not isinstance(value, bool)


def proposed(key: str, tool: str, args: JsonObject) -> ProposedCall:
    """Return a call as it is proposed to approvers."""
    call = ProposedCall(key=key, tool=tool, args=args)
    return replace(call, title=redact(call_text(call)))


def decisions(run: Run) -> list[dict[str, JsonValue]]:
    """Return the decided approvals as plain data for expressions, oldest first.

    The approval of a whole step has no call, so it stands there with an empty tool. A call that
    an approver left out was denied, whatever became of the others.
    """
    decided = [a for a in run.approvals.values() if a.decided_at is not None]
    return [
        {
            "approval_id": approval.id,
            "step": approval.step_id,
            "tool": call.tool if call else "",
            "args": call.args if call else {},
            "outcome": _outcome(approval, call),
            "by": approval.decided_by,
            "comment": approval.comment,
            "at": approval.decided_at,
        }
        for approval in sorted(decided, key=lambda approval: approval.decided_at or 0)
        for call in (approval.calls or (None,))
    ]


def _outcome(approval: Approval, call: ProposedCall | None) -> str:
    if call is not None and call.key in approval.dropped:
        return ApprovalStatus.DENIED.value
    return approval.status.value


def variables(run: Run, step: Step) -> dict[str, Any]:
    """Return what the step's expressions may read, as `config.specs.StepSpec` says.

    Only steps that have ended are there, so an expression gives the same value at any time
    after the step became ready. `run` is made only for a step that speaks of it: it holds the
    whole story, and most steps are started without a look at it.
    """
    scope = run.scope(step)
    known = variables_of(run, scope)
    known["item"] = step.item
    if _speaks_of_run(step):
        titles = {step.id: step.title for step in run.all_steps()}
        prefix = f"{scope}." if scope else ""
        known["run"] = {
            "id": run.id,
            "started_at": run.started_at,
            "timeline": [asdict(moment) for moment in timeline(run)],
            "decisions": decisions(run),
            "statuses": {
                key.removeprefix(prefix): {
                    "status": state.status.value,
                    "title": titles[key],
                    "error": state.error,
                    "reason": state.reason,
                }
                for key, state in run.steps.items()
                if key.startswith(prefix)
            },
        }
    return known


def variables_of(run: Run, scope: str = "") -> dict[str, Any]:
    """Return what expressions may read in a plan: the run's, or that of a supervising step.

    A supervised step names its siblings by what stands behind its supervisor's id.
    """
    prefix = f"{scope}." if scope else ""
    subplan = run.steps[scope].subplan if scope else None
    inputs = run.goal.inputs if subplan is None or subplan.inputs is None else subplan.inputs
    states = {
        key.removeprefix(prefix): state
        for key, state in run.steps.items()
        if key.startswith(prefix)
    }
    return {
        "goal": {
            "text": run.goal.text,
            "inputs": inputs,
            "facts": run.goal.facts,
            "incident_id": run.goal.incident_id,
            "requester_name": run.goal.requester_name,
        },
        "steps": {key: s.output for key, s in states.items() if s.ended_at is not None},
        "status": {key: s.status.value for key, s in states.items()},
    }


def _speaks_of_run(step: Step) -> bool:
    used = references([step.instruction, step.inputs])
    for expression in filter(None, (step.when, step.for_each)):
        used |= paths(expression)
    return any(path[0] == "run" for path in used)


def missing(run: Run, prefix: str = "") -> tuple[str, ...]:
    """Return a sentence for each step (whose id begins so) that failed or was stopped."""
    words: Mapping[Status, str] = {Status.FAILED: "failed", Status.CANCELLED: "was stopped"}
    return tuple(
        f"{step.title} {words[state.status]}" + (f": {state.error}" if state.error else "")
        for step in run.all_steps()
        if step.id.startswith(prefix) and (state := run.steps[step.id]).status in words
    )


def remarks(run: Run) -> tuple[str, ...]:
    """Return what people should know of how steps came to their outputs."""
    return tuple(
        f"{step.title}: {state.reason}"
        for step in run.all_steps()
        if (state := run.steps[step.id]).status is Status.SUCCEEDED and state.reason
    )


def fallback_answer(run: Run) -> Answer:
    """Return the answer of a run whose answering step gave none."""
    if run.stopped_by:
        reason = f" ({run.stop_reason})" if run.stop_reason else ""
        headline = f"Stopped by {run.stopped_by}{reason}; nothing further was done."
    else:
        headline = "The run ended without an answer; see what is missing below."
    unknown = [call for call in run.calls.values() if call.status is CallStatus.INTENDED]
    return Answer(
        headline=headline,
        finding=Finding.FAILED,
        timeline=tuple(timeline(run)),
        actions=tuple(
            f"{call_text(call)}: {call.status}"
            for call in run.calls.values()
            if call.status is not CallStatus.INTENDED
        ),
        recommendations=tuple(
            f"Check by hand whether this took effect: {call_text(call)}" for call in unknown
        ),
        missing=missing(run),
    )
