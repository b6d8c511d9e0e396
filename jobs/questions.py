"""The rules of questions: who may answer, what an answer leads to, and what happens without one."""

from __future__ import annotations

from agents.redact import redact
from jobs import events as e
from jobs.advance import queued
from jobs.approvals import is_approver
from jobs.commands import AnswerQuestion, Refusal, Refused
from jobs.state import Person, Question, Run
from jobs.summary import call_text

MAX_ANSWER_CHARS = 2_000


def may_answer(question: Question, person: Person) -> str:
    """Return why the person may not answer, as a sentence; empty when they may."""
    users, groups = question.answerers
    if not (users or groups) or is_approver(person, users, groups):
        return ""
    return f"Only {answerers_text(question)} may answer this."


def answerers_text(question: Question) -> str:
    """Return who may answer, for people: `group oncall`; empty when anybody may."""
    users, groups = question.answerers
    return " or ".join([*(f"group {group}" for group in groups), *users])


def answer(run: Run, command: AnswerQuestion, now: float) -> list[e.Event]:
    """Take one person's answer and let the step go on with it."""
    question = _open(run, command.question_id, now)
    if sentence := may_answer(question, command.person):
        raise Refused(Refusal.NOT_ALLOWED, sentence)
    if question.options and command.answer not in question.options:
        raise Refused(Refusal.INVALID, f"Answer one of: {', '.join(question.options)}.")
    events: list[e.Event] = []
    for one in (question, *_settled_with(run, question)):
        answered = e.QuestionAnswered(
            at=now,
            question_id=one.id,
            answer=command.answer[:MAX_ANSWER_CHARS],
            by=command.person.name,
        )
        events += [answered, queued(one.step_id, run.steps[one.step_id], now)]
    return events


def _settled_with(run: Run, question: Question) -> list[Question]:
    """Return the open questions of other steps about the same budget: one answer is enough."""
    if question.kind != "budget":
        return []
    return [
        other
        for other in run.questions.values()
        if other.is_open
        and other.id != question.id
        and (other.kind, other.about) == ("budget", question.about)
    ]


def _open(run: Run, question_id: str, now: float) -> Question:
    """Return the question if it still waits for an answer; else Refused."""
    question = run.questions.get(question_id)
    if question is None:
        raise Refused(Refusal.UNKNOWN, f"There is no question {question_id}.")
    if question.answer is not None:
        sentence = f"{question.answered_by} already answered: {question.answer}."
        raise Refused(Refusal.ALREADY_DECIDED, sentence)
    is_late = question.expires_at is not None and now >= question.expires_at
    if question.expired_at is not None or (question.is_open and is_late):
        raise Refused(Refusal.EXPIRED, "This question expired before anyone answered.")
    if run.is_over:
        raise Refused(Refusal.RUN_OVER, "The run has ended, so there is nothing left to decide.")
    if run.stopped_by:
        raise Refused(Refusal.RUN_OVER, f"The run was stopped by {run.stopped_by}.")
    if question.is_cancelled:
        raise Refused(Refusal.RUN_OVER, "This question was cancelled with its step.")
    return question


def expire(run: Run, question: Question, now: float) -> list[e.Event]:
    """Fail the step whose question nobody answered in time."""
    if not question.is_open:
        return []
    expired = e.QuestionExpired(at=now, question_id=question.id)
    call = run.calls.get(question.call_key)
    error = "nobody answered its question in time"
    if call is not None:
        what = redact(call_text(call))
        error = f"outcome unknown: nobody said in time whether {what} took effect; look by hand"
    return [expired, e.StepFailed(at=now, step_id=question.step_id, error=error)]


def escalate(question: Question, now: float) -> list[e.Event]:
    """Ping the next people when nobody answered for a while; they may answer from then on."""
    if not question.is_open or question.escalated_at is not None:
        return []
    return [
        e.QuestionEscalated(
            at=now,
            question_id=question.id,
            users=question.escalate_users,
            groups=question.escalate_groups,
        )
    ]
