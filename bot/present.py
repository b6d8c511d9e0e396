"""From runs and incidents to what platforms show: meaning, not markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from agents.domain import Cite, Claim, Evidence, Moment, Step
from agents.findings import Ranking, Reason
from agents.tool import Toolbox, UnknownToolError
from agents.wording import one_line
from bot.views import (
    AnswerView,
    ApprovalView,
    CallView,
    DiagnosisView,
    IncidentView,
    QuestionView,
    RunView,
    StepView,
    SuspectView,
)
from config.contents import Catalogue
from jobs.approvals import approvers_text
from jobs.incidents import AlertState, Incident
from jobs.questions import answerers_text
from jobs.state import (
    TERMINAL,
    Approval,
    ApprovalStatus,
    ProposedCall,
    Question,
    Run,
    Status,
    StepState,
    Vote,
)

MAX_HEADLINE_CHARS = 160
MAX_TITLE_CHARS = 80
MAX_NOTE_CHARS = 200
MAX_STEPS_NAMED = 3
NOT_NEEDED = "not needed:"
MAX_SUSPECTS = 5
RANKING_REPORT = "suspects"
"""The report function whose output is a ranking."""


class Presenter:
    """Makes views with the names and schemas of one configuration."""

    def __init__(self, catalogue: Catalogue, toolbox: Toolbox) -> None:
        self._catalogue = catalogue
        self._toolbox = toolbox

    def run_view(self, run: Run) -> RunView:
        """Return the live card of a run."""
        return run_view(run, self._catalogue, self._toolbox)

    def answer_view(self, run: Run, evidence: Mapping[str, Evidence]) -> AnswerView | None:
        """Return the run's answer with what it rests on, or None while it has none."""
        return answer_view(run, evidence, self._catalogue)

    def incident_view(self, incident: Incident) -> IncidentView:
        """Return an incident as shown."""
        return incident_view(incident)

    def examples(self) -> tuple[str, ...]:
        """Return goals that people may type, as the workflows give them."""
        flows = self._catalogue.workflows.values()
        return tuple(dict.fromkeys(text for flow in flows for text in flow.match.examples))


def run_view(run: Run, catalogue: Catalogue, toolbox: Toolbox) -> RunView:
    """Return the live card of a run."""
    return RunView(
        run_id=run.id,
        title=run_title(run, catalogue),
        goal=run.goal.text,
        status=run.status,
        headline=headline(run),
        requester=run.goal.requester_name,
        workflow=run.plan.workflow,
        steps=tuple(_step_view(run, step, catalogue) for step in run.all_steps()),
        approvals=tuple(approval_view(run, one, toolbox) for one in run.approvals.values()),
        questions=tuple(_question_view(run, one) for one in run.questions.values()),
        started_at=run.started_at,
        ended_at=run.ended_at,
        version=run.version,
        diagnosis=_diagnosis(run, catalogue),
    )


def _diagnosis(run: Run, catalogue: Catalogue) -> DiagnosisView | None:
    """Return the latest ranking of suspects among the outputs of the run's steps."""
    for step in reversed(run.all_steps()):
        state = run.steps[step.id]
        agent = catalogue.agents.get(state.agent)
        if agent is None or agent.report_function != RANKING_REPORT:
            continue
        try:
            return _diagnosis_view(Ranking.model_validate(state.output))
        except ValidationError:
            continue
    return None


def _diagnosis_view(ranking: Ranking) -> DiagnosisView:
    return DiagnosisView(
        status=ranking.status,
        confidence=ranking.confidence,
        symptoms=tuple(_claim(reason) for reason in ranking.symptoms),
        suspects=tuple(
            SuspectView(
                title=suspect.title,
                kind=suspect.kind,
                score=suspect.score,
                reasons=tuple(_claim(reason) for reason in suspect.reasons),
            )
            for suspect in ranking.suspects[:MAX_SUSPECTS]
        ),
    )


def _claim(reason: Reason) -> Claim:
    cites = (Cite(reason.evidence_id, reason.quote),) if reason.evidence_id else ()
    return Claim(reason.text, cites)


def run_title(run: Run, catalogue: Catalogue) -> str:
    """Return a short name for the run: its workflow and what it is about."""
    workflow = catalogue.workflows.get(run.plan.workflow)
    name = workflow.title if workflow else run.plan.workflow
    about = ", ".join(str(value) for value in run.goal.inputs.values() if isinstance(value, str))
    return one_line(f"{name}: {about}" if about else name, MAX_TITLE_CHARS)


def headline(run: Run) -> str:
    """Say in one line what is going on: the phase while it runs, the outcome after."""
    return one_line(_headline(run), MAX_HEADLINE_CHARS)


