"""The shapes of everything a person writes in YAML; unknown keys are refused.

A catalogue is a folder with `agents/*.yaml`, `workflows/*.yaml` (one spec per file) and
`services.yaml`, `policies.yaml`, `routes.yaml`, `sources.yaml`, `people.yaml`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

MAX_STEP_TIMEOUT_S = 900
MAX_STEPS = 100
MAX_FAN_OUT = 50

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,47}$")]
Channel = Annotated[
    str, Field(pattern=r"^(T[A-Z0-9]{1,20}/)?([a-z0-9][a-z0-9_-]{0,79}|[CGD][A-Z0-9]{1,20})$")
]
"""A channel by its name; of Slack also by its id, and `T…/` before it with several workspaces."""
SlackUser = Annotated[str, Field(pattern=r"^(T[A-Z0-9]{1,20}/)?[UW][A-Z0-9]{1,20}$")]
ToolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$")]
Expression = Annotated[str, Field(min_length=1, max_length=2_000)]
"""A Jinja expression without braces, such as `steps.rank.confidence > 0.5`."""
Seconds = Annotated[float, Field(gt=0)]
JsonSchema = dict[str, Any]


class Spec(BaseModel):
    """A frozen value read from YAML that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Retries(Spec):
    """How often a step is tried again, and how long it waits before each new try."""

    times: int = Field(0, ge=0, le=10)
    backoff_s: float = Field(1.0, gt=0, le=300)
    factor: float = Field(2.0, ge=1, le=10)
    max_backoff_s: float = Field(60.0, gt=0, le=900)


class ReviewSpec(Spec):
    """What a step's output must be, in words, and who judges it with one model call.

    The reviewer accepts, sends it back with feedback (at most `retries` times), gives the step to
    another agent, or asks a person.
    """

    criteria: str = Field(min_length=1, max_length=2_000)
    by: Name = Field("supervisor", description="The agent whose model and instructions judge.")
    retries: int = Field(2, ge=0, le=5)


