"""The nouns: goal, step, plan, evidence, claim, answer. Frozen values without behaviour.

Times are Unix seconds (float), durations are seconds; both say so in their names. Every field
that was added after version 1 has a default, because these values are stored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import JsonValue

from config.specs import Retries, ReviewSpec, ServiceLevelSpec

JsonObject = dict[str, JsonValue]
NO_RETRIES = Retries()


@dataclass(frozen=True, slots=True)
class ThreadRef:
    """The conversation in which a run reports."""

    platform: str
    channel: str
    id: str


class Origin(StrEnum):
    """Where a goal came from. Only what a person typed as a goal is theirs to say; see policy."""

    MESSAGE = "message"
    ALERT = "alert"
    API = "api"
    FORM = "form"
    SHARED = "shared"
    """A message of somebody else's, to which a person pointed."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted, who wants it, and where it came from.

    `requester_id` is `platform:id` of a person (`console:alice`) or `source:name` of an alert
    source. `inputs` are the workflow's inputs, checked by code. `facts` is what came with the
    goal (an alert's labels and annotations): untrusted text.
    """

    text: str
    requester_id: str
    requester_name: str
    origin: Origin
    thread: ThreadRef
    inputs: JsonObject = field(default_factory=dict)
    facts: JsonObject = field(default_factory=dict)
    incident_id: str = ""
    earlier: tuple[str, ...] = ()
    """Ids of the runs of the same thread before this one, oldest first: what it may remember."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node of a plan; see `config.specs.StepSpec` for what the fields mean.

    A child of a fan-out has `parent`, `item`, and the id `<parent>.<index>`. A step that a
    supervisor planned has `parent` (the supervisor's step) and the id `<parent>.<name>`; its
    expressions name its siblings without the prefix. `is_reviewed` says that people wrote it
    (in a workflow); the words of other steps are no more to be trusted than the model's input.
    """

    id: str
    title: str
    agent: str = ""
    tool: str = ""
    approves: tuple[str, ...] = ()
    instruction: str = ""
    inputs: JsonObject = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    when: str = ""
    for_each: str = ""
    timeout_s: float = 120.0
    retries: Retries = NO_RETRIES
    fallback_agent: str = ""
    memory_mib: int = 512
    output_schema: dict[str, Any] | None = None
    approval: bool = False
    parent: str = ""
    item: JsonValue = None
    review: ReviewSpec | None = None
    max_hops: int = 6
    aside: bool = False
    is_reviewed: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """An acyclic graph of steps; never edited: replanning makes the next revision."""

    workflow: str
    steps: tuple[Step, ...]
    answer: str
    revision: int = 1
    reason: str = ""
    max_wall_s: float = 3_600.0
    service_levels: tuple[ServiceLevelSpec, ...] = ()

    def step(self, step_id: str) -> Step:
        """Return the step of that id; KeyError when there is none."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stored tool result that a claim may cite; `text` is redacted and its lines are citeable.

    `media_type` other than text/plain means that a file (a chart) is stored under the same id.
    """

    id: str
    run_id: str
    step_id: str
    tool: str
    title: str
    text: str
    at: float
    args: JsonObject = field(default_factory=dict)
    media_type: str = "text/plain"
    is_trusted: bool = False
    is_truncated: bool = False


@dataclass(frozen=True, slots=True)
class Cite:
    """Words or a number that stand in a piece of evidence."""

    evidence_id: str
    quote: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence with what it rests on; `is_struck` when a cite did not hold."""

    text: str
    cites: tuple[Cite, ...] = ()
    is_struck: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a timeline. `kind`: alert, change, symptom, decision, action, recovery, note."""

    at: float
    text: str
    kind: str = "note"


class Finding(StrEnum):
    """What an answer amounts to."""

    FIXED = "fixed"
    CAUSE_FOUND = "cause_found"
    HEALTHY = "healthy"
    INCONCLUSIVE = "inconclusive"
    REPORT = "report"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run says in the end."""

    headline: str
    finding: Finding = Finding.REPORT
    summary: str = ""
    claims: tuple[Claim, ...] = ()
    confidence: float | None = None
    timeline: tuple[Moment, ...] = ()
    actions: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()
    used_model: bool = False
