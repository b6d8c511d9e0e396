"""From runs and incidents to what platforms show: meaning, not markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError

from agents.domain import Cite, Claim, Evidence, Moment, Step
from agents.findings import Ranking, Reason
from agents.tool import Toolbox, UnknownToolError
from agents.wording import one_line
from bot.phases import approval_title, headline, is_open, is_planner, phase, root_planner
from bot.views import (
    AnswerView,
    ApprovalView,
    CallView,
    DiagnosisView,
    HandoffView,
    IncidentView,
    LateView,
    QuestionView,
    RevisionView,
    RunView,
    SpentView,
    StepView,
    SuspectView,
)
from config.contents import Catalogue
from config.specs import PERSON
from jobs.approvals import approvers_text
from jobs.incidents import AlertState, Incident
from jobs.questions import answerers_text
from jobs.state import (
    Approval,
    Hop,
    Lateness,
    ProposedCall,
    Question,
    Revision,
    Run,
    Status,
    StepState,
    Terms,
    Vote,
)

MAX_TITLE_CHARS = 80
MAX_GOAL_TITLE_CHARS = 120
MAX_NOTE_CHARS = 200
MAX_REASON_CHARS = 500
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

    def agent_title(self, name: str) -> str:
        """Return an agent's title; of one that the catalogue does not know, its name."""
        return agent_title(name, self._catalogue)

    def has_supervisor(self, run: Run) -> bool:
        """Say whether somebody plans the run as it goes, and hears what people write."""
        return any(is_planner(run, step.id, self._catalogue.agents) for step in run.plan.steps)

    def workflows(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Return each workflow's title, description and examples."""
        flows = self._catalogue.workflows.values()
        return tuple((flow.title, flow.description, flow.match.examples) for flow in flows)

    def examples(self) -> tuple[str, ...]:
        """Return goals that people may type, as the workflows give them."""
        flows = self._catalogue.workflows.values()
        return tuple(dict.fromkeys(text for flow in flows for text in flow.match.examples))


def run_view(run: Run, catalogue: Catalogue, toolbox: Toolbox) -> RunView:
    """Return the live card of a run."""
    root = root_planner(run, catalogue.agents)
    shown = [step for step in run.all_steps() if step != root]
    return RunView(
        run_id=run.id,
        title=run_title(run, catalogue),
        goal=run.goal.text,
        status=run.status,
        headline=headline(run, catalogue.agents),
        requester=run.goal.requester_name,
        workflow=workflow_of(run),
        steps=_step_views(run, shown, catalogue),
        approvals=tuple(approval_view(run, one, toolbox) for one in run.approvals.values()),
        questions=tuple(_question_view(run, one, catalogue) for one in run.questions.values()),
        started_at=run.started_at,
        ended_at=run.ended_at,
        version=run.version,
        diagnosis=_diagnosis(run, catalogue),
        planner=_step_view(run, root, catalogue) if root is not None else None,
        revisions=_revision_views(run, catalogue),
        spent=spent_view(run),
        late=_late_view(run.late) if run.late is not None else None,
        thread=run.goal.thread,
    )


def workflow_of(run: Run) -> str:
    """Return the workflow that the run follows: its plan's, or the one its supervisor chose."""
    if run.plan.workflow:
        return run.plan.workflow
    subplans = [run.steps[step.id].subplan for step in run.plan.steps]
    return next((one.workflow for one in subplans if one is not None and one.workflow), "")


def spent_view(run: Run) -> SpentView | None:
    """Return what the run's model calls used; None when there were none."""
    spent = run.spent
    if not spent.calls:
        return None
    tokens = spent.input_tokens + spent.output_tokens
    calls = "1 model call" if spent.calls == 1 else f"{spent.calls:,} model calls"
    return SpentView(
        text=f"{money(spent.cost_usd, spent.has_unknown_cost)}, {tokens:,} tokens, {calls}",
        calls=spent.calls,
        input_tokens=spent.input_tokens,
        cached_tokens=spent.cached_tokens,
        output_tokens=spent.output_tokens,
        cost_usd=spent.cost_usd,
        has_unknown_cost=spent.has_unknown_cost,
        models=run.models,
    )


def money(cost_usd: float, has_unknown: bool) -> str:
    """Return a cost in dollars; what has no known price is said, not left out."""
    if has_unknown and cost_usd == 0:
        return "cost unknown"
    digits = 4 if cost_usd < 1 else 2
    known = f"${cost_usd:,.{digits}f}"
    return f"{known} and more (some prices are unknown)" if has_unknown else known


def _revision_views(run: Run, catalogue: Catalogue) -> tuple[RevisionView, ...]:
    """Return how the plans changed, those of each planner counted from 1."""
    root = root_planner(run, catalogue.agents)
    counts: Counter[str] = Counter()
    views: list[RevisionView] = []
    for one in run.revisions:
        counts[one.step_id] += 1
        is_own = root is not None and one.step_id == root.id
        planner = "" if is_own else run.step(one.step_id).title
        views.append(_revision_view(run, one, catalogue, counts[one.step_id], planner))
    return tuple(views)


def _revision_view(
    run: Run, revision: Revision, catalogue: Catalogue, number: int, planner: str
) -> RevisionView:
    chosen = catalogue.workflows.get(revision.workflow)
    return RevisionView(
        number=number,
        reason=one_line(revision.reason, MAX_REASON_CHARS),
        at=revision.at,
        planner=planner,
        workflow=chosen.title if chosen else revision.workflow,
        added=tuple(run.step(key).title for key in revision.added),
        dropped=tuple(run.step(key).title for key in revision.dropped),
    )


def _late_view(late: Lateness) -> LateView:
    is_known = bool(late.users or late.groups)
    people = approvers_text(Terms(users=late.users, groups=late.groups)) if is_known else ""
    return LateView(at=late.at, within_s=late.within_s, people=people)


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
    """Return a short name for the run: its workflow and what it is about, else its goal."""
    if not run.plan.workflow:
        return one_line(run.goal.text, MAX_GOAL_TITLE_CHARS)
    workflow = catalogue.workflows.get(run.plan.workflow)
    name = workflow.title if workflow else run.plan.workflow
    about = ", ".join(str(value) for value in run.goal.inputs.values() if isinstance(value, str))
    return one_line(f"{name}: {about}" if about else name, MAX_TITLE_CHARS)


def _step_views(run: Run, shown: list[Step], catalogue: Catalogue) -> tuple[StepView, ...]:
    """Return the steps as shown, each one inside the step that planned it or fanned it out."""
    depths: dict[str, int] = {}
    views: list[StepView] = []
    for step in shown:
        depths[step.id] = depths[step.parent] + 1 if step.parent in depths else 0
        views.append(_step_view(run, step, catalogue, depths[step.id]))
    return tuple(views)


def _step_view(run: Run, step: Step, catalogue: Catalogue, depth: int = 0) -> StepView:
    state = run.steps[step.id]
    return StepView(
        id=step.id,
        title=step.title or step.id,
        worker_name=worker_name(run, step, catalogue),
        status=state.status,
        note=one_line(_note(run, step, state), MAX_NOTE_CHARS),
        attempt=1 + state.tries + state.losses,
        queued_at=state.queued_at,
        started_at=state.started_at,
        ended_at=state.ended_at,
        waited_s=state.waited_s,
        waiting_since=state.waiting_since,
        parent=step.parent,
        depth=depth,
        needs=step.needs,
        handoffs=tuple(_handoff_view(hop, catalogue) for hop in state.hops),
        is_planner=is_planner(run, step.id, catalogue.agents),
    )


def worker_name(run: Run, step: Step, catalogue: Catalogue) -> str:
    """Return who does a step: the agent's title, or the tool; a gate is an approval."""
    state = run.steps[step.id]
    agent = catalogue.agents.get(state.agent)
    name = agent.title if agent else (state.agent or step.tool)
    return name or ("approval" if step.approves else "")


def agent_title(name: str, catalogue: Catalogue) -> str:
    """Return an agent's title; of one that the catalogue does not know, its name."""
    agent = catalogue.agents.get(name)
    return "a person" if name == PERSON else agent.title if agent else name


def _handoff_view(hop: Hop, catalogue: Catalogue) -> HandoffView:
    return HandoffView(
        source=agent_title(hop.source, catalogue),
        to=agent_title(hop.to, catalogue),
        reason=one_line(hop.reason, MAX_NOTE_CHARS),
        at=hop.at,
    )


def _note(run: Run, step: Step, state: StepState) -> str:
    match state.status:
        case Status.RUNNING | Status.QUEUED if state.subplan is not None:
            return _planner_note(run, step, state)
        case Status.RUNNING:
            return state.note
        case Status.SUCCEEDED:
            return state.reason  # What people should know of how its output came about.
        case Status.FAILED:
            return state.error
        case Status.SKIPPED:
            return "not needed" if state.reason.startswith(NOT_NEEDED) else state.reason
        case Status.PENDING if state.retry_at is not None:
            return f"trying again after: {state.error}"
        case Status.WAITING:
            approvals = run.approvals.values()
            is_approval = any(a.step_id == step.id and is_open(a) for a in approvals)
            return "waiting for approval" if is_approval else "waiting for an answer"
        case _:
            return ""


def _planner_note(run: Run, step: Step, state: StepState) -> str:
    """Say what a supervisor does with its plan; while others work, why the plan is as it is."""
    if doing := phase(run, step.id):
        return state.note or doing
    mine = [one for one in run.revisions if one.step_id == step.id]
    if not mine:
        return ""
    latest = mine[-1]
    return f"Plan {len(mine)}: {latest.reason}" if len(mine) > 1 else latest.reason


def approval_view(run: Run, approval: Approval, toolbox: Toolbox) -> ApprovalView:
    """Return what a person decides on, or decided on."""
    dropped = set(approval.dropped)
    return ApprovalView(
        id=approval.id,
        run_id=run.id,
        title=approval_title(run, approval),
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


def _question_view(run: Run, question: Question, catalogue: Catalogue) -> QuestionView:
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
        kind=question.kind or ("outcome" if question.call_key else ""),
        asked_by=worker_name(run, run.step(question.step_id), catalogue),
        asked_at=question.asked_at,
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
        spent=spent_view(run),
        took_s=None if run.ended_at is None else max(0.0, run.ended_at - run.started_at),
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
        taken_by=incident.taken_by,
        muted_until=incident.muted_until or None,
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
