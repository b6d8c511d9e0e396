"""What a platform shows, as values: meaning without markup. Platforms render them natively."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from agents.domain import Answer, Claim, Evidence, Moment, ThreadRef
from jobs.state import Status


@dataclass(frozen=True, slots=True)
class HandoffView:
    """An agent passed a step's conversation to another, by their titles, and why."""

    source: str
    to: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class StepView:
    """One line of the card. Times are Unix seconds; `waited_s` is time spent waiting for people.

    A step of a sub-plan or of a fan-out names its `parent`; `depth` says how far in it stands.
    """

    id: str
    title: str
    worker_name: str
    """The agent or tool that does it."""
    status: Status
    note: str = ""
    attempt: int = 1
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    waited_s: float = 0.0
    waiting_since: float | None = None
    parent: str = ""
    depth: int = 0
    needs: tuple[str, ...] = ()
    handoffs: tuple[HandoffView, ...] = ()
    is_planner: bool = False
    """Whether it plans steps for others instead of doing something itself."""


@dataclass(frozen=True, slots=True)
class CallView:
    """A proposed call of an approval. `schema` is the JSON Schema of its arguments."""

    key: str
    tool: str
    title: str
    args: dict[str, JsonValue]
    schema: dict[str, Any]
    effect: str = "writes"
    is_dropped: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """What a person decides on. A click sends back `revision` and `digest`."""

    id: str
    run_id: str
    title: str
    reason: str
    calls: tuple[CallView, ...]
    revision: int
    digest: str
    status: str
    approvers: str
    quorum: int
    votes: tuple[str, ...]
    requested_at: float
    expires_at: float | None = None
    decided_by: str = ""
    decided_at: float | None = None
    comment: str = ""
    editor: str = ""
    escalated_at: float | None = None
    policy: str = ""


@dataclass(frozen=True, slots=True)
class QuestionView:
    """What a step asks. `answerers` says who may answer; empty: whoever may see the run.

    `kind` says what it is about: outcome, input, budget, plan or review; empty when nobody said.
    `asked_by` is the agent or tool that asks.
    """

    id: str
    run_id: str
    text: str
    options: tuple[str, ...]
    answer: str | None = None
    answered_by: str = ""
    answerers: str = ""
    expires_at: float | None = None
    escalated_at: float | None = None
    is_closed: bool = False
    """Nobody answered, and nobody may any more."""
    kind: str = ""
    asked_by: str = ""
    asked_at: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it still waits for an answer."""
        return self.answer is None and not self.is_closed


@dataclass(frozen=True, slots=True)
class SuspectView:
    """A possible cause that the run found: its score from 0 to 1, and reasons with their cites."""

    title: str
    kind: str
    score: float
    reasons: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class DiagnosisView:
    """What the run has found out so far: shown before anything is proposed."""

    status: str
    """cause_found, inconclusive or healthy."""
    confidence: float
    symptoms: tuple[Claim, ...]
    suspects: tuple[SuspectView, ...]
    """Most likely first."""


@dataclass(frozen=True, slots=True)
class SpentView:
    """What model calls used; `text` says it in one line. `cost_usd` is the part with a price."""

    text: str
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: float
    has_unknown_cost: bool
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RevisionView:
    """One version of a plan and its reason; what it added and dropped, by title.

    `planner` is the step that planned, when it is not the run's own plan.
    """

    number: int
    reason: str
    at: float
    planner: str = ""
    workflow: str = ""
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LateView:
    """The run missed its service level: since when, which, and who may decide from then on."""

    at: float
    within_s: float
    people: str


@dataclass(frozen=True, slots=True)
class RunView:
    """The live card of a run.

    A run that a supervisor plans has its line in `planner`; `steps` are those that it planned.
    """

    run_id: str
    title: str
    goal: str
    status: Status
    headline: str
    """What is going on, in one line: the phase while it runs, the outcome after."""
    requester: str
    workflow: str
    steps: tuple[StepView, ...]
    approvals: tuple[ApprovalView, ...]
    questions: tuple[QuestionView, ...]
    started_at: float
    ended_at: float | None
    version: int
    diagnosis: DiagnosisView | None = None
    planner: StepView | None = None
    revisions: tuple[RevisionView, ...] = ()
    spent: SpentView | None = None
    """None while no model was called."""
    late: LateView | None = None
    thread: ThreadRef | None = None


@dataclass(frozen=True, slots=True)
class AnswerView:
    """A run's answer with what its claims rest on."""

    run_id: str
    title: str
    answer: Answer
    evidence: tuple[Evidence, ...]
    """The cited evidence and the charts, in order of first mention."""
    spent: SpentView | None = None
    """None when no model was called."""
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident and its alerts, one line each; what was folded is counted."""

    id: str
    title: str
    status: str
    severity: str
    service: str
    opened_at: float
    resolved_at: float | None
    alerts: tuple[Moment, ...]
    folded: int
    run_ids: tuple[str, ...]
    thread: ThreadRef | None = None
    acknowledged_by: str = ""
    """Who has seen it, while it is open."""
    taken_by: str = ""
    """Who works on it themselves, while it is open."""
    muted_until: float | None = None
    """Until when nothing more is said of its alerts."""


@dataclass(frozen=True, slots=True)
class NoteView:
    """A short message; `tone` is info, warning or error. `author` is the person who wrote it."""

    text: str
    tone: str = "info"
    mentions: tuple[str, ...] = ()
    author: str = ""


@dataclass(frozen=True, slots=True)
class HomeView:
    """What concerns one person, as of `at`: a page of their own, no message in a thread.

    `approvals` and `questions` are those that the person may decide or answer, oldest first;
    those for others are counted. Runs go on, incidents are open, both newest first.
    """

    person: str
    at: float
    approvals: tuple[ApprovalView, ...] = ()
    questions: tuple[QuestionView, ...] = ()
    runs: tuple[RunView, ...] = ()
    incidents: tuple[IncidentView, ...] = ()
    waiting_for_others: int = 0


View = RunView | AnswerView | IncidentView | NoteView