def _headline(run: Run) -> str:
    if run.is_over:
        return run.answer.headline if run.answer else f"Ended: {run.status}"
    if run.stopped_by:
        return f"Stopping, asked by {run.stopped_by}"
    waiting = [_approval_title(run, a) for a in run.approvals.values() if _is_open(a)]
    if waiting:
        return f"Waiting for approval: {_first_of(waiting)}"
    questions = [q.text for q in run.questions.values() if q.is_open]
    if questions:
        return f"Waiting for an answer: {_first_of(questions)}"
    leaves = [step for step in run.all_steps() if not run.steps[step.id].children]
    states = [run.steps[step.id] for step in leaves]
    done = sum(state.status in TERMINAL for state in states)
    running = _titles(run, leaves, Status.RUNNING)
    if running:
        return f"{_joined(running)} ({done} of {len(leaves)} done)"
    queued = _titles(run, leaves, Status.QUEUED)
    if queued:
        return f"Waiting for a free worker: {_joined(queued)} ({done} of {len(leaves)} done)"
    retried = [step.title for step in leaves if run.steps[step.id].retry_at is not None]
    if retried:
        return f"Trying again in a moment: {_joined(retried)} ({done} of {len(leaves)} done)"
    return f"{done} of {len(leaves)} done"


def _is_open(approval: Approval) -> bool:
    return approval.status is ApprovalStatus.PENDING


def _first_of(texts: list[str]) -> str:
    more = len(texts) - 1
    return f"{texts[0]} (and {more} more)" if more else texts[0]


def _titles(run: Run, steps: Iterable[Step], status: Status) -> list[str]:
    """Return the titles of the steps in a status, a fan-out's children under one name."""
    titles = [
        run.plan.step(step.parent).title if step.parent else step.title
        for step in steps
        if run.steps[step.id].status is status
    ]
    return list(dict.fromkeys(titles))


def _joined(titles: list[str]) -> str:
    """Join titles as people do: `Look at metrics, logs and 2 more`."""
    shown = titles[:MAX_STEPS_NAMED]
    more = len(titles) - len(shown)
    said = len(_common_words(shown))
    rest = [" ".join(title.split()[said:]) for title in shown[1:]]
    parts = [shown[0], *(_lower_first(title) for title in rest)]
    if more:
        parts.append(f"{more} more")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _common_words(titles: list[str]) -> list[str]:
    """Return the words that all titles begin with, such as `Look at`, but never a whole title."""
    words = [title.split()[:-1] for title in titles]
    common: list[str] = []
    for column in zip(*words, strict=False):
        if len(set(column)) > 1:
            break
        common.append(column[0])
    return common


def _lower_first(title: str) -> str:
    """Write a title inside a sentence; a word in capitals such as HTTP stays as it is."""
    is_word = len(title) > 1 and title[0].isupper() and title[1].islower()
    return title[0].lower() + title[1:] if is_word else title


def _step_view(run: Run, step: Step, catalogue: Catalogue) -> StepView:
    state = run.steps[step.id]
    agent = catalogue.agents.get(state.agent)
    worker_name = agent.title if agent else (state.agent or step.tool)
    return StepView(
        id=step.id,
        title=step.title,
        worker_name=worker_name or ("approval" if step.approves else ""),
        status=state.status,
        note=one_line(_note(run, step, state), MAX_NOTE_CHARS),
        attempt=1 + state.tries + state.losses,
        queued_at=state.queued_at,
        started_at=state.started_at,
        ended_at=state.ended_at,
        waited_s=state.waited_s,
        waiting_since=state.waiting_since,
        parent=step.parent,
    )


def _note(run: Run, step: Step, state: StepState) -> str:
    match state.status:
        case Status.RUNNING:
            return state.note
        case Status.FAILED:
            return state.error
        case Status.SKIPPED:
            return "not needed" if state.reason.startswith(NOT_NEEDED) else state.reason
        case Status.PENDING if state.retry_at is not None:
            return f"trying again after: {state.error}"
        case Status.WAITING:
            approvals = run.approvals.values()
            is_approval = any(a.step_id == step.id and _is_open(a) for a in approvals)
            return "waiting for approval" if is_approval else "waiting for an answer"
        case _:
            return ""


