"""`apply(run, event) -> run`: what each fact changes. No rules here, only bookkeeping."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from agents.domain import JsonObject
from jobs import events as e
from jobs.state import (
    ApprovalStatus,
    Call,
    CallStatus,
    Hop,
    Lateness,
    Post,
    ProposedCall,
    Revision,
    Run,
    Spent,
    Status,
    StepState,
    SubPlan,
    Vote,
)
from jobs.summary import proposed

V = TypeVar("V")

MAX_SIGNALS = 50
UNKNOWN_OUTCOME = {
    "done": CallStatus.SUCCEEDED,
    "retry": CallStatus.RETRY,
    "skip": CallStatus.SKIPPED,
}
"""What a person's answer says of a write whose outcome nobody saw."""


def begin(run_id: str, event: e.RunStarted) -> Run:
    """Return the run that its first event makes."""
    return Run(
        id=run_id,
        goal=event.goal,
        plan=event.plan,
        version=1,
        status=Status.RUNNING,
        steps={step.id: StepState(agent=step.agent) for step in event.plan.steps},
        started_at=event.at,
    )


def apply(run: Run, event: e.Event) -> Run:
    """Return the run after the event; `version` goes up by one."""
    changed = _APPLY[type(event)](run, event)
    return replace(changed, version=run.version + 1)


def apply_all(run: Run, happened: Iterable[e.Event]) -> Run:
    """Return the run after the events, in order."""
    for event in happened:
        run = apply(run, event)
    return run


def _put(mapping: Mapping[str, V], key: str, value: V) -> dict[str, V]:
    return {**mapping, key: value}


def _step(run: Run, step_id: str, **changes: Any) -> Run:
    state = replace(run.steps[step_id], **changes)
    return _with_status(replace(run, steps=_put(run.steps, step_id, state)))


def _with_status(run: Run) -> Run:
    """Set the status of the run: waiting when a person is all that it waits for."""
    if run.is_over:
        return run
    statuses = {s.status for s in run.steps.values() if not s.is_waiting_for_children}
    is_waiting = Status.WAITING in statuses and not statuses & {Status.QUEUED, Status.RUNNING}
    status = Status.WAITING if is_waiting else Status.RUNNING
    return run if run.status is status else replace(run, status=status)


def _approval(run: Run, approval_id: str, **changes: Any) -> Run:
    approval = replace(run.approvals[approval_id], **changes)
    return replace(run, approvals=_put(run.approvals, approval_id, approval))


def _step_queued(run: Run, event: e.StepQueued) -> Run:
    state = run.steps[event.step_id]
    waited = event.at - state.waiting_since if state.waiting_since is not None else 0.0
    return _step(
        run,
        event.step_id,
        status=Status.QUEUED,
        attempt=event.attempt,
        agent=event.agent or state.agent,
        queued_at=event.at,
        waiting_since=None,
        waited_s=state.waited_s + max(0.0, waited),
        retry_at=None,
        worker="",
    )


def _step_started(run: Run, event: e.StepStarted) -> Run:
    first = run.steps[event.step_id].started_at
    return _step(
        run,
        event.step_id,
        status=Status.RUNNING,
        worker=event.worker,
        started_at=event.at if first is None else first,
    )


def _step_noted(run: Run, event: e.StepNoted) -> Run:
    return _step(run, event.step_id, note=event.text)


def _step_expanded(run: Run, event: e.StepExpanded) -> Run:
    children = {child.id: child for child in event.children}
    states = {child.id: StepState(agent=child.agent) for child in event.children}
    run = replace(run, children={**run.children, **children}, steps={**run.steps, **states})
    return _step(
        run,
        event.step_id,
        status=Status.RUNNING,
        queued_at=event.at,
        started_at=event.at,
        children=tuple(children),
    )


