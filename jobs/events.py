"""Facts about a run, past tense. The event log is the only truth: `jobs.run.apply` reads it.

Stored as JSON with the event's `type`; see docs/wire-formats.md. Fields are stable, new ones
have defaults. `at` is Unix seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from agents.domain import Answer, Goal, JsonObject, Moment, Plan, Step
from config.specs import ServiceLevelSpec
from jobs.state import Approval, Question, Status


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A goal got a plan and a run."""

    at: float
    goal: Goal
    plan: Plan
    type: Literal["run_started"] = "run_started"


@dataclass(frozen=True, slots=True)
class StepQueued:
    """A ticket for this attempt was written. `agent` differs from the plan's after a fallback."""

    at: float
    step_id: str
    attempt: int
    agent: str = ""
    type: Literal["step_queued"] = "step_queued"


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A worker took the step."""

    at: float
    step_id: str
    attempt: int
    worker: str
    type: Literal["step_started"] = "step_started"


@dataclass(frozen=True, slots=True)
class StepNoted:
    """The step said what it is doing."""

    at: float
    step_id: str
    text: str
    type: Literal["step_noted"] = "step_noted"


@dataclass(frozen=True, slots=True)
class StepExpanded:
    """A fan-out found its list; each item has a child step."""

    at: float
    step_id: str
    children: tuple[Step, ...]
    type: Literal["step_expanded"] = "step_expanded"


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """The step gave its output; `remark` says what people should know of how it came about."""

    at: float
    step_id: str
    output: JsonValue = None
    remark: str = ""
    type: Literal["step_succeeded"] = "step_succeeded"


@dataclass(frozen=True, slots=True)
class StepRetried:
    """A try failed; the next begins at `retry_at`."""

    at: float
    step_id: str
    error: str
    retry_at: float
    type: Literal["step_retried"] = "step_retried"


@dataclass(frozen=True, slots=True)
class StepLost:
    """The worker's lease ran out; the step goes to another."""

    at: float
    step_id: str
    attempt: int
    worker: str
    type: Literal["step_lost"] = "step_lost"


@dataclass(frozen=True, slots=True)
class StepRequeued:
    """What the step decided came too late for how the run was by then: it looks once more."""

    at: float
    step_id: str
    attempt: int
    reason: str
    type: Literal["step_requeued"] = "step_requeued"


@dataclass(frozen=True, slots=True)
class StepFailed:
    """The step gave up. A fan-out keeps what its children found in `output`."""

    at: float
    step_id: str
    error: str
    output: JsonValue = None
    type: Literal["step_failed"] = "step_failed"


@dataclass(frozen=True, slots=True)
class StepSkipped:
    """The step was not needed, or what it needs did not succeed."""

    at: float
    step_id: str
    reason: str
    type: Literal["step_skipped"] = "step_skipped"


@dataclass(frozen=True, slots=True)
class StepCancelled:
    """The run was stopped before the step ended."""

    at: float
    step_id: str
    type: Literal["step_cancelled"] = "step_cancelled"


@dataclass(frozen=True, slots=True)
class PlanRevised:
    """A supervising step planned: `steps` are new or take the place of steps not yet begun.

    Each revision stands in the log; what has begun is never touched. See `jobs.state.SubPlan`.
    """

    at: float
    step_id: str
    revision: int
    reason: str
    steps: tuple[Step, ...] = ()
    dropped: tuple[str, ...] = ()
    answer: str = ""
    workflow: str = ""
    inputs: JsonObject | None = None
    seen: tuple[str, ...] = ()
    heard_at: float = 0.0
    max_wall_s: float | None = None
    service_levels: tuple[ServiceLevelSpec, ...] = ()
    type: Literal["plan_revised"] = "plan_revised"


@dataclass(frozen=True, slots=True)
class StepHandedOff:
    """An agent passed the step's conversation to another agent."""

    at: float
    step_id: str
    source: str
    to: str
    reason: str
    type: Literal["step_handed_off"] = "step_handed_off"


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """A model call made for the step was answered; `key` is unique in the step.

    One without a reply (cut off or failed) is counted in the budgets alone: what it cost nobody
    heard, and its worker may no longer own the step.
    """

    at: float
    step_id: str
    key: str
    agent: str
    model: str
    purpose: str = "turn"
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    duration_s: float = 0.0
    note: str = ""
    type: Literal["turn_taken"] = "turn_taken"


@dataclass(frozen=True, slots=True)
class MessagePosted:
    """A step put a message into the run's thread; the bot shows it."""

    at: float
    key: str
    step_id: str
    text: str
    mentions: tuple[str, ...] = ()
    type: Literal["message_posted"] = "message_posted"


