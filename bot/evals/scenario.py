"""The shape of a scenario file: what is asked, what the world looks like, what must come out.

Times in a scenario are seconds relative to its start: `at_s: -300` is five minutes before.
Releases are named by the id of their deploy; `{id}` in a phrase or argument becomes the release.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from config.specs import Name, Spec

HEALTHY = "healthy"
"""The label that forbids naming a cause and proposing a write, whatever else is expected."""
MAX_POINTS_BACK_S = 7 * 86_400
MAX_LINES_PER_LOG = 5_000
MAX_SCRIPT_CHARS = 100_000

Past = Annotated[float, Field(ge=-MAX_POINTS_BACK_S, le=0)]
"""Seconds before the start, as a negative number."""
Moment = Annotated[float, Field(ge=-MAX_POINTS_BACK_S, le=3_600)]
"""Seconds before (negative) or after the start."""
ToolPattern = Annotated[str, Field(pattern=r"^[a-z0-9_.*]{1,80}$")]
"""A tool's name; `*` stands for anything."""
Phrase = Annotated[str, Field(min_length=1, max_length=300)]

IndicatorKind = Literal["error_ratio", "latency_p95", "request_rate"]


class ChangeSpec(Spec):
    """A time in which an indicator has another level; `to: null` means that there are no data."""

    at_s: Moment
    to: float | None
    until_s: Moment | None = Field(None, description="Back to what was before then; None: never.")
    ramp_s: float = Field(0.0, ge=0, le=3_600, description="How long it takes to get there.")


class SeriesSpec(Spec):
    """One indicator: its usual level and how it changes. A known name brings unit and floor."""

    level: float | None = Field(None, description="Its usual value; by its name when not given.")
    noise: float = Field(0.05, ge=0, le=1, description="Share of the value that it jitters by.")
    unit: Literal["ratio", "seconds", "per_second", "count", "bytes"] | None = None
    bad: Literal["high", "low"] | None = None
    floor: float | None = None
    is_absent: bool = Field(False, description="The monitoring system has no such series.")
    changes: tuple[ChangeSpec, ...] = ()


class LogSpec(Spec):
    """Log lines of one kind, regularly from `from_s` to `to_s` or at the given times.

    `{n}` in the text counts, `{id}` is another hexadecimal id on each line.
    """

    level: Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] = "INFO"
    text: str = Field(min_length=1, max_length=2_000)
    from_s: Past = -900
    to_s: Past = 0
    every_s: float = Field(5.0, gt=0, le=86_400)
    at_s: tuple[Past, ...] = ()

    @model_validator(mode="after")
    def _bounded(self) -> LogSpec:
        if (self.to_s - self.from_s) / self.every_s > MAX_LINES_PER_LOG:
            raise ValueError(f"would be more than {MAX_LINES_PER_LOG} lines; raise every_s")
        return self


class DeploySpec(Spec):
    """A release that went live; scenarios name it by its id."""

    id: Name
    at_s: Past
    author: str = "Dana Reyes"
    subject: str = "Update dependencies"
    files: tuple[str, ...] = Field(("service.py",), description="Relative to the service.")


class RecordedServiceSpec(Spec):
    """A service as it was recorded. What is not given is healthy, quiet and never deployed."""

    description: str = ""
    environment: str = "production"
    depends_on: tuple[Name, ...] = ()
    actions: tuple[Literal["rollback", "restart"], ...] = ("rollback", "restart")
    series: dict[Name, SeriesSpec] = Field(
        default_factory=lambda: {
            "error_ratio": SeriesSpec(),
            "latency_p95": SeriesSpec(),
            "request_rate": SeriesSpec(),
        }
    )
    is_monitored: bool = Field(True, description="False: the monitoring system does not answer.")
    logs: tuple[LogSpec, ...] = ()
    deploys: tuple[DeploySpec, ...] = ()


class CallSpec(Spec):
    """A recorded outcome of a tool call; the first that fits is played instead of the tool."""

    tool: ToolPattern
    args: dict[str, str] = Field(default_factory=dict, description="Argument to `*` pattern.")
    output: dict[str, JsonValue] | None = None
    text: str | None = Field(None, description="The evidence; the output as JSON when not given.")
    error: str = ""
    error_kind: Literal["failed", "retry", "transient"] = "failed"
    latency_s: float = Field(0.0, ge=0, le=60)

    @model_validator(mode="after")
    def _one(self) -> CallSpec:
        if (self.output is None) == (not self.error):
            raise ValueError("give exactly one of output and error")
        return self


class RepairSpec(Spec):
    """What a write does to the world: the series of these services go back to their levels."""

    tool: Literal["service.rollback", "service.restart"]
    service: Name
    heals: tuple[Name, ...] = Field(min_length=1)
    after_s: float = Field(0.5, ge=0, le=60)


class RecordedDatabaseSpec(Spec):
    """A small SQLite database, made by its script: written here, or in a file beside."""

    description: str = ""
    script: str = Field("", max_length=MAX_SCRIPT_CHARS)
    script_file: str = Field("", description="Relative to the scenario's folder.")
    tables: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one(self) -> RecordedDatabaseSpec:
        if bool(self.script) == bool(self.script_file):
            raise ValueError("give exactly one of script and script_file")
        return self


class RecordedOutletSpec(Spec):
    """A place that messages may be sent to; it takes what comes."""

    description: str = ""
    body: dict[str, JsonValue] = Field(default_factory=dict)