def _plan_revised(run: Run, event: e.PlanRevised) -> Run:
    planned = {step.id: step for step in event.steps}
    states = {step.id: StepState(agent=step.agent) for step in event.steps}
    run = replace(run, children={**run.children, **planned}, steps={**run.steps, **states})
    state = run.steps[event.step_id]
    before = state.subplan or SubPlan(looks=0)
    is_change = bool(event.steps or event.dropped)
    subplan = SubPlan(
        revision=event.revision,
        reason=event.reason,
        answer=event.answer if is_change else event.answer or before.answer,
        workflow=event.workflow or before.workflow,
        inputs=before.inputs if event.inputs is None else event.inputs,
        seen=event.seen,
        heard_at=event.heard_at,
        looks=before.looks + 1,
        began_at=before.began_at if state.subplan else event.at,
        max_wall_s=before.max_wall_s if event.max_wall_s is None else event.max_wall_s,
        service_levels=event.service_levels or before.service_levels,
    )
    if planned or event.dropped:
        revision = Revision(
            step_id=event.step_id,
            number=event.revision,
            reason=event.reason,
            at=event.at,
            added=tuple(planned),
            dropped=event.dropped,
            workflow=event.workflow,
        )
        run = replace(run, revisions=(*run.revisions, revision))
    children = tuple(dict.fromkeys((*state.children, *planned)))
    return _step(
        run,
        event.step_id,
        status=Status.RUNNING,
        worker="",
        note="",
        children=children,
        subplan=subplan,
        requeues=0,
    )


def _step_handed_off(run: Run, event: e.StepHandedOff) -> Run:
    hop = Hop(event.source, event.to, event.reason, event.at)
    hops = (*run.steps[event.step_id].hops, hop)
    return _step(run, event.step_id, hops=hops, requeues=0)


def _turn_taken(run: Run, event: e.TurnTaken) -> Run:
    state = run.steps[event.step_id]
    spent = Spent(
        1,
        event.input_tokens,
        event.cached_tokens,
        event.output_tokens,
        event.cost_usd or 0.0,
        event.cost_usd is None,
    )
    if event.model:
        run = replace(run, models=tuple(dict.fromkeys((*run.models, event.model))))
    return _step(
        run,
        event.step_id,
        turns=(*state.turns, event.key),
        spent=state.spent + spent,
        note=event.note or state.note,
    )


def _message_posted(run: Run, event: e.MessagePosted) -> Run:
    post = Post(event.key, event.step_id, event.text, event.at, event.mentions)
    return replace(run, posts=(*run.posts, post))


def _service_level_missed(run: Run, event: e.ServiceLevelMissed) -> Run:
    return replace(run, late=Lateness(event.at, event.within_s, event.users, event.groups))


def _step_succeeded(run: Run, event: e.StepSucceeded) -> Run:
    return _step(
        run,
        event.step_id,
        status=Status.SUCCEEDED,
        output=event.output,
        reason=event.remark,
        ended_at=event.at,
    )


def _step_retried(run: Run, event: e.StepRetried) -> Run:
    return _step(
        run,
        event.step_id,
        status=Status.PENDING,
        tries=run.steps[event.step_id].tries + 1,
        error=event.error,
        retry_at=event.retry_at,
        worker="",
    )


def _step_lost(run: Run, event: e.StepLost) -> Run:
    state = run.steps[event.step_id]
    return _step(run, event.step_id, status=Status.PENDING, losses=state.losses + 1, worker="")


def _step_requeued(run: Run, event: e.StepRequeued) -> Run:
    requeues = run.steps[event.step_id].requeues + 1
    return _step(run, event.step_id, status=Status.PENDING, requeues=requeues, worker="")


def _step_failed(run: Run, event: e.StepFailed) -> Run:
    run = _without_questions(run, event.step_id)
    return _step(
        run,
        event.step_id,
        status=Status.FAILED,
        error=event.error,
        output=event.output,
        ended_at=event.at,
    )