@dataclass(frozen=True, slots=True)
class ServiceLevelMissed:
    """The run took longer than its service level allows: others are pinged and may decide."""

    at: float
    within_s: float
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    type: Literal["service_level_missed"] = "service_level_missed"


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """A step waits for a decision; no worker is held."""

    at: float
    approval: Approval
    type: Literal["approval_requested"] = "approval_requested"


@dataclass(frozen=True, slots=True)
class ApprovalVoted:
    """An approver said yes or no; it counted."""

    at: float
    approval_id: str
    revision: int
    person_id: str
    person_name: str
    is_approval: bool
    comment: str = ""
    dropped: tuple[str, ...] = ()
    type: Literal["approval_voted"] = "approval_voted"


@dataclass(frozen=True, slots=True)
class ApprovalEdited:
    """An approver changed arguments: a new revision, without votes."""

    at: float
    approval_id: str
    revision: int
    call_key: str
    args: JsonObject
    person_id: str
    person_name: str
    type: Literal["approval_edited"] = "approval_edited"


@dataclass(frozen=True, slots=True)
class ApprovalDecided:
    """The approval is approved, denied, expired or cancelled, for good."""

    at: float
    approval_id: str
    status: str
    by: str = ""
    comment: str = ""
    type: Literal["approval_decided"] = "approval_decided"


@dataclass(frozen=True, slots=True)
class ApprovalEscalated:
    """Nobody decided in time; others were pinged."""

    at: float
    approval_id: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    type: Literal["approval_escalated"] = "approval_escalated"


@dataclass(frozen=True, slots=True)
class ApprovalRefused:
    """A click that did not count, kept for the audit."""

    at: float
    approval_id: str
    person_id: str
    person_name: str
    outcome: str
    type: Literal["approval_refused"] = "approval_refused"


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """A step waits for a person's answer; no worker is held."""

    at: float
    question: Question
    type: Literal["question_asked"] = "question_asked"


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """A person answered; the step goes on."""

    at: float
    question_id: str
    answer: str
    by: str
    type: Literal["question_answered"] = "question_answered"


@dataclass(frozen=True, slots=True)
class QuestionExpired:
    """Nobody answered in time; the step fails."""

    at: float
    question_id: str
    type: Literal["question_expired"] = "question_expired"


@dataclass(frozen=True, slots=True)
class QuestionEscalated:
    """Nobody answered for a while; others were pinged."""

    at: float
    question_id: str
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    type: Literal["question_escalated"] = "question_escalated"


@dataclass(frozen=True, slots=True)
class CallIntended:
    """A writing call is about to run; `wanted` is what an approver has edited into `args`."""

    at: float
    key: str
    step_id: str
    tool: str
    args: JsonObject
    digest: str
    approval_id: str = ""
    wanted: JsonObject | None = None
    type: Literal["call_intended"] = "call_intended"


@dataclass(frozen=True, slots=True)
class CallFinished:
    """A writing call ended, and its outcome is known."""

    at: float
    key: str
    is_success: bool
    evidence_id: str = ""
    result: JsonValue = None
    error: str = ""
    type: Literal["call_finished"] = "call_finished"


@dataclass(frozen=True, slots=True)
class SignalReceived:
    """Something outside happened that the run should know, such as the alert resolving."""

    at: float
    moment: Moment
    type: Literal["signal_received"] = "signal_received"


@dataclass(frozen=True, slots=True)
class RunStopped:
    """A person or a limit ended the run early."""

    at: float
    by: str
    reason: str = ""
    type: Literal["run_stopped"] = "run_stopped"


@dataclass(frozen=True, slots=True)
class RunEnded:
    """Every step has ended; this is the answer."""

    at: float
    status: Status
    answer: Answer
    type: Literal["run_ended"] = "run_ended"


@dataclass(frozen=True, slots=True)
class AnswerRated:
    """A person said whether the answer helped them."""

    at: float
    person_id: str
    person_name: str
    is_helpful: bool
    type: Literal["answer_rated"] = "answer_rated"


Event = (
    RunStarted
    | StepQueued
    | StepStarted
    | StepNoted
    | StepExpanded
    | PlanRevised
    | StepHandedOff
    | TurnTaken
    | MessagePosted
    | ServiceLevelMissed
    | StepSucceeded
    | StepRetried
    | StepLost
    | StepRequeued
    | StepFailed
    | StepSkipped
    | StepCancelled
    | ApprovalRequested
    | ApprovalVoted
    | ApprovalEdited
    | ApprovalDecided
    | ApprovalEscalated
    | ApprovalRefused
    | QuestionAsked
    | QuestionAnswered
    | QuestionExpired
    | QuestionEscalated
    | CallIntended
    | CallFinished
    | SignalReceived
    | RunStopped
    | RunEnded
    | AnswerRated
)

EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])
