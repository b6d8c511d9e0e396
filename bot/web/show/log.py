"""The event log in words, one sentence per event."""

from __future__ import annotations

from dataclasses import dataclass

from jobs import events as e
from jobs.store import StoredEvent

MAX_DETAIL_CHARS = 300


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log. `step_id` is empty when it is about the whole run."""

    seq: int
    at: float
    type: str
    step_id: str
    text: str


def entries(stored: list[StoredEvent]) -> list[Entry]:
    """Return the log in words, oldest first; a step of an approval is known by its request."""
    asked: dict[str, str] = {}
    result: list[Entry] = []
    for item in stored:
        event = item.event
        if isinstance(event, e.ApprovalRequested):
            asked[event.approval.id] = event.approval.step_id
        if isinstance(event, e.QuestionAsked):
            asked[event.question.id] = event.question.step_id
        step_id = getattr(event, "step_id", "") or asked.get(_subject(event), "")
        text = sentence(event)[:MAX_DETAIL_CHARS]
        result.append(Entry(item.seq, event.at, event.type, step_id, text))
    return result


def _subject(event: e.Event) -> str:
    match event:
        case e.ApprovalRequested():
            return event.approval.id
        case e.QuestionAsked():
            return event.question.id
        case _:
            return getattr(event, "approval_id", "") or getattr(event, "question_id", "")


def sentence(event: e.Event) -> str:
    """Return what happened, in one sentence without its time and step."""
    match event:
        case e.RunStarted():
            return f"Run started by {event.goal.requester_name}: {event.goal.text}"
        case e.StepQueued():
            by = f" for {event.agent}" if event.agent else ""
            return f"Queued{by}, attempt {event.attempt}"
        case e.StepStarted():
            return f"Taken by worker {event.worker}, attempt {event.attempt}"
        case e.StepNoted():
            return event.text
        case e.StepExpanded():
            return f"Fanned out into {len(event.children)} steps"
        case e.StepSucceeded():
            return "Succeeded"
        case e.StepRetried():
            return f"Failed, will be tried again: {event.error}"
        case e.StepLost():
            return f"Worker {event.worker} was lost in attempt {event.attempt}"
        case e.StepFailed():
            return f"Failed: {event.error}"
        case e.StepSkipped():
            return f"Skipped: {event.reason}"
        case e.StepCancelled():
            return "Cancelled"
        case _:
            return _decision(event)


def _decision(event: e.Event) -> str:
    match event:
        case e.ApprovalRequested():
            return f"Approval asked: {event.approval.title or event.approval.id}"
        case e.ApprovalVoted():
            said = "approved" if event.is_approval else "denied"
            dropped = f", without {', '.join(event.dropped)}" if event.dropped else ""
            return f"{event.person_name} {said} revision {event.revision}{dropped}" + _said(
                event.comment
            )
        case e.ApprovalEdited():
            return f"{event.person_name} edited {event.call_key}: revision {event.revision}"
        case e.ApprovalDecided():
            by = f" by {event.by}" if event.by else ""
            return f"Approval {event.status}{by}" + _said(event.comment)
        case e.ApprovalEscalated():
            return f"Escalated to {', '.join([*event.groups, *event.users]) or 'nobody'}"
        case e.ApprovalRefused():
            return f"A click of {event.person_name} did not count: {event.outcome}"
        case e.QuestionAsked():
            return f"Question asked: {event.question.text}"
        case e.QuestionAnswered():
            return f"{event.by} answered: {event.answer}"
        case e.QuestionExpired():
            return "Nobody answered in time"
        case e.QuestionEscalated():
            return f"Question escalated to {', '.join([*event.groups, *event.users]) or 'nobody'}"
        case _:
            return _action(event)


def _action(event: e.Event) -> str:
    match event:
        case e.CallIntended():
            args = " ".join(str(value) for value in event.args.values())
            return f"Write begins: {event.tool} {args}"
        case e.CallFinished():
            return "Write done" if event.is_success else f"Write failed: {event.error}"
        case e.SignalReceived():
            return event.moment.text
        case e.RunStopped():
            return f"Stopped by {event.by}" + _said(event.reason)
        case e.RunEnded():
            return f"Run {event.status.value}: {event.answer.headline}"
        case e.AnswerRated():
            helped = "helped" if event.is_helpful else "did not help"
            return f"{event.person_name}: the answer {helped}"
        case _:
            return _teamwork(event)


def _teamwork(event: e.Event) -> str:
    match event:
        case e.StepRequeued():
            return f"Decided too late, looks again: {event.reason}"
        case e.PlanRevised():
            return f"Plan {event.revision}{_changes(event)}: {event.reason}"
        case e.StepHandedOff():
            return f"{event.source} handed over to {event.to}: {event.reason}"
        case e.TurnTaken():
            tokens = event.input_tokens + event.output_tokens
            return f"{event.model} answered {event.agent} ({event.purpose}, {tokens:,} tokens)"
        case e.MessagePosted():
            to = f" to {', '.join(event.mentions)}" if event.mentions else ""
            return f"Posted{to}: {event.text}"
        case e.ServiceLevelMissed():
            people = ", ".join([*event.groups, *event.users]) or "nobody"
            return f"Late: it should have taken {event.within_s:g} s at most; {people} told"
        case _:
            return event.type.replace("_", " ")


def _changes(event: e.PlanRevised) -> str:
    """Say how much a revision changed; a look may have changed nothing."""
    parts = [f"{len(event.steps)} new"] if event.steps else []
    parts += [f"{len(event.dropped)} dropped"] if event.dropped else []
    return f" ({', '.join(parts)})" if parts else " stays as it is"


def _said(comment: str) -> str:
    return f" ({comment})" if comment else ""