def _step_skipped(run: Run, event: e.StepSkipped) -> Run:
    return _step(run, event.step_id, status=Status.SKIPPED, reason=event.reason, ended_at=event.at)


def _step_cancelled(run: Run, event: e.StepCancelled) -> Run:
    run = _without_questions(run, event.step_id)
    return _step(run, event.step_id, status=Status.CANCELLED, ended_at=event.at, retry_at=None)


def _wait(run: Run, step_id: str, at: float, reason: str) -> Run:
    return _step(run, step_id, status=Status.WAITING, waiting_since=at, reason=reason, worker="")


def _approval_requested(run: Run, event: e.ApprovalRequested) -> Run:
    approval = event.approval
    run = replace(run, approvals=_put(run.approvals, approval.id, approval))
    return _wait(run, approval.step_id, event.at, f"approval {approval.id}")


def _approval_voted(run: Run, event: e.ApprovalVoted) -> Run:
    approval = run.approvals[event.approval_id]
    vote = Vote(
        person_id=event.person_id,
        person_name=event.person_name,
        is_approval=event.is_approval,
        at=event.at,
        comment=event.comment,
    )
    dropped = tuple(sorted({*approval.dropped, *event.dropped}))
    return _approval(run, approval.id, votes=(*approval.votes, vote), dropped=dropped)


def _approval_edited(run: Run, event: e.ApprovalEdited) -> Run:
    approval = run.approvals[event.approval_id]
    calls = tuple(
        _reproposed(call, event.args) if call.key == event.call_key else call
        for call in approval.calls
    )
    return _approval(
        run,
        approval.id,
        calls=calls,
        revision=event.revision,
        votes=(),
        dropped=(),
        editor_id=event.person_id,
        editor_name=event.person_name,
    )


def _reproposed(call: ProposedCall, args: JsonObject) -> ProposedCall:
    wanted = call.args if call.wanted is None else call.wanted
    return replace(proposed(call.key, call.tool, args), wanted=wanted)


def _approval_decided(run: Run, event: e.ApprovalDecided) -> Run:
    return _approval(
        run,
        event.approval_id,
        status=ApprovalStatus(event.status),
        decided_at=event.at,
        decided_by=event.by,
        comment=event.comment,
    )


def _approval_escalated(run: Run, event: e.ApprovalEscalated) -> Run:
    terms = run.approvals[event.approval_id].terms
    users = tuple(dict.fromkeys((*terms.escalate_users, *event.users)))
    groups = tuple(dict.fromkeys((*terms.escalate_groups, *event.groups)))
    terms = replace(terms, escalate_users=users, escalate_groups=groups)
    return _approval(run, event.approval_id, escalated_at=event.at, terms=terms)


def _approval_refused(run: Run, event: e.ApprovalRefused) -> Run:
    approval = run.approvals[event.approval_id]
    return _approval(run, approval.id, refusals=approval.refusals + 1)


def _question(run: Run, question_id: str, **changes: Any) -> Run:
    question = replace(run.questions[question_id], **changes)
    return replace(run, questions=_put(run.questions, question_id, question))


def _without_questions(run: Run, step_id: str) -> Run:
    """Cancel what a step still asks when it ends without an answer."""
    for key, question in run.questions.items():
        if question.step_id == step_id and question.is_open:
            run = _question(run, key, is_cancelled=True)
    return run


def _question_asked(run: Run, event: e.QuestionAsked) -> Run:
    question = event.question
    run = replace(run, questions=_put(run.questions, question.id, question))
    return _wait(run, question.step_id, event.at, f"question {question.id}")


def _question_answered(run: Run, event: e.QuestionAnswered) -> Run:
    run = _question(
        run,
        event.question_id,
        answer=event.answer,
        answered_by=event.by,
        answered_at=event.at,
    )
    question = run.questions[event.question_id]
    if not question.call_key:
        return run
    call = replace(
        run.calls[question.call_key],
        status=UNKNOWN_OUTCOME[event.answer],
        ended_at=event.at,
        error="" if event.answer != "skip" else f"skipped by {event.by}: outcome unknown",
    )
    return replace(run, calls=_put(run.calls, call.key, call))


