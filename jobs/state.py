"""The run as a value: what is known of it after its events so far.

Everything here is stored in Redis as JSON: fields are stable, and each new one has a default.
Times are Unix seconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import JsonValue, TypeAdapter

from agents.domain import Answer, Goal, JsonObject, Moment, Plan, Step
from config.specs import ServiceLevelSpec


class Status(StrEnum):
    """Where a step or a run stands."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.SKIPPED, Status.CANCELLED})


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts: an id that names the platform (`console:alice`), and their groups."""

    id: str
    name: str
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Spent:
    """What model calls used. `cost_usd` is what is known of the price; see `has_unknown_cost`."""

    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    has_unknown_cost: bool = False

    def __add__(self, other: Spent) -> Spent:
        """Return both together."""
        return Spent(
            self.calls + other.calls,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
            self.has_unknown_cost or other.has_unknown_cost,
        )


@dataclass(frozen=True, slots=True)
class Hop:
    """An agent passed the step's conversation to another, and why."""

    source: str
    to: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class SubPlan:
    """What a supervising step has planned: its children in `StepState.children`.

    `answer` is the child whose output becomes the step's own without another look; `inputs` are
    what expressions of the children read as `goal.inputs` when a workflow was chosen. `seen` are
    the ended children, and `heard_at` the time of the last message, that the supervisor knew of
    when it last looked; `looks` counts its looks. A chosen workflow is held to its own limits:
    `max_wall_s` and `service_levels` count from `began_at`, when it was planned.
    """

    revision: int = 1
    reason: str = ""
    answer: str = ""
    workflow: str = ""
    inputs: JsonObject | None = None
    seen: tuple[str, ...] = ()
    heard_at: float = 0.0
    looks: int = 1
    began_at: float = 0.0
    max_wall_s: float | None = None
    service_levels: tuple[ServiceLevelSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class StepState:
    """One step's progress. `attempt` is the fence: a worker with an older one is ignored."""

    status: Status = Status.PENDING
    attempt: int = 0
    tries: int = 0
    losses: int = 0
    agent: str = ""
    output: JsonValue = None
    error: str = ""
    reason: str = ""
    note: str = ""
    worker: str = ""
    queued_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    waiting_since: float | None = None
    waited_s: float = 0.0
    retry_at: float | None = None
    children: tuple[str, ...] = ()
    subplan: SubPlan | None = None
    hops: tuple[Hop, ...] = ()
    requeues: int = 0
    """How many of its decisions in a row came too late."""
    turns: tuple[str, ...] = ()
    """Keys of the model calls that were made for it, so that none is counted twice."""
    spent: Spent = Spent()

    @property
    def is_waiting_for_children(self) -> bool:
        """Whether it has children and no worker: they work, it does not."""
        return bool(self.children) and self.status is Status.RUNNING and not self.worker


class ApprovalStatus(StrEnum):
    """Where an approval stands."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """A tool call that waits for a person; `key` is `<step>/<call>` and names it in its run.

    `wanted` is what was asked for first, when an approver has edited it.
    """

    key: str
    tool: str
    args: JsonObject
    title: str = ""
    wanted: JsonObject | None = None

    def is_for(self, tool: str, args: JsonObject) -> bool:
        """Whether this is what that call asks for, as it is now or as it was wanted first."""
        return self.tool == tool and args in (self.args, self.wanted)


@dataclass(frozen=True, slots=True)
class Terms:
    """Who may decide and until when, as the policy said when the approval was asked."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    quorum: int = 1
    requester_may_approve: bool = False
    editor_may_approve: bool = True
    expires_at: float | None = None
    on_expiry: str = "deny"
    escalate_at: float | None = None
    escalate_users: tuple[str, ...] = ()
    escalate_groups: tuple[str, ...] = ()
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's yes or no to one revision of an approval."""

    person_id: str
    person_name: str
    is_approval: bool
    at: float
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's decision that calls (or a whole step) wait for.

    A vote counts for one `revision`; editing makes the next one, without votes.
    """

    id: str
    step_id: str
    calls: tuple[ProposedCall, ...]
    terms: Terms
    requested_at: float
    title: str = ""
    reason: str = ""
    revision: int = 1
    status: ApprovalStatus = ApprovalStatus.PENDING
    votes: tuple[Vote, ...] = ()
    dropped: tuple[str, ...] = ()
    editor_id: str = ""
    editor_name: str = ""
    decided_at: float | None = None
    decided_by: str = ""
    comment: str = ""
    escalated_at: float | None = None
    refusals: int = 0

    @property
    def digest(self) -> str:
        """The digest of what would run; a click carries it, and it must still be this one."""
        return digest([[call.key, call.tool, call.args] for call in self.calls])


@dataclass(frozen=True, slots=True)
class Question:
    """What a step asks a person; `call_key` when it is about a write of unknown outcome.

    `kind` says what it is about: `outcome`, `input` (an agent wants to know something), `budget`,
    `plan` (may it start?) or `review` (is this output good enough?); empty in old runs.
    `about` names the budget.

    `users` and `groups` may answer; when both are empty, anybody who may see the run. Nobody may
    any more once it has an answer, has expired or was cancelled.
    """

    id: str
    step_id: str
    text: str
    options: tuple[str, ...] = ()
    call_key: str = ""
    asked_at: float = 0.0
    answer: str | None = None
    answered_by: str = ""
    answered_at: float | None = None
    is_cancelled: bool = False
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    expires_at: float | None = None
    expired_at: float | None = None
    escalate_at: float | None = None
    escalate_users: tuple[str, ...] = ()
    escalate_groups: tuple[str, ...] = ()
    escalated_at: float | None = None
    kind: str = ""
    about: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it still waits for an answer."""
        return self.answer is None and self.expired_at is None and not self.is_cancelled

    @property
    def answerers(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The users and groups who may answer by now; both empty: anybody who may see the run."""
        is_limited = bool(self.users or self.groups)
        if not is_limited or self.escalated_at is None:
            return self.users, self.groups
        return (*self.users, *self.escalate_users), (*self.groups, *self.escalate_groups)


class CallStatus(StrEnum):
    """Where a writing call stands. `retry`: a person said that it may run again."""

    INTENDED = "intended"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Call:
    """A writing tool call, recorded as intended before it runs.

    `result` is what the tool returned, so that a takeover need not run it again. `wanted` is what
    was asked for, when an approver has edited it into `args`.
    """

    key: str
    step_id: str
    tool: str
    args: JsonObject
    digest: str
    status: CallStatus
    intended_at: float
    approval_id: str = ""
    ended_at: float | None = None
    evidence_id: str = ""
    result: JsonValue = None
    error: str = ""
    wanted: JsonObject | None = None

    def is_for(self, tool: str, args: JsonObject) -> bool:
        """Whether this is what that call asks for, as it ran or as it was wanted first."""
        return self.tool == tool and args in (self.args, self.wanted)


@dataclass(frozen=True, slots=True)
class Post:
    """A message that a step put into the run's thread."""

    key: str
    step_id: str
    text: str
    at: float
    mentions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lateness:
    """A run took longer than its service level; these people were pinged and may decide."""

    at: float
    within_s: float
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """How a supervising step changed its plan, and why. `added` and `dropped` are step ids."""

    step_id: str
    number: int
    reason: str
    at: float
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    workflow: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt at a goal. `version` counts its events and is what a commit is checked with."""

    id: str
    goal: Goal
    plan: Plan
    version: int = 0
    status: Status = Status.PENDING
    steps: Mapping[str, StepState] = field(default_factory=dict)
    children: Mapping[str, Step] = field(default_factory=dict)
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    questions: Mapping[str, Question] = field(default_factory=dict)
    calls: Mapping[str, Call] = field(default_factory=dict)
    signals: tuple[Moment, ...] = ()
    started_at: float = 0.0
    ended_at: float | None = None
    stopped_by: str = ""
    stop_reason: str = ""
    answer: Answer | None = None
    posts: tuple[Post, ...] = ()
    late: Lateness | None = None
    revisions: tuple[Revision, ...] = ()
    """What supervising steps planned and changed, oldest first, without empty looks."""
    models: tuple[str, ...] = ()
    """The models that answered, in the order of their first call."""
    ratings: Mapping[str, bool] = field(default_factory=dict)
    """Whether the answer helped, by the id of whoever said so."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in TERMINAL

    def step(self, step_id: str) -> Step:
        """Return the step of the plan or of a fan-out; KeyError when there is none."""
        return self.children.get(step_id) or self.plan.step(step_id)

    def open_writes(self, step_id: str) -> tuple[Call, ...]:
        """Return the step's writes that were begun and of which nobody saw the end."""
        return tuple(
            call
            for call in self.calls.values()
            if call.step_id == step_id and call.status is CallStatus.INTENDED
        )

    def all_steps(self) -> tuple[Step, ...]:
        """Every step in plan order, each one followed by its children and theirs."""
        if not self.children:
            return self.plan.steps
        steps: list[Step] = []
        waiting = list(reversed(self.plan.steps))
        while waiting:
            step = waiting.pop()
            steps.append(step)
            waiting += [self.children[key] for key in reversed(self.steps[step.id].children)]
        return tuple(steps)

    def scope(self, step: Step) -> str:
        """Return the id of the supervising step that planned this one; empty for the plan's own."""
        parent = step.parent
        while parent and self.steps[parent].subplan is None:
            parent = self.step(parent).parent
        return parent

    def siblings(self, scope: str) -> tuple[Step, ...]:
        """Return the steps that one supervising step planned; those of the plan for ``""``."""
        if not scope:
            return self.plan.steps
        return tuple(self.children[key] for key in self.steps[scope].children)

    def gives_answer(self, step_id: str) -> bool:
        """Return whether the step's output is (or becomes) the answer of the run."""
        while step_id != self.plan.answer:
            step = self.step(step_id)
            subplan = self.steps[step.parent].subplan if step.parent else None
            if subplan is None or subplan.answer != step_id:
                return False
            step_id = step.parent
        return True

    @property
    def spent(self) -> Spent:
        """What all its model calls used."""
        return sum((state.spent for state in self.steps.values()), Spent())


RUN = TypeAdapter(Run)


def digest(value: object) -> str:
    """Return the SHA-256 (hex) of a value's canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