def approval_view(run: Run, approval: Approval, toolbox: Toolbox) -> ApprovalView:
    """Return what a person decides on, or decided on."""
    dropped = set(approval.dropped)
    return ApprovalView(
        id=approval.id,
        run_id=run.id,
        title=_approval_title(run, approval),
        reason=approval.reason,
        calls=tuple(_call_view(call, toolbox, call.key in dropped) for call in approval.calls),
        revision=approval.revision,
        digest=approval.digest,
        status=approval.status.value,
        approvers=approvers_text(approval.terms),
        quorum=approval.terms.quorum,
        votes=tuple(_vote_text(vote) for vote in approval.votes),
        requested_at=approval.requested_at,
        expires_at=approval.terms.expires_at,
        decided_by=approval.decided_by,
        decided_at=approval.decided_at,
        comment=approval.comment,
        editor=approval.editor_name,
        escalated_at=approval.escalated_at,
        policy=approval.terms.policy,
    )


def _approval_title(run: Run, approval: Approval) -> str:
    titles = [call.title for call in approval.calls if call.title]
    return approval.title or _first_of(titles or [run.step(approval.step_id).title])


def _vote_text(vote: Vote) -> str:
    said = "approved" if vote.is_approval else "denied"
    return f"{vote.person_name} {said}" + (f": {vote.comment}" if vote.comment else "")


def _call_view(call: ProposedCall, toolbox: Toolbox, is_dropped: bool) -> CallView:
    try:
        tool = toolbox[call.tool]
    except UnknownToolError:  # an old run may name a tool that is gone
        return CallView(call.key, call.tool, call.title, call.args, {}, is_dropped=is_dropped)
    return CallView(
        key=call.key,
        tool=call.tool,
        title=call.title or call.tool,
        args=call.args,
        schema=_schema(tool.arguments),
        effect=tool.effect.value,
        is_dropped=is_dropped,
    )


@lru_cache(maxsize=256)
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _question_view(run: Run, question: Question) -> QuestionView:
    return QuestionView(
        id=question.id,
        run_id=run.id,
        text=question.text,
        options=question.options,
        answer=question.answer,
        answered_by=question.answered_by,
        answerers=answerers_text(question),
        expires_at=question.expires_at,
        escalated_at=question.escalated_at,
        is_closed=question.answer is None and not question.is_open,
    )


def answer_view(
    run: Run, evidence: Mapping[str, Evidence], catalogue: Catalogue
) -> AnswerView | None:
    """Return the run's answer with the evidence it cites, in order of first mention."""
    if run.answer is None:
        return None
    cited = [cite.evidence_id for claim in run.answer.claims for cite in claim.cites]
    ids = dict.fromkeys([*cited, *run.answer.charts])
    return AnswerView(
        run_id=run.id,
        title=run_title(run, catalogue),
        answer=run.answer,
        evidence=tuple(evidence[key] for key in ids if key in evidence),
    )


def incident_view(incident: Incident) -> IncidentView:
    """Return an incident and its alerts; what is not listed is counted in a line of its own."""
    states = [incident.alerts[key] for key in incident.shown if key in incident.alerts]
    lines = [_alert_line(state) for state in states]
    lines += [
        Moment(incident.last_at, text, "note")
        for text in (*_counts(incident, len(states)), incident.waiting)
        if text
    ]
    return IncidentView(
        id=incident.id,
        title=incident.title,
        status=incident.status.value,
        severity=incident.severity,
        service=incident.service,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at,
        alerts=tuple(lines),
        folded=incident.folded,
        run_ids=incident.run_ids,
        thread=incident.thread,
        acknowledged_by=incident.acknowledged_by,
    )


def _alert_line(state: AlertState) -> Moment:
    alert = state.alert
    summary = alert.annotations.get("summary") or alert.annotations.get("description", "")
    text = f"{alert.title} ({alert.severity})" + (f": {summary}" if summary else "")
    extras = [f"delivered {state.deliveries} times"] if state.deliveries > 1 else []
    if state.flaps:
        extras.append(f"fired {state.flaps + 1} times")
    if not alert.is_firing:
        extras.insert(0, "resolved")
    if extras:
        text = f"{text} — {', '.join(extras)}"
    return Moment(
        state.starts_at,
        one_line(text, 2 * MAX_NOTE_CHARS),
        "alert" if alert.is_firing else "recovery",
    )


def _counts(incident: Incident, shown: int) -> list[str]:
    """Return a sentence for whatever is not listed, so that nothing is folded silently."""
    more = incident.total - shown
    return [
        sentence
        for number, sentence in (
            (more, f"{more} more alerts are part of this incident."),
            (incident.counted, f"{incident.counted} alerts beyond the limit were only counted."),
            (incident.cut_off, f"The source left {incident.cut_off} alerts out of a delivery."),
            (
                incident.reopened,
                f"It fired again after it was resolved ({incident.reopened} times).",
            ),
        )
        if number > 0
    ]