def _question_expired(run: Run, event: e.QuestionExpired) -> Run:
    return _question(run, event.question_id, expired_at=event.at)


def _question_escalated(run: Run, event: e.QuestionEscalated) -> Run:
    question = run.questions[event.question_id]
    return _question(
        run,
        event.question_id,
        escalated_at=event.at,
        escalate_users=tuple(dict.fromkeys((*question.escalate_users, *event.users))),
        escalate_groups=tuple(dict.fromkeys((*question.escalate_groups, *event.groups))),
    )


def _call_intended(run: Run, event: e.CallIntended) -> Run:
    call = Call(
        key=event.key,
        step_id=event.step_id,
        tool=event.tool,
        args=event.args,
        digest=event.digest,
        status=CallStatus.INTENDED,
        intended_at=event.at,
        approval_id=event.approval_id,
        wanted=event.wanted,
    )
    return replace(run, calls=_put(run.calls, call.key, call))


def _call_finished(run: Run, event: e.CallFinished) -> Run:
    call = replace(
        run.calls[event.key],
        status=CallStatus.SUCCEEDED if event.is_success else CallStatus.FAILED,
        ended_at=event.at,
        evidence_id=event.evidence_id,
        result=event.result,
        error=event.error,
    )
    return replace(run, calls=_put(run.calls, call.key, call))


def _signal_received(run: Run, event: e.SignalReceived) -> Run:
    return replace(run, signals=(*run.signals, event.moment)[-MAX_SIGNALS:])


def _answer_rated(run: Run, event: e.AnswerRated) -> Run:
    return replace(run, ratings=_put(run.ratings, event.person_id, event.is_helpful))


def _run_stopped(run: Run, event: e.RunStopped) -> Run:
    return replace(
        run,
        stopped_by=event.by,
        stop_reason=event.reason,
        questions={
            key: replace(question, is_cancelled=True) if question.is_open else question
            for key, question in run.questions.items()
        },
    )


def _run_ended(run: Run, event: e.RunEnded) -> Run:
    return replace(run, status=event.status, ended_at=event.at, answer=event.answer)


_APPLY: Mapping[type, Callable[[Run, Any], Run]] = {
    e.StepQueued: _step_queued,
    e.StepStarted: _step_started,
    e.StepNoted: _step_noted,
    e.StepExpanded: _step_expanded,
    e.PlanRevised: _plan_revised,
    e.StepHandedOff: _step_handed_off,
    e.TurnTaken: _turn_taken,
    e.MessagePosted: _message_posted,
    e.ServiceLevelMissed: _service_level_missed,
    e.StepSucceeded: _step_succeeded,
    e.StepRetried: _step_retried,
    e.StepLost: _step_lost,
    e.StepRequeued: _step_requeued,
    e.StepFailed: _step_failed,
    e.StepSkipped: _step_skipped,
    e.StepCancelled: _step_cancelled,
    e.ApprovalRequested: _approval_requested,
    e.ApprovalVoted: _approval_voted,
    e.ApprovalEdited: _approval_edited,
    e.ApprovalDecided: _approval_decided,
    e.ApprovalEscalated: _approval_escalated,
    e.ApprovalRefused: _approval_refused,
    e.QuestionAsked: _question_asked,
    e.QuestionAnswered: _question_answered,
    e.QuestionExpired: _question_expired,
    e.QuestionEscalated: _question_escalated,
    e.CallIntended: _call_intended,
    e.CallFinished: _call_finished,
    e.SignalReceived: _signal_received,
    e.RunStopped: _run_stopped,
    e.RunEnded: _run_ended,
    e.AnswerRated: _answer_rated,
}
