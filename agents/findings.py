"""The outputs of the shipped report functions: small summaries with quotes from evidence.

They are the contract between steps, so every field added later has a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Record(BaseModel):
    """A frozen value that crosses from one step to the next as JSON."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class IndicatorFinding(Record):
    """What one indicator of one service did; `quote` is its line in the evidence."""

    service: str
    indicator: str
    unit: str = "count"
    bad: Literal["high", "low"] = "high"
    floor: float = 0.0
    is_symptom: bool = False
    is_normal_now: bool | None = Field(None, description="None: there are no data.")
    onset_at: float | None = None
    until: float | None = None
    before: float | None = None
    after: float | None = None
    current: float | None = None
    direction: Literal["up", "down", "flat"] = "flat"
    is_blip: bool = False
    surge_at: float | None = Field(None, description="When traffic rose far above its level.")
    evidence_id: str = ""
    quote: str = ""


class MetricsFindings(Record):
    """How a service and what it depends on are doing."""

    service: str
    checked_at: float = 0.0
    is_normal_now: bool | None = None
    symptom_since: float | None = None
    depends_on: tuple[str, ...] = ()
    indicators: tuple[IndicatorFinding, ...] = ()
    missing: tuple[str, ...] = ()


class PatternFinding(Record):
    """A kind of log line that appeared or became frequent."""

    service: str
    level: str = ""
    template: str = ""
    count: int = 0
    baseline_count: int = 0
    rate_change: float | None = None
    first_seen: float = 0.0
    last_seen: float = 0.0
    is_new: bool = False
    evidence_id: str = ""
    quote: str = ""


class LogFindings(Record):
    """What the logs of a service and of what it depends on say that they did not say before."""

    service: str
    patterns: tuple[PatternFinding, ...] = ()
    lines_read: int = 0
    missing: tuple[str, ...] = ()


class ChangeFinding(Record):
    """One deploy; `quote` is its line in the evidence."""

    service: str
    release: str
    previous: str = ""
    at: float = 0.0
    author: str = ""
    subject: str = ""
    files: tuple[str, ...] = ()
    is_rollback: bool = False
    evidence_id: str = ""
    quote: str = ""


class ChangeFindings(Record):
    """What was deployed lately, and which declared commands could act on each service."""

    service: str
    deploys: tuple[ChangeFinding, ...] = ()
    actions: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()


class Reason(Record):
    """Why a suspect scores as it does; `points` may be negative."""

    text: str
    points: float = 0.0
    evidence_id: str = ""
    quote: str = ""


class Suspect(Record):
    """A possible cause with its score from 0 to 1."""

    kind: Literal["deploy", "dependency", "traffic"]
    service: str
    title: str
    score: float
    release: str = ""
    previous: str = ""
    at: float | None = None
    reasons: tuple[Reason, ...] = ()


class ProposalArgs(Record):
    """The arguments of the proposed call; `release` is empty unless it is a rollback."""

    service: str = ""
    release: str = ""
    reason: str = ""


class Proposal(Record):
    """What could be done about the top suspect; `tool` is None when nothing should be."""

    tool: Literal["service.rollback", "service.restart"] | None = None
    args: ProposalArgs = ProposalArgs()
    title: str = ""


class Mark(Record):
    """A moment to draw on a chart."""

    at: float
    label: str
    kind: str = "note"


class Ranking(Record):
    """Which cause fits the evidence best, and how sure that is."""

    service: str
    status: Literal["cause_found", "inconclusive", "healthy"]
    confidence: float = 0.0
    symptom_since: float | None = None
    symptom_indicator: str = Field("", description="The indicator that shows it best.")
    symptom_unit: str = "count"
    is_present_now: bool | None = None
    symptoms: tuple[Reason, ...] = Field((), description="What is or was wrong, with quotes.")
    suspects: tuple[Suspect, ...] = ()
    proposal: Proposal = Proposal()
    marks: tuple[Mark, ...] = ()
    missing: tuple[str, ...] = ()


class Verification(Record):
    """Whether a service is back to normal."""

    service: str
    is_normal: bool
    normal_since: float | None = None
    waited_s: float = 0.0
    values: dict[str, float | None] = Field(
        default_factory=dict, description="The last value of each indicator of the service."
    )
    lines: tuple[Reason, ...] = ()
    missing: tuple[str, ...] = ()


class Detection(Record):
    """Whether an incident is new, came back, or is part of another one that is open."""

    status: Literal["new", "again", "part_of"] = "new"
    incident_id: str = Field("", description="Of the incident that it is part of.")
    line: str = ""
    others: tuple[Reason, ...] = Field((), description="Other incidents that are open.")
    deploys: tuple[str, ...] = Field((), description="Deploys of the hour before, as lines.")
    missing: tuple[str, ...] = ()