class AlertSpec(Spec):
    """An alert as a monitoring system would deliver it."""

    title: str = Field(min_length=1, max_length=200)
    service: str = ""
    severity: str = "critical"
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    at_s: Past = -60
    resolved_at_s: Past | None = Field(None, description="It was over by then.")
    resolves: Literal["never", "soon", "when repaired"] = Field(
        "when repaired", description="When it ends: soon is a second after the start."
    )


class WorldSpec(Spec):
    """What can be seen and done; nothing of it exists outside of the scenario."""

    services: dict[Name, RecordedServiceSpec] = Field(default_factory=dict)
    alerts: tuple[AlertSpec, ...] = Field((), description="Known already; they start nothing.")
    databases: dict[Name, RecordedDatabaseSpec] = Field(default_factory=dict)
    outlets: dict[Name, RecordedOutletSpec] = Field(default_factory=dict)
    calls: tuple[CallSpec, ...] = ()
    repairs: tuple[RepairSpec, ...] = ()


class DecisionSpec(Spec):
    """What people decide about calls of a tool; what nothing here fits is denied."""

    tool: ToolPattern = "*"
    decision: Literal["approve", "deny"]
    edit: dict[str, JsonValue] | None = Field(None, description="Arguments changed before.")
    comment: str = ""


class ReplySpec(Spec):
    """What people answer to a question that contains these words."""

    contains: str = ""
    answer: str


class PeopleSpec(Spec):
    """Those who approve and answer."""

    decisions: tuple[DecisionSpec, ...] = ()
    answers: tuple[ReplySpec, ...] = ()


class FindingSpec(Spec):
    """Something that was found: everything given has to hold of the same finding."""

    kind: Literal["fixed", "cause_found", "healthy", "inconclusive", "report", "failed"] | None = (
        Field(None, description="What the answer amounts to.")
    )
    cause: Literal["any", "deploy", "dependency", "traffic"] | None = Field(
        None, description="A cause that is named as the one."
    )
    service: Name | None = Field(None, description="Of the cause.")
    release: Name | None = Field(None, description="Of the cause: the id of a deploy.")
    says: Phrase | None = Field(None, description="Words of the answer, whatever their case.")

    @model_validator(mode="after")
    def _something(self) -> FindingSpec:
        if (self.service or self.release) and self.cause is None:
            raise ValueError("service and release are of a cause: give cause too (any will do)")
        if self.kind is None and self.cause is None and self.says is None:
            raise ValueError("give at least one of kind, cause and says")
        return self


class ActSpec(Spec):
    """A writing call, by tool and `*` patterns of arguments."""

    tool: ToolPattern
    args: dict[str, str] = Field(default_factory=dict)


class ExpectSpec(Spec):
    """What has to come out, and what it may cost at most."""

    starts_run: bool = Field(True, description="False: it must be turned away.")
    status: Literal["succeeded", "failed", "cancelled"] = "succeeded"
    required: tuple[FindingSpec, ...] = ()
    any_of: tuple[FindingSpec, ...] = Field((), description="At least one of these.")
    forbidden: tuple[FindingSpec, ...] = ()
    cites: tuple[ToolPattern, ...] = Field((), description="Tools whose evidence claims cite.")
    asks: tuple[Phrase, ...] = Field((), description="Words of a question put to people.")
    proposes: tuple[ActSpec, ...] = Field((), description="Writes that people are asked about.")
    never_proposes: tuple[ActSpec, ...] = ()
    does: tuple[ActSpec, ...] = Field((), description="Writes that are carried out.")
    never_does: tuple[ActSpec, ...] = ()
    min_confidence: float | None = Field(None, ge=0, le=1)
    max_confidence: float | None = Field(None, ge=0, le=1)
    max_cost_usd: float | None = Field(None, ge=0)
    max_s: float = Field(120.0, gt=0, le=900, description="It is cut off then.")
    max_model_calls: int | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _can_fail(self) -> ExpectSpec:
        judged = (
            self.required + self.any_of + self.forbidden,
            self.cites + self.asks,
            self.proposes + self.never_proposes + self.does + self.never_does,
        )
        if self.starts_run and not any(judged):
            raise ValueError("expects nothing of the outcome, so it could not fail")
        return self


class Scenario(Spec):
    """One case. Exactly one of `goal` and `alert` says what comes in.

    A goal is typed by a person: a workflow is chosen as in the chat, unless `workflow` names one.
    """

    name: Name
    title: str = Field(max_length=120)
    labels: tuple[Name, ...] = Field(min_length=1)
    requires: Literal["runbook", "model"] | None = Field(
        None, description="It is part of this row alone."
    )
    goal: str | None = Field(None, min_length=1, max_length=2_000)
    alert: AlertSpec | None = None
    workflow: Name | None = None
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    facts: dict[str, JsonValue] = Field(
        default_factory=dict, description="What came with the goal; untrusted."
    )
    world: WorldSpec = WorldSpec()
    people: PeopleSpec = PeopleSpec()
    expect: ExpectSpec

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong in it."""
        return HEALTHY in self.labels

    @property
    def releases(self) -> Mapping[str, str]:
        """The service that each deploy is of, by its id."""
        return {
            deploy.id: name
            for name, service in self.world.services.items()
            for deploy in service.deploys
        }

    @model_validator(mode="after")
    def _is_whole(self) -> Scenario:
        if (self.goal is None) == (self.alert is None):
            raise ValueError("give exactly one of goal and alert")
        if self.workflow is not None and self.goal is None:
            raise ValueError("workflow needs goal: an alert's workflow is chosen by its route")
        if (self.inputs or self.facts) and self.workflow is None:
            raise ValueError("inputs and facts need workflow")
        return self
