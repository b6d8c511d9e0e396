"""What a platform shows, as values: meaning without markup. Platforms render them natively."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from agents.domain import Answer, Claim, Evidence, Moment, ThreadRef
from jobs.state import Status


@dataclass(frozen=True, slots=True)
class StepView:
    """One line of the card. Times are Unix seconds; `waited_s` is time spent waiting for people."""

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
    """What a step asks. `answerers` says who may answer; empty: whoever may see the run."""

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
class RunView:
    """The live card of a run."""

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


@dataclass(frozen=True, slots=True)
class AnswerView:
    """A run's answer with what its claims rest on."""

    run_id: str
    title: str
    answer: Answer
    evidence: tuple[Evidence, ...]
    """The cited evidence and the charts, in order of first mention."""


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


@dataclass(frozen=True, slots=True)
class NoteView:
    """A short message; `tone` is info, warning or error."""

    text: str
    tone: str = "info"
    mentions: tuple[str, ...] = ()


View = RunView | AnswerView | IncidentView | NoteView