class Notices(Record):
    """What people are told about a disruption; nothing of it is sent by whoever writes it."""

    phase: Literal["began", "over"] = "began"
    update: str = Field(max_length=2_000, description="For the team's channel.")
    subject: str = Field(max_length=120)
    public: str = Field(max_length=2_000, description="For the status page; no internal names.")
    customers: str = Field(max_length=4_000, description="A letter to those who are affected.")
    state: Literal["investigating", "identified", "monitoring", "resolved"] = "investigating"
    eta: str = Field("", description="When there is more to say, such as `10:40 UTC`.")


class CiteOut(Record):
    """See `agents.domain.Cite`."""

    evidence_id: str
    quote: str


class ClaimOut(Record):
    """See `agents.domain.Claim`."""

    text: str
    cites: tuple[CiteOut, ...] = ()
    is_struck: bool = False


class MomentOut(Record):
    """See `agents.domain.Moment`."""

    at: float
    text: str
    kind: str = "note"


class AnswerOut(Record):
    """The JSON of an `agents.domain.Answer`."""

    headline: str
    finding: Literal["fixed", "cause_found", "healthy", "inconclusive", "report", "failed"] = (
        "report"
    )
    summary: str = ""
    claims: tuple[ClaimOut, ...] = ()
    confidence: float | None = None
    timeline: tuple[MomentOut, ...] = ()
    actions: tuple[str, ...] = ()
    recommendations: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()
    used_model: bool = False


Category = Literal["billing", "bug", "feature", "question", "not_ours"]
Urgency = Literal["outage", "high", "normal"]


class QuotedReason(Record):
    """Why a ticket is judged so, with the words of the ticket that say it."""

    text: str = ""
    quote: str = ""


class Triage(Record):
    """What a ticket is about, and how urgent it is."""

    category: Category = Field(description="What it is about; not_ours: none of our business.")
    urgency: Urgency = Field("normal", description="outage: their production is down.")
    confidence: float = Field(0.0, ge=0, le=1)
    reasons: tuple[QuotedReason, ...] = Field((), description="With the ticket's own words.")
    summary: str = Field("", description="The ticket in one sentence.")


class AccountFact(Record):
    """Something that is on file; `quote` is its line in the evidence."""

    text: str
    evidence_id: str = ""
    quote: str = ""


class Account(Record):
    """Who a customer is, as far as is on file."""

    customer: str = Field("", description="As the ticket names them.")
    is_known: bool = False
    id: str = ""
    name: str = Field("", description="The account's: a company, or a person.")
    contact: str = Field("", description="The person's.")
    email: str = Field("", description="On file; where replies go.")
    plan: str = ""
    status: str = ""
    facts: tuple[AccountFact, ...] = ()
    missing: tuple[str, ...] = ()


class Article(Record):
    """A help article that people wrote."""

    id: str
    title: str
    text: str
    url: str = ""
    fit: float = Field(0.0, description="Which share of its title the ticket speaks of.")


class Shelf(Record):
    """The help articles that answer a ticket, best first."""

    articles: tuple[Article, ...] = ()
    missing: tuple[str, ...] = ()


class Routing(Record):
    """What code makes of a classification and an account: who is to act, and how fast."""

    category: Category
    urgency: Urgency = "normal"
    confidence: float = 0.0
    route: Literal["oncall", "answer", "draft", "pointer"] = "draft"
    summary: str = ""
    reasons: tuple[QuotedReason, ...] = ()
    doubts: tuple[str, ...] = Field((), description="What lowered the confidence.")
    plan: str = ""
    is_known: bool = False
    name: str = Field("", description="How to address the customer.")
    to: str = Field("", description="Where the reply goes; empty: there is no address.")
    articles: tuple[Article, ...] = ()
    missing: tuple[str, ...] = ()


class Reply(Record):
    """A drafted reply."""

    subject: str = Field(max_length=200)
    text: str = Field(min_length=1, max_length=8_000)
    article: str = Field("", description="Id of the help article it quotes; empty: none.")


class CheckedReply(Record):
    """A reply as it is proposed to be sent, with how far it may be trusted.

    `confidence` is the classification's if the reply says nothing but what a help article says,
    and low otherwise: policy may send by itself only what people have written.
    """

    subject: str
    text: str
    to: str = ""
    category: Category
    confidence: float = 0.0
    is_quoted: bool = Field(False, description="Every line stands in a help article.")
    fields: dict[str, str] = Field(default_factory=dict)
    doubts: tuple[str, ...] = ()


OUTPUTS: Mapping[str, type[BaseModel]] = {
    "metrics_findings": MetricsFindings,
    "log_findings": LogFindings,
    "change_findings": ChangeFindings,
    "suspects": Ranking,
    "verification": Verification,
    "detection": Detection,
    "incident_notices": Notices,
    "incident_answer": AnswerOut,
    "ticket_triage": Triage,
    "account_facts": Account,
    "fitting_articles": Shelf,
    "ticket_routing": Routing,
    "reply_draft": Reply,
    "reply_check": CheckedReply,
    "ticket_answer": AnswerOut,
}
"""Report function name to the model of what it returns."""


def as_json(record: BaseModel) -> dict[str, JsonValue]:
    """Return the record as plain JSON values."""
    return record.model_dump(mode="json")