class StepSpec(Spec):
    """One node of a workflow; says who works, on what, after what.

    Exactly one of `agent`, `tool` and `approves` is set: an agent that follows its runbook, one
    direct tool call, or a gate that asks once for the writing calls of the steps it names.
    Only what `inputs` names reaches the step. Values in `inputs` may hold `{{ expressions }}`
    over `goal`, `steps.<id>` (the output of a step in `needs` or `after`), `run` and `item`.
    """

    id: Name
    title: str = Field("", max_length=80, description="Shown on the card; the id when empty.")
    agent: Name | None = None
    tool: ToolName | None = None
    approves: tuple[Name, ...] = ()
    instruction: str = Field("", max_length=4_000)
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    needs: tuple[Name, ...] = Field((), description="Steps that must have succeeded first.")
    after: tuple[Name, ...] = Field((), description="Steps that must have ended, however.")
    when: Expression | None = Field(None, description="Skip the step unless this holds.")
    for_each: Expression | None = Field(
        None, description="A list found at run time: one child step per `item`."
    )
    timeout_s: float = Field(120, gt=0, le=MAX_STEP_TIMEOUT_S)
    retries: Retries = Retries()
    fallback_agent: Name | None = None
    memory_mib: int = Field(512, ge=32, le=8_192)
    output_schema: JsonSchema | None = None
    approval: bool = Field(False, description="Ask a person before the step starts.")
    review: ReviewSpec | None = None
    max_hops: int = Field(6, ge=0, le=20, description="How often agents may hand the step on.")
    aside: bool = Field(
        False,
        description="Holds up nothing: once the answer is there, and only steps like this one "
        "are left, those that wait for a person or for each other are skipped.",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> StepSpec:
        kinds = [self.agent is not None, self.tool is not None, bool(self.approves)]
        if sum(kinds) != 1:
            raise ValueError("give exactly one of agent, tool and approves")
        if self.fallback_agent and self.agent is None:
            raise ValueError("fallback_agent needs agent")
        if self.for_each and self.approves:
            raise ValueError("a gate (approves) cannot have for_each")
        if self.review and self.agent is None:
            raise ValueError("review needs agent: only an agent can do its work again")
        return self


class InputSpec(Spec):
    """One value a workflow takes from its goal: from an alert's labels or the words typed."""

    type: Literal["string", "number", "integer", "boolean"] = "string"
    description: str = ""
    required: bool = True
    default: JsonValue = None
    label: str | None = Field(None, description="The alert label that carries it.")
    one_of: Literal["services"] | tuple[str, ...] | None = Field(
        None, description="Recognised in a typed goal by these words (or the service names)."
    )


class MatchSpec(Spec):
    """Which typed goals a workflow fits, without a model."""

    keywords: tuple[str, ...] = Field((), description="Words that speak for the workflow.")
    examples: tuple[str, ...] = Field((), description="Goals it is made for, shown to people.")


class ApproversSpec(Spec):
    """Who may decide, by id (`console:alice`) or group."""

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class ServiceLevelSpec(Spec):
    """How long a run may take before it is re-routed: `to` is pinged and may decide what waits.

    The first level whose `when` holds counts; it may read `goal` and the outputs of steps that
    have ended, so the level can follow a classification.
    """

    when: Expression | None = None
    within_s: Seconds
    to: ApproversSpec


class WorkflowSpec(Spec):
    """A reviewed plan template."""

    name: Name
    title: str = Field(max_length=80)
    description: str = Field(max_length=500)
    version: int = Field(1, ge=1)
    match: MatchSpec = MatchSpec()
    inputs: dict[Name, InputSpec] = Field(default_factory=dict)
    steps: tuple[StepSpec, ...] = Field(min_length=1, max_length=MAX_STEPS)
    answer: Name = Field(description="The step whose output is the run's answer.")
    max_wall_s: float = Field(3_600, gt=0, le=86_400)
    service_levels: tuple[ServiceLevelSpec, ...] = Field((), max_length=20)


class CallSpec(Spec):
    """One tool call of a runbook; `args` may hold expressions over `inputs` and `calls.<id>`."""

    id: Name
    tool: ToolName
    args: dict[str, JsonValue] = Field(default_factory=dict)
    when: Expression | None = None
    optional: bool = Field(False, description="A failure is reported, not fatal to the step.")


class ReportSpec(Spec):
    """How a runbook turns its tool results into the step's output.

    `function` names a pure function of `agents.reports`; `output` is a mapping with expressions
    over `inputs` and `calls`. Exactly one of them is set.
    """

    function: Name | None = None
    output: dict[str, JsonValue] | None = None

    @model_validator(mode="after")
    def _one(self) -> ReportSpec:
        if (self.function is None) == (self.output is None):
            raise ValueError("give exactly one of function and output")
        return self


class RunbookSpec(Spec):
    """What an agent does when no model is configured: tool calls, then a report.

    Calls that do not refer to each other run in parallel.
    """

    calls: tuple[CallSpec, ...] = Field((), max_length=20)
    report: ReportSpec


PERSON = "person"
"""What a handoff names when the conversation goes to a person."""


class AgentSpec(Spec):
    """A specialist: instructions, tools, model and limits.

    With a `model` and one that answers, it works in a loop of model turns and tool calls; else it
    follows its runbook. A supervisor (`supervises`) plans steps for its team instead.
    """

    name: Name
    title: str = Field(max_length=60)
    description: str = Field(max_length=500)
    instructions: str = Field("", max_length=8_000)
    tools: tuple[ToolName, ...] = ()
    runbook: RunbookSpec | None = Field(None, description="None: it cannot work without a model.")
    inputs: JsonSchema = Field(default_factory=dict, description="JSON Schema of its inputs.")
    output: JsonSchema = Field(default_factory=dict, description="JSON Schema of its output.")
    model: Name | None = Field(None, description="Alias in models.yaml; None: runbook only.")
    supervises: bool = Field(False, description="Plans steps for other agents, reviews, replans.")
    team: tuple[Name, ...] = Field((), description="Whom a supervisor may give steps; empty: all.")
    handoffs: tuple[Name, ...] = Field(
        (), description="Agents (or `person`) it may pass its conversation to."
    )
    memory: Literal["none", "step", "run", "thread"] = Field(
        "step",
        description="What it remembers: nothing, earlier tries of its step, what other steps of "
        "the run found, or what was said before in the thread too.",
    )
    start_with_runbook: bool = Field(
        False,
        description="Begins with the results of its runbook's calls and what its report makes of "
        "them, without asking the model for them first.",
    )
    long_term: bool = Field(False, description="May search past incidents and kept facts.")
    may_ask: bool = Field(True, description="May put a question to people.")
    max_turns: int = Field(12, ge=1, le=50)
    max_output_tokens: int = Field(4_096, ge=64, le=32_768)
    context_tokens: int = Field(
        32_000, ge=2_000, le=1_000_000, description="Older tool results are folded beyond it."
    )

    @property
    def calls(self) -> tuple[CallSpec, ...]:
        """The calls of its runbook, if it has one."""
        return self.runbook.calls if self.runbook else ()

    @property
    def report_function(self) -> str:
        """The report function of its runbook; empty when it has none."""
        return (self.runbook.report.function or "") if self.runbook else ""

    @model_validator(mode="after")
    def _can_work(self) -> AgentSpec:
        if self.runbook is None and self.model is None:
            raise ValueError("give a model, a runbook, or both: with neither it cannot work")
        if self.start_with_runbook and (self.runbook is None or self.model is None):
            raise ValueError("start_with_runbook needs a runbook and a model")
        if self.team and not self.supervises:
            raise ValueError("team is for agents with supervises: true")
        return self


class ModelSpec(Spec):
    """One model that litellm can reach, and its key's environment variable."""

    model: str = Field(min_length=1, max_length=200, description="As litellm names it.")
    base_url: str | None = Field(None, description="Of an OpenAI-compatible server.")
    key_env: str | None = Field(None, description="Environment variable that holds the key.")
    timeout_s: float = Field(60.0, gt=0, le=600)
    retries: int = Field(2, ge=0, le=5, description="Tries after the first, on transient errors.")
    structured: Literal["auto", "native", "tool"] = Field(
        "auto", description="How it gives JSON: its own schema support, or a forced tool call."
    )
    input_usd_per_million: float | None = Field(
        None, ge=0, description="Price of a million tokens; litellm's price map when not set."
    )
    output_usd_per_million: float | None = Field(None, ge=0)


class ProviderSpec(Spec):
    """Limits of one provider (what stands before the `/` in a model's name)."""

    max_concurrent: int = Field(16, ge=1, le=1_000)
    queue_s: float = Field(30.0, ge=0, le=600, description="How long a call waits for a place.")


class BudgetSpec(Spec):
    """How much may be used; None: no limit."""

    usd: float | None = Field(None, gt=0)
    tokens: int | None = Field(None, gt=0)


class BudgetsSpec(Spec):
    """Checked before each model call; who reaches one is asked, never cut off silently."""

    run: BudgetSpec = BudgetSpec(usd=2.0, tokens=1_000_000)
    thread: BudgetSpec = BudgetSpec(usd=10.0, tokens=5_000_000)
    channel_day: BudgetSpec = BudgetSpec(usd=50.0, tokens=25_000_000)
    day: BudgetSpec = BudgetSpec(usd=200.0, tokens=100_000_000)
    ask_above_usd: float | None = Field(
        1.0, gt=0, description="A plan that is estimated dearer is shown to a person first."
    )


class ModelsFile(Spec):
    """models.yaml; an alias is an ordered list, the first model that answers counts."""

    models: dict[Name, tuple[ModelSpec, ...]] = Field(default_factory=dict)
    providers: dict[str, ProviderSpec] = Field(default_factory=dict)
    budgets: BudgetsSpec = BudgetsSpec()


class Indicator(Spec):
    """A number that says how a service is doing."""

    query: str = Field(description="A PromQL query that yields one series.")
    unit: Literal["ratio", "seconds", "per_second", "count", "bytes"] = "count"
    bad: Literal["high", "low"] = "high"
    floor: float = Field(0.0, description="A change that stays on the good side of it is normal.")


class MetricsSpec(Spec):
    """Where a service's metrics are read."""

    prometheus: str | None = Field(None, description="Base URL of a Prometheus HTTP API.")
    scrape: str | None = Field(None, description="A plain /metrics endpoint.")
    indicators: dict[Name, Indicator] = Field(default_factory=dict)


class LokiSpec(Spec):
    """Where a service's logs are found in Loki."""

    url: str
    query: str = Field(description='A LogQL stream selector such as {app="checkout"}.')


class LogsSpec(Spec):
    """Where a service's logs are read: files on the worker's machine, or Loki."""

    files: tuple[str, ...] = ()
    loki: LokiSpec | None = None


class RepositorySpec(Spec):
    """The git repository in which a service's releases are found."""

    path: str
    paths: tuple[str, ...] = Field((), description="Folders of the repository it is built from.")
    deploy_tags: str = Field("", description="Pattern of tags that mark a deploy.")


class CommandSpec(Spec):
    """A command that people declared; a tool may fill its `{placeholders}`, nothing else."""

    description: str = ""
    argv: tuple[str, ...] = Field(min_length=1)
    cwd: str | None = None
    arguments: dict[Name, str] = Field(
        default_factory=dict, description="Argument name to the regular expression it must match."
    )
    honours_key: bool = Field(
        False, description="Given the same MUSTER_IDEMPOTENCY_KEY twice it acts once."
    )
    timeout_s: float = Field(60, gt=0, le=MAX_STEP_TIMEOUT_S)


class ServiceSpec(Spec):
    """A service that Muster can look at and act on."""

    description: str = ""
    environment: str = "production"
    depends_on: tuple[Name, ...] = ()
    metrics: MetricsSpec = MetricsSpec()
    logs: LogsSpec = LogsSpec()
    repository: RepositorySpec | None = None
    commands: dict[Name, CommandSpec] = Field(default_factory=dict)


class DatabaseSpec(Spec):
    """A database that the sql tool may read: SQLite by `path`, PostgreSQL by `url_env`."""

    description: str = ""
    path: str | None = None
    url_env: str | None = Field(None, description="Environment variable with the address.")
    tables: tuple[str, ...] = Field((), description="Tables that may be read; empty: all.")
    max_rows: int = Field(200, ge=1, le=10_000)
    timeout_s: float = Field(10.0, gt=0, le=120)

    @model_validator(mode="after")
    def _one(self) -> DatabaseSpec:
        if (self.path is None) == (self.url_env is None):
            raise ValueError("give exactly one of path and url_env")
        return self


class OutletSpec(Spec):
    """A place outside that a message may be sent to: a status page, a mail or ticket system.

    The JSON body is made of `body`, whose values may hold expressions over the tool's `args`.
    """

    description: str = ""
    url: str
    token_env: str | None = Field(None, description="Environment variable with a bearer token.")
    body: dict[str, JsonValue] = Field(default_factory=dict)
    honours_key: bool = Field(
        False, description="Given the same Idempotency-Key header twice it acts once."
    )


class HttpSpec(Spec):
    """Which hosts the http tool may reach; private addresses only when listed here."""

    allow_hosts: tuple[str, ...] = ()


class ServicesFile(Spec):
    """services.yaml."""

    services: dict[Name, ServiceSpec] = Field(default_factory=dict)
    http: HttpSpec = HttpSpec()
    databases: dict[Name, DatabaseSpec] = Field(default_factory=dict)
    outlets: dict[Name, OutletSpec] = Field(default_factory=dict)


class Verdict(StrEnum):
    """What a policy says of a tool call."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class PolicyMatch(Spec):
    """Which calls a policy is about; an empty field matches all. Names may hold `*`."""

    tool: str = "*"
    effect: Literal["reads", "writes"] | None = None
    agent: str = "*"
    environment: str = "*"
    requester: str = "*"
    arguments: dict[str, str] = Field(
        default_factory=dict, description="Argument (or `argument.key`) to pattern."
    )
    at_least: dict[str, float] = Field(
        default_factory=dict, description="Argument to the smallest number that matches."
    )
    reviewed: bool | None = Field(
        None,
        description="Whether it is a step of its own in a workflow that people wrote, whose "
        "arguments they wired; false: an agent chose it.",
    )
    tainted: bool | None = Field(None, description="Whether untrusted text shaped the call.")


class EscalationSpec(Spec):
    """Whom to ping when nobody decided for a while."""

    after_s: Seconds
    to: ApproversSpec


class ApprovalSpec(Spec):
    """The terms of an approval."""

    approvers: ApproversSpec
    quorum: int = Field(1, ge=1, le=10)
    requester_may_approve: bool = False
    editor_may_approve: bool = True
    expires_after_s: Seconds = 1_800
    on_expiry: Literal["deny", "fail"] = "deny"
    escalation: EscalationSpec | None = None


class PolicySpec(Spec):
    """One rule: the first that matches a call decides."""

    name: str = Field(max_length=80)
    match: PolicyMatch = PolicyMatch()
    verdict: Verdict
    approval: ApprovalSpec | None = None
    reason: str = ""

    @model_validator(mode="after")
    def _ask_needs_terms(self) -> PolicySpec:
        if (self.verdict is Verdict.ASK) != (self.approval is not None):
            raise ValueError("approval is given if and only if verdict is ask")
        return self


class PoliciesFile(Spec):
    """policies.yaml; a writing call that no rule matches is denied, a reading one allowed."""

    policies: tuple[PolicySpec, ...] = ()


class RouteSpec(Spec):
    """Which alerts start which workflow, and where it reports; the first match decides."""

    name: Name
    match: dict[str, str] = Field(default_factory=dict, description="Label to `*` pattern.")
    workflow: Name | None = Field(None, description="None: show the incident, start nothing.")
    channel: Channel = "incidents"
    platform: Name = "console"
    group_by: tuple[str, ...] = ("service",)
    group_window_s: Seconds = 1_800
    reopen_window_s: Seconds = 600


class RoutesFile(Spec):
    """routes.yaml."""

    routes: tuple[RouteSpec, ...] = ()


ALERT_FIELDS = (
    "title",
    "description",
    "service",
    "environment",
    "severity",
    "status",
    "fingerprint",
    "starts_at",
    "ends_at",
    "url",
    "summary",
    "labels",
    "annotations",
)
"""What a generic source may fill of an alert; `labels.<name>` fills one label."""


class SourceSpec(Spec):
    """An alert system that may deliver to `POST /webhooks/{name}`."""

    kind: Literal["alertmanager", "generic", "form"]
    token_env: str | None = Field(
        None, description="Environment variable that holds the bearer token; None: loopback only."
    )
    mapping: dict[str, str] = Field(
        default_factory=dict,
        description="generic: alert field to Jinja expression over `body` (or `item`).",
    )
    items: Expression | None = Field(None, description="generic: the list of alerts in `body`.")
    workflow: Name | None = Field(
        None, description="form: each delivery starts this; `mapping` fills its inputs."
    )
    channel: Channel = Field("support", description="form: where its runs report.")
    platform: Name = Field("console", description="form: the platform of that channel.")


class SourcesFile(Spec):
    """sources.yaml."""

    sources: dict[Name, SourceSpec] = Field(default_factory=dict)


class PersonSpec(Spec):
    """Somebody who may sign in to the web console or use the API."""

    name: str = Field(max_length=60)
    groups: tuple[Name, ...] = ()
    token_env: str | None = Field(None, description="Environment variable with their token.")
    token_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    slack: tuple[SlackUser, ...] = Field(
        (), description="Who they are in Slack: `U…`, or `T…/U…` with several workspaces."
    )


class PeopleFile(Spec):
    """people.yaml."""

    people: dict[Name, PersonSpec] = Field(default_factory=dict)
