"""One line per thing that happens in a run, for a terminal. Pure."""

from __future__ import annotations

from bot.cli.plain_text import plain
from bot.present import spent_view
from jobs import events as e
from jobs.approvals import approvers_text
from jobs.state import Question, Run
from jobs.summary import call_text


def line(run: Run, event: e.Event) -> str:
    """Return what happened in one line; empty when it is not worth one. `run` is as after it."""
    return plain(_line(run, event))


def _line(run: Run, event: e.Event) -> str:
    match event:
        case e.RunStarted():
            return f"Run {run.id}: {event.goal.text} ({_plan_text(event)})"
        case e.PlanRevised(step_id=step_id):
            return _revised(run, event) if event.steps or event.dropped else ""
        case e.StepHandedOff(step_id=step_id):
            hop = f"{event.source} → {event.to}"
            return f"  → {run.step(step_id).title}: {hop}: {event.reason}"
        case e.MessagePosted():
            return f"  » {event.text}"
        case e.ServiceLevelMissed():
            return f"  ! Late: it should have taken {event.within_s:g} s at most"
        case e.StepStarted(step_id=step_id) if event.attempt == 1:
            step = run.step(step_id)
            return f"  ▶ {step.title} · {run.steps[step_id].agent or step.tool}"
        case e.StepSucceeded(step_id=step_id):
            return f"  ✓ {run.step(step_id).title}{_took(run, step_id)}"
        case e.StepFailed(step_id=step_id):
            return f"  ✗ {run.step(step_id).title}: {event.error}"
        case e.StepRetried(step_id=step_id):
            return f"  ↻ {run.step(step_id).title} will be tried again: {event.error}"
        case e.StepLost(step_id=step_id):
            return f"  ↻ {run.step(step_id).title}: its worker died, another takes over"
        case e.StepRequeued(step_id=step_id):
            return f"  ↻ {run.step(step_id).title} decided too late and looks again"
        case e.ApprovalRequested(approval=approval):
            calls = "; ".join(call.title or call_text(call) for call in approval.calls)
            what = f"{approval.title}: {calls}" if calls else approval.title
            return f"  ? {what}. Waits for {approvers_text(approval.terms)}"
        case e.ApprovalEdited():
            return f"  ✎ {event.person_name} edited the arguments (revision {event.revision})"
        case e.ApprovalDecided():
            by = f" by {event.by}" if event.by else ""
            return f"  ! {run.approvals[event.approval_id].title}: {event.status}{by}"
        case e.QuestionAsked(question=question):
            return f"  ? {question.text}  {_how(run, question)}"
        case e.QuestionAnswered():
            return f"  ! {event.by} answered: {event.answer}"
        case e.QuestionEscalated():
            return "  ! Nobody answered so far: others are asked too"
        case e.CallFinished():
            call = run.calls[event.key]
            return f"  ! {call_text(call)}: {call.status}"
        case e.SignalReceived(moment=moment):
            return f"  · {moment.text}"
        case e.RunStopped():
            return f"  ■ Stopped by {event.by}"
        case e.RunEnded():
            return f"Answer: {event.answer.headline}{_cost(run)}"
        case _:
            return ""


def _plan_text(event: e.RunStarted) -> str:
    count = len(event.plan.steps)
    return f"{count} steps" if event.plan.workflow else "to be planned"


def _revised(run: Run, event: e.PlanRevised) -> str:
    added = ", ".join(step.title for step in event.steps)
    dropped = ", ".join(run.step(key).title for key in event.dropped)
    changes = [f"+ {added}"] if added else []
    changes += [f"- {dropped}"] if dropped else []
    return f"  ≡ Plan {event.revision}: {event.reason} ({'; '.join(changes)})"


def _how(run: Run, question: Question) -> str:
    options = f" ({' | '.join(question.options)})" if question.options else ""
    return f'Answer with: muster answer {run.id} {question.id} "…"{options}'


def _cost(run: Run) -> str:
    spent = spent_view(run)
    return f" · {spent.text}" if spent else ""


def _took(run: Run, step_id: str) -> str:
    state = run.steps[step_id]
    if state.started_at is None or state.ended_at is None:
        return ""
    return f" · {state.ended_at - state.started_at - state.waited_s:.1f} s"
