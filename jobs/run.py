"""The run's state machine: `decide(run, command, now) -> events`. Pure; see docs/architecture.md.

`begin`, `apply` and `replay` rebuild the value; stores and workers know no other rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from agents.domain import Moment
from jobs import approvals, levels, planning, questions
from jobs import commands as c
from jobs import events as e
from jobs.advance import advance, queued
from jobs.apply import apply, apply_all, begin
from jobs.commands import Refusal, Refused
from jobs.state import TERMINAL, CallStatus, Run, Status, StepState, digest

__all__ = ["apply", "apply_all", "begin", "decide", "replay", "start"]

MAX_LOSSES = 5
MAX_REQUEUES = 5
"""How many decisions of a step in a row may come too late."""
MAX_NOTE_CHARS = 200
MAX_SENTENCE_CHARS = 2_000
MAX_POSTS = 50
MAX_RATINGS = 200
MAX_POST_CHARS = 4_000
MESSAGES_APART_S = 0.001
REPEATED_WITHIN_S = 1.0
"""The same words this soon after are the same message, sent twice."""


def start(run_id: str, command: c.StartRun, now: float) -> list[e.Event]:
    """Return the first events of a run: it started, and its first steps are queued."""
    started = e.RunStarted(at=now, goal=command.goal, plan=command.plan)
    return [started, *advance(begin(run_id, started), now)]


def replay(run_id: str, happened: Iterable[e.Event]) -> Run:
    """Return the run that its whole event log makes."""
    events = iter(happened)
    first = next(events)
    if not isinstance(first, e.RunStarted):
        raise TypeError(f"run {run_id} does not begin with run_started but {first.type}")
    return apply_all(begin(run_id, first), events)


def decide(run: Run, command: c.Command, now: float) -> list[e.Event]:
    """Return what the command makes happen, with all that follows; Refused when it cannot.

    An empty list means that the command was already carried out (it was sent twice).
    """
    decided = _DECIDE[type(command)](run, command, now)
    return decided + advance(apply_all(run, decided), now) if decided else []


def _fenced(run: Run, step_id: str, attempt: int) -> StepState:
    """Return the state of a step that this attempt still owns."""
    if run.is_over:
        raise Refused(Refusal.RUN_OVER, "The run has ended.")
    state = run.steps.get(step_id)
    is_mine = state is not None and state.attempt == attempt and state.worker != ""
    if state is None or not is_mine or state.status is not Status.RUNNING:
        raise Refused(Refusal.STALE, f"Step {step_id} is no longer in attempt {attempt}.")
    return state


def _start_step(run: Run, command: c.StartStep, now: float) -> list[e.Event]:
    state = run.steps.get(command.step_id)
    if state is not None and state.attempt == command.attempt and not run.is_over:
        if state.status is Status.QUEUED:
            return [
                e.StepStarted(
                    at=now,
                    step_id=command.step_id,
                    attempt=command.attempt,
                    worker=command.worker,
                )
            ]
        if state.status is Status.RUNNING and state.worker == command.worker:
            return []
    raise Refused(Refusal.STALE, f"Step {command.step_id} is not queued for this attempt.")


def _note_step(run: Run, command: c.NoteStep, now: float) -> list[e.Event]:
    state = _fenced(run, command.step_id, command.attempt)
    text = command.text[:MAX_NOTE_CHARS]
    return [] if text == state.note else [e.StepNoted(at=now, step_id=command.step_id, text=text)]


def _finish_step(run: Run, command: c.FinishStep, now: float) -> list[e.Event]:
    state = _fenced(run, command.step_id, command.attempt)
    if any(run.steps[key].status not in TERMINAL for key in state.children):
        raise Refused(Refusal.INVALID, f"Steps of {command.step_id} have not ended yet.")
    remark = command.remark[:MAX_SENTENCE_CHARS]
    return [e.StepSucceeded(at=now, step_id=command.step_id, output=command.output, remark=remark)]


def _fail_step(run: Run, command: c.FailStep, now: float) -> list[e.Event]:
    state = _fenced(run, command.step_id, command.attempt)
    step = run.step(command.step_id)
    error = command.error[:MAX_SENTENCE_CHARS]
    if run.stopped_by or planning.plan_has_ended(run, step.id):
        return [e.StepFailed(at=now, step_id=step.id, error=error)]
    if command.may_retry and state.tries < step.retries.times:
        retries = step.retries
        wait_s = min(retries.backoff_s * retries.factor**state.tries, retries.max_backoff_s)
        return [e.StepRetried(at=now, step_id=step.id, error=error, retry_at=now + wait_s)]
    if step.fallback_agent and state.agent != step.fallback_agent:
        return [queued(step.id, state, now, agent=step.fallback_agent)]
    return [e.StepFailed(at=now, step_id=step.id, error=error)]


def _skip_step(run: Run, command: c.SkipStep, now: float) -> list[e.Event]:
    _fenced(run, command.step_id, command.attempt)
    reason = command.reason[:MAX_SENTENCE_CHARS]
    return [e.StepSkipped(at=now, step_id=command.step_id, reason=reason)]


def _revise_plan(run: Run, command: c.RevisePlan, now: float) -> list[e.Event]:
    known = run.steps.get(command.step_id)
    is_repeat = known is not None and known.attempt == command.attempt
    if is_repeat and known is not None and known.is_waiting_for_children:
        return []
    _fenced(run, command.step_id, command.attempt)
    _require_not_stopped(run, command.step_id)
    return planning.revise(run, command, now)


def _hand_off(run: Run, command: c.HandOff, now: float) -> list[e.Event]:
    state = _fenced(run, command.step_id, command.attempt)
    _require_not_stopped(run, command.step_id)
    if sentence := objection_to_hop(run, command.step_id, command.to):
        raise Refused(Refusal.INVALID, sentence)
    handed = e.StepHandedOff(
        at=now,
        step_id=command.step_id,
        source=state.agent,
        to=command.to,
        reason=command.reason[:MAX_SENTENCE_CHARS],
    )
    return [handed, queued(command.step_id, state, now, agent=command.to)]


def objection_to_hop(run: Run, step_id: str, to: str) -> str:
    """Return why the step's agent may not pass it to that agent; empty when it may.

    Two agents may pass a step to and fro once; doing it again is ping-pong.
    """
    state, step = run.steps[step_id], run.step(step_id)
    if to == state.agent:
        return "An agent cannot pass a step to itself."
    if len(state.hops) >= step.max_hops:
        return f"The step was passed on {len(state.hops)} times, and that is the most."
    if any(hop.source == state.agent and hop.to == to for hop in state.hops):
        return f"{state.agent} has passed it to {to} before: go on with what is known."
    return ""


def _note_turn(run: Run, command: c.NoteTurn, now: float) -> list[e.Event]:
    state = _fenced(run, command.step_id, command.attempt)
    if command.key in state.turns:
        return []
    return [
        e.TurnTaken(
            at=now,
            step_id=command.step_id,
            key=command.key,
            agent=command.agent,
            model=command.model,
            purpose=command.purpose,
            input_tokens=command.input_tokens,
            cached_tokens=command.cached_tokens,
            output_tokens=command.output_tokens,
            cost_usd=command.cost_usd,
            duration_s=command.duration_s,
            note=command.note[:MAX_NOTE_CHARS],
        )
    ]


def _post_message(run: Run, command: c.PostMessage, now: float) -> list[e.Event]:
    if any(post.key == command.key for post in run.posts):
        return []
    _require_going(run)
    if len(run.posts) >= MAX_POSTS:
        raise Refused(Refusal.INVALID, f"A run may post {MAX_POSTS} messages, and that is enough.")
    return [
        e.MessagePosted(
            at=now,
            key=command.key,
            step_id=command.step_id,
            text=command.text[:MAX_POST_CHARS],
            mentions=command.mentions,
        )
    ]


def _lose_step(run: Run, command: c.LoseStep, now: float) -> list[e.Event]:
    state = _fenced(run, command.step_id, command.attempt)
    if run.stopped_by or planning.plan_has_ended(run, command.step_id):
        return [e.StepCancelled(at=now, step_id=command.step_id)]
    # With a write open, its next worker asks a person instead of trying again.
    if state.losses >= MAX_LOSSES and not run.open_writes(command.step_id):
        error = f"its worker died {state.losses + 1} times; the step itself may be killing it"
        return [e.StepFailed(at=now, step_id=command.step_id, error=error)]
    return [
        e.StepLost(at=now, step_id=command.step_id, attempt=command.attempt, worker=state.worker)
    ]


def _requeue_step(run: Run, command: c.RequeueStep, now: float) -> list[e.Event]:
    state = _fenced(run, command.step_id, command.attempt)
    reason = command.reason[:MAX_SENTENCE_CHARS]
    if run.stopped_by or planning.plan_has_ended(run, command.step_id):
        return [e.StepCancelled(at=now, step_id=command.step_id)]
    if state.requeues >= MAX_REQUEUES:
        error = f"what it decided came too late {state.requeues + 1} times in a row: {reason}"
        return [e.StepFailed(at=now, step_id=command.step_id, error=error[:MAX_SENTENCE_CHARS])]
    return [e.StepRequeued(at=now, step_id=command.step_id, attempt=command.attempt, reason=reason)]


def _request_approval(run: Run, command: c.RequestApproval, now: float) -> list[e.Event]:
    known = run.approvals.get(command.approval.id)
    if known is not None:
        return []
    _fenced(run, command.step_id, command.attempt)
    _require_not_stopped(run, command.step_id)
    requested = e.ApprovalRequested(at=now, approval=command.approval)
    if run.late is None:
        return [requested]
    escalated = e.ApprovalEscalated(
        at=now, approval_id=command.approval.id, users=run.late.users, groups=run.late.groups
    )
    return [requested, escalated]


def _ask_question(run: Run, command: c.AskQuestion, now: float) -> list[e.Event]:
    if command.question.id in run.questions:
        return []
    _fenced(run, command.step_id, command.attempt)
    _require_not_stopped(run, command.step_id)
    return [e.QuestionAsked(at=now, question=command.question)]


def _intend_call(run: Run, command: c.IntendCall, now: float) -> list[e.Event]:
    _fenced(run, command.step_id, command.attempt)
    _require_not_stopped(run, command.step_id)
    fingerprint = digest([command.key, command.tool, command.args])
    known = run.calls.get(command.key)
    if known is not None and known.status is CallStatus.INTENDED and known.digest == fingerprint:
        return []
    if known is not None and known.status is not CallStatus.RETRY:
        raise Refused(Refusal.ALREADY_DONE, f"{command.key} is already {known.status}.")
    if command.approval_id and not _is_approved(run, command):
        raise Refused(
            Refusal.NOT_APPROVED, f"{command.tool} is not what approval {command.approval_id} says."
        )
    return [
        e.CallIntended(
            at=now,
            key=command.key,
            step_id=command.step_id,
            tool=command.tool,
            args=command.args,
            digest=fingerprint,
            approval_id=command.approval_id,
            wanted=command.wanted,
        )
    ]


def _is_approved(run: Run, command: c.IntendCall) -> bool:
    if not approvals.approved_call(run, command.approval_id, command.key):
        return False
    calls = {call.key: call for call in run.approvals[command.approval_id].calls}
    call = calls[command.key]
    return call.tool == command.tool and call.args == command.args


def _finish_call(run: Run, command: c.FinishCall, now: float) -> list[e.Event]:
    known = run.calls.get(command.key)
    if known is None:
        raise Refused(Refusal.UNKNOWN, f"{command.key} was never intended.")
    if known.status is not CallStatus.INTENDED:
        return []
    _fenced(run, command.step_id, command.attempt)
    return [
        e.CallFinished(
            at=now,
            key=command.key,
            is_success=command.is_success,
            evidence_id=command.evidence_id,
            result=command.result,
            error=command.error[:MAX_SENTENCE_CHARS],
        )
    ]


def _require_going(run: Run) -> None:
    if run.is_over:
        raise Refused(Refusal.RUN_OVER, "The run has ended, so there is nothing left to decide.")


def _decide_approval(run: Run, command: c.Decide, now: float) -> list[e.Event]:
    if command.approval_id not in run.approvals:
        raise Refused(Refusal.UNKNOWN, f"There is no approval {command.approval_id}.")
    return approvals.decide(run, command, now)


def _require_not_stopped(run: Run, step_id: str = "") -> None:
    if run.stopped_by:
        raise Refused(Refusal.RUN_OVER, f"The run was stopped by {run.stopped_by}.")
    if step_id and planning.plan_has_ended(run, step_id):
        raise Refused(Refusal.RUN_OVER, f"The plan of {step_id} has ended.")


def _stop_run(run: Run, command: c.StopRun, now: float) -> list[e.Event]:
    _require_going(run)
    _require_not_stopped(run)
    return _stop(run, command.person.name, command.reason, now)


def _stop(run: Run, by: str, reason: str, now: float) -> list[e.Event]:
    """Cancel every step, but let a write that has begun end: half of it helps nobody."""
    writing = {call.step_id for call in run.calls.values() if call.status is CallStatus.INTENDED}
    cancelled = [
        e.StepCancelled(at=now, step_id=step_id)
        for step_id, state in run.steps.items()
        if state.status not in TERMINAL
        and not (state.status is Status.RUNNING and step_id in writing)
    ]
    stopped = e.RunStopped(at=now, by=by, reason=reason[:MAX_SENTENCE_CHARS])
    return [stopped, *approvals.cancel_all(run, now), *cancelled]


def _rate_answer(run: Run, command: c.RateAnswer, now: float) -> list[e.Event]:
    """Keep what people say of an answer: of a run that has one, and of so many people."""
    if run.answer is None:
        raise Refused(Refusal.INVALID, "There is no answer yet: say it when there is one.")
    person = command.person
    if run.ratings.get(person.id) is command.is_helpful:
        return []
    if person.id not in run.ratings and len(run.ratings) >= MAX_RATINGS:
        raise Refused(Refusal.INVALID, f"{MAX_RATINGS} people have rated it, and that is the most.")
    return [e.AnswerRated(now, person.id, person.name, command.is_helpful)]


def _signal(run: Run, command: c.Signal, now: float) -> list[e.Event]:
    if run.is_over or _was_told(run, command.moment):
        return []
    moment = command.moment
    if moment.kind == planning.MESSAGE:
        moment = replace(moment, at=max(moment.at, _after_last_message(run)))
    return [e.SignalReceived(at=now, moment=moment)]


def _was_told(run: Run, moment: Moment) -> bool:
    """Say whether the signal was sent before; a message may have been put a little later."""
    if moment.kind != planning.MESSAGE:
        return moment in run.signals
    return any(
        (one.kind, one.text) == (moment.kind, moment.text)
        and 0 <= one.at - moment.at <= REPEATED_WITHIN_S
        for one in run.signals
    )


def _after_last_message(run: Run) -> float:
    """Return the earliest time of the next message, so that who heard the last hears it too.

    Two machines' clocks differ, and a supervisor remembers only when the last one was.
    """
    last = max((one.at for one in run.signals if one.kind == planning.MESSAGE), default=None)
    return 0.0 if last is None else last + MESSAGES_APART_S


def _fire_timer(run: Run, command: c.FireTimer, now: float) -> list[e.Event]:
    if run.is_over:
        return []
    if command.kind is c.TimerKind.RETRY:
        state = run.steps.get(command.key)
        is_due = state is not None and state.status is Status.PENDING and state.retry_at
        return [queued(command.key, state, now)] if state is not None and is_due else []
    question = run.questions.get(command.key)
    if command.kind is c.TimerKind.EXPIRY:
        if question is not None:
            return questions.expire(run, question, now)
        return approvals.expire(run, command.key, now)
    if command.kind is c.TimerKind.ESCALATION:
        if question is not None:
            return questions.escalate(question, now)
        return approvals.escalate(run, command.key, now)
    if run.stopped_by:
        return []
    if command.kind is c.TimerKind.SERVICE_LEVEL:
        return levels.miss(run, now)
    if command.key:
        return planning.out_of_time(run, command.key, now)
    return _stop(run, "its time limit", f"it may take {run.plan.max_wall_s:g} s", now)


_DECIDE: Mapping[type, Callable[[Run, Any, float], list[e.Event]]] = {
    c.StartStep: _start_step,
    c.NoteStep: _note_step,
    c.FinishStep: _finish_step,
    c.FailStep: _fail_step,
    c.SkipStep: _skip_step,
    c.RevisePlan: _revise_plan,
    c.HandOff: _hand_off,
    c.NoteTurn: _note_turn,
    c.PostMessage: _post_message,
    c.LoseStep: _lose_step,
    c.RequeueStep: _requeue_step,
    c.RequestApproval: _request_approval,
    c.AskQuestion: _ask_question,
    c.IntendCall: _intend_call,
    c.FinishCall: _finish_call,
    c.Decide: _decide_approval,
    c.EditCall: approvals.edit,
    c.NoteRefusal: approvals.note_refusal,
    c.AnswerQuestion: questions.answer,
    c.StopRun: _stop_run,
    c.RateAnswer: _rate_answer,
    c.Signal: _signal,
    c.FireTimer: _fire_timer,
}
