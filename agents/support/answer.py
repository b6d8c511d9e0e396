"""Writes the answer of a ticket's run: what it was, what was done, who decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agents.domain import JsonObject
from agents.findings import (
    Account,
    AnswerOut,
    CheckedReply,
    CiteOut,
    ClaimOut,
    MomentOut,
    Routing,
    as_json,
)
from agents.outcome import CallOutcome
from agents.wording import one_line

SEND_STEP, PING_STEP = "send", "ping"
SEND_TOOL = "outlet.send"
CATEGORY_NAMES: Mapping[str, str] = {
    "billing": "Billing ticket",
    "bug": "Bug report",
    "feature": "Feature request",
    "question": "Question",
    "not_ours": "Ticket that is not ours",
}
FAILING_STATUSES = frozenset({"failed", "cancelled"})
MAX_CLAIMS = 6
MAX_MOMENTS = 40
MAX_MISSING = 12
MAX_ERROR_CHARS = 200
MAX_DRAFT_CHARS = 3_000


class _Given(BaseModel):
    """What the reporter is given; any of it may be missing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    routing: dict[str, Any] | None = None
    account: dict[str, Any] | None = None
    reply: dict[str, Any] | None = None
    ping: dict[str, Any] | None = None
    sent: dict[str, Any] | None = None
    timeline: list[dict[str, Any]] = Field(default_factory=list)
    decisions: list[dict[str, Any]] = Field(default_factory=list)
    statuses: dict[str, dict[str, Any]] = Field(default_factory=dict)


class _Case:
    """The facts of one ticket in the shape that its sentences need."""

    def __init__(self, given: _Given) -> None:
        self.given = given
        self.routing = Routing.model_validate(given.routing) if given.routing else None
        self.account = Account.model_validate(given.account or {})
        self.reply = CheckedReply.model_validate(given.reply) if given.reply else None
        sends = [one for one in given.decisions if one.get("step") == SEND_STEP]
        self.decision: dict[str, Any] = sends[-1] if sends else {}

    @property
    def by(self) -> str:
        """Who decided about the reply, in words."""
        return str(self.decision.get("by") or "")

    @property
    def who(self) -> str:
        """The customer, as people say it: `Northwind (enterprise)`."""
        name = self.account.name or self.account.customer or "an unknown customer"
        return f"{name} ({self.account.plan})" if self.account.plan else name


def ticket_answer(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Return the JSON of the answer; what was not done is said as plainly as what was."""
    case = _Case(_Given.model_validate({k: v for k, v in inputs.items() if v is not None}))
    return as_json(
        AnswerOut(
            headline=_headline(case),
            finding="report" if case.routing else "failed",
            summary=_summary(case),
            claims=tuple(_claims(case)),
            confidence=case.routing.confidence if case.routing else None,
            timeline=tuple(_timeline(case)),
            actions=tuple(_actions(case)),
            recommendations=tuple(_recommendations(case)),
            missing=tuple(_missing(case)),
        )
    )


def _headline(case: _Case) -> str:
    if case.routing is None:
        return "The ticket could not be sorted: the step that decides about it failed."
    is_outage = case.routing.urgency == "outage"
    what = "Outage" if is_outage else CATEGORY_NAMES[case.routing.category]
    called = "the person on call was called, and " if case.given.ping else ""
    return f"{what} from {case.who}: {called}{_outcome(case)}."


def _outcome(case: _Case) -> str:
    """Say what became of the reply."""
    if case.given.sent:
        return f"the reply was sent, approved by {case.by}" if case.by else "the reply was sent"
    if case.reply is None:
        return "no reply could be drafted"
    match str(case.decision.get("outcome") or ""):
        case "denied":
            by = f" by {case.by}" if case.by else ""
            return f"the reply was denied{by}, and nothing was sent"
        case "expired":
            return "nobody decided about the reply in time, and nothing was sent"
        case "cancelled":
            return "it was stopped, and nothing was sent"
    if case.given.statuses.get(SEND_STEP, {}).get("status") == "failed":
        return "the reply could not be sent"
    return "a reply is drafted, and was not sent"


def _summary(case: _Case) -> str:
    if case.routing is None:
        return "Look at the ticket by hand."
    routing = case.routing
    sure = f"{routing.category} with a confidence of {routing.confidence:.2f}"
    parts = [f"“{routing.summary}”" if routing.summary else "", f"Classified as {sure}."]
    parts += [f"{one.text.capitalize()}: “{one.quote}”." for one in routing.reasons if one.quote]
    doubts = list(dict.fromkeys([*routing.doubts, *(case.reply.doubts if case.reply else ())]))
    if doubts:
        parts.append(f"Why a person was to look at it: {'; '.join(doubts)}.")
    if case.reply is not None and not case.given.sent:
        parts.append(f"The draft:\n{case.reply.text[:MAX_DRAFT_CHARS]}")
    return " ".join(part for part in parts if part)


def _claims(case: _Case) -> list[ClaimOut]:
    claims = [
        ClaimOut(
            text=f"On file: {fact.text}",
            cites=(CiteOut(evidence_id=fact.evidence_id, quote=fact.quote),),
        )
        for fact in case.account.facts
        if fact.evidence_id and fact.quote
    ][:MAX_CLAIMS]
    sent = case.given.sent or {}
    line, evidence_id = str(sent.get("line") or ""), str(sent.get("evidence_id") or "")
    if line and evidence_id:
        cite = CiteOut(evidence_id=evidence_id, quote=line)
        claims.append(ClaimOut(text=f"The reply was {line}.", cites=(cite,)))
    return claims


def _actions(case: _Case) -> list[str]:
    found: list[str] = []
    if case.given.ping:
        mentions = ", ".join(str(one) for one in case.given.ping.get("mentions") or ())
        found.append(f"Called {mentions or 'the person on call'} in the thread")
    if case.given.sent:
        by = f"approved by {case.by}" if case.by else "by itself, as policy allows"
        found.append(f"Reply {case.given.sent.get('line') or 'sent'}, {by}")
    return found


def _recommendations(case: _Case) -> list[str]:
    if case.routing is None:
        return ["Sort the ticket by hand, and run this again once the steps work."]
    if case.given.sent:
        is_open = case.routing.route == "draft" and case.routing.category != "feature"
        return ["The reply promises that somebody looks into it: see to that."] if is_open else []
    outcome = str(case.decision.get("outcome") or "")
    if outcome == "denied":
        why = one_line(str(case.decision.get("comment") or ""), MAX_ERROR_CHARS)
        return [f"Write a reply by hand{f', mindful of: {why}' if why else ''}."]
    if case.reply is not None and not case.reply.to:
        return ["Find out who wrote it; there is no address to reply to."]
    return ["Send the draft by hand, or write another."]


def _timeline(case: _Case) -> list[MomentOut]:
    moments = [
        MomentOut(at=float(one["at"]), text=str(one["text"]), kind=str(one.get("kind") or "note"))
        for one in case.given.timeline
        if isinstance(one.get("at"), int | float) and isinstance(one.get("text"), str)
    ]
    return sorted(moments, key=lambda one: one.at)[-MAX_MOMENTS:]


def _missing(case: _Case) -> list[str]:
    found = [
        f"{one.get('title') or step} {one.get('status')}"
        + (f": {one_line(str(one['error']), MAX_ERROR_CHARS)}" if one.get("error") else "")
        for step, one in case.given.statuses.items()
        if one.get("status") in FAILING_STATUSES
    ]
    found += case.routing.missing if case.routing else case.account.missing
    return list(dict.fromkeys(found))[:MAX_MISSING]
