"""What may be asked of a run. `jobs.run.decide` turns a command into events or refuses it.

A command of a worker names the attempt it works for; an old one is fenced off.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import JsonValue

from agents.domain import Goal, JsonObject, Moment, Plan, Step
from config.specs import ServiceLevelSpec
from jobs.state import Approval, Person, Question


@dataclass(frozen=True, slots=True)
class StartRun:
    """Begin: the plan's first steps are queued."""

    goal: Goal
    plan: Plan


@dataclass(frozen=True, slots=True)
class StartStep:
    """A worker takes a queued step; `worker` also tells a re-sent command from a rival's."""

    step_id: str
    attempt: int
    worker: str


@dataclass(frozen=True, slots=True)
class NoteStep:
    """Say what the step is doing."""

    step_id: str
    attempt: int
    text: str


@dataclass(frozen=True, slots=True)
class FinishStep:
    """The step has its output; `remark` says what people should know of how it came about."""

    step_id: str
    attempt: int
    output: JsonValue
    remark: str = ""


@dataclass(frozen=True, slots=True)
class FailStep:
    """The step failed; `may_retry` is False when trying again cannot help."""

    step_id: str
    attempt: int
    error: str
    may_retry: bool = True


@dataclass(frozen=True, slots=True)
class SkipStep:
    """The step found that it must not or need not act (a person denied it)."""

    step_id: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class LoseStep:
    """The lease of this attempt ran out or its worker died."""

    step_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class RequeueStep:
    """What the step decided no longer fits the run: it looks once more; nobody died."""

    step_id: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class RevisePlan:
    """A supervising step plans, plans anew, or lets its plan go on (nothing added or dropped).

    `steps` carry full ids (`<step_id>.<name>`), also in needs, after and approves. A change needs
    its `answer` said again; a plan that goes on keeps the one it has. `seen` and `heard_at` say
    what the supervisor knew; see `jobs.state.SubPlan`. `max_wall_s` and `service_levels` are those
    of the workflow that it chose.
    """

    step_id: str
    attempt: int
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


@dataclass(frozen=True, slots=True)
class HandOff:
    """The step's agent passes its conversation to another agent."""

    step_id: str
    attempt: int
    to: str
    reason: str


@dataclass(frozen=True, slots=True)
class NoteTurn:
    """A model call was made; sent once more after a takeover it counts once."""

    step_id: str
    attempt: int
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


@dataclass(frozen=True, slots=True)
class PostMessage:
    """Put a message into the run's thread, once for each key."""

    key: str
    step_id: str
    text: str
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestApproval:
    """The step cannot go on before a person decides."""

    step_id: str
    attempt: int
    approval: Approval


@dataclass(frozen=True, slots=True)
class AskQuestion:
    """The step cannot go on before a person answers."""

    step_id: str
    attempt: int
    question: Question


@dataclass(frozen=True, slots=True)
class IntendCall:
    """A writing call is about to run; refused unless policy allowed it or it is approved.

    `wanted` is what was asked for, when an approver has edited it into `args`.
    """

    step_id: str
    attempt: int
    key: str
    tool: str
    args: JsonObject
    approval_id: str = ""
    wanted: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class FinishCall:
    """A writing call ended."""

    step_id: str
    attempt: int
    key: str
    is_success: bool
    evidence_id: str = ""
    result: JsonValue = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Decide:
    """A person approves or denies what they saw: `revision` and `digest` say what that was."""

    approval_id: str
    person: Person
    is_approval: bool
    revision: int
    digest: str
    comment: str = ""
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EditCall:
    """An approver changes a call's arguments (already checked against the tool's schema)."""

    approval_id: str
    person: Person
    revision: int
    call_key: str
    args: JsonObject


@dataclass(frozen=True, slots=True)
class NoteRefusal:
    """Keep a click that did not count for the audit (a bounded number of them)."""

    approval_id: str
    person: Person
    outcome: str


@dataclass(frozen=True, slots=True)
class AnswerQuestion:
    """A person answers a question."""

    question_id: str
    person: Person
    answer: str


@dataclass(frozen=True, slots=True)
class StopRun:
    """End the run early."""

    person: Person
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RateAnswer:
    """A person says whether the run's answer helped; what they said last counts."""

    person: Person
    is_helpful: bool


@dataclass(frozen=True, slots=True)
class Signal:
    """Tell the run what happened outside."""

    moment: Moment


class TimerKind(StrEnum):
    """What a due timer is about."""

    RETRY = "retry"
    EXPIRY = "expiry"
    ESCALATION = "escalation"
    WALL = "wall"
    SERVICE_LEVEL = "service_level"


@dataclass(frozen=True, slots=True)
class FireTimer:
    """A timer is due; harmless when it no longer applies."""

    kind: TimerKind
    key: str


Command = (
    StartRun
    | StartStep
    | NoteStep
    | FinishStep
    | FailStep
    | SkipStep
    | RevisePlan
    | HandOff
    | NoteTurn
    | PostMessage
    | LoseStep
    | RequeueStep
    | RequestApproval
    | AskQuestion
    | IntendCall
    | FinishCall
    | Decide
    | EditCall
    | NoteRefusal
    | AnswerQuestion
    | StopRun
    | RateAnswer
    | Signal
    | FireTimer
)


class Refusal(StrEnum):
    """Why a command did not change the run."""

    STALE = "stale"
    RUN_OVER = "run_over"
    UNKNOWN = "unknown"
    ALREADY_DECIDED = "already_decided"
    ALREADY_VOTED = "already_voted"
    STALE_REVISION = "stale_revision"
    EXPIRED = "expired"
    NOT_ALLOWED = "not_allowed"
    NOT_APPROVED = "not_approved"
    ALREADY_DONE = "already_done"
    INVALID = "invalid"


class Refused(Exception):
    """The command does not apply; `sentence` is fit to show to whoever sent it."""

    def __init__(self, refusal: Refusal, sentence: str) -> None:
        self.refusal = refusal
        self.sentence = sentence
        super().__init__(sentence)
