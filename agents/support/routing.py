"""Decides who acts on a ticket, and how far its classification may be trusted. No model decides.

A classification comes from a model or from words. Either way code checks it: what it quotes must
stand in the ticket, words get a second opinion, and urgency is only ever raised.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agents.domain import JsonObject
from agents.findings import Account, Article, QuotedReason, Routing, Shelf, Triage, as_json
from agents.outcome import CallOutcome
from agents.support.triage import URGENCY_ORDER, classify

ENTERPRISE = "enterprise"
UNQUOTED_CAP = 0.5
"""A classification that quotes what the ticket does not say may be about another one."""
DISAGREEMENT_CAP = 0.75
"""Below what policy sends by itself: the words of the ticket speak for something else."""
STRANGER_CAP = 0.75
"""Nobody is known under that name: a person looks at what goes to them."""
ANSWER_CONFIDENCE = 0.5
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")


def ticket_routing(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Return who is to act on the ticket, and how fast."""
    text = str(inputs.get("text") or "")
    given = inputs.get("classification")
    triage = Triage.model_validate(given) if isinstance(given, dict) else classify(text)
    found = inputs.get("account")
    account = Account.model_validate(found if isinstance(found, dict) else {})
    known = inputs.get("shelf")
    shelf = Shelf.model_validate(known if isinstance(known, dict) else {})
    opinion = classify(text)
    reasons, doubts = _quoted(triage.reasons, text)
    caps = [UNQUOTED_CAP] if doubts else []
    if opinion.category != triage.category:
        caps.append(DISAGREEMENT_CAP)
        doubts.append(f"its words speak for {opinion.category}, not for {triage.category}")
    if not account.is_known:
        caps.append(STRANGER_CAP)
        doubts.append("the customer is not on file")
    urgency = max(triage.urgency, opinion.urgency, key=URGENCY_ORDER.index)
    if urgency != triage.urgency:
        doubts.append(f"it was called {triage.urgency}, but its words say {urgency}")
        reasons += [one for one in opinion.reasons if one not in reasons][-1:]
    confidence = round(min([triage.confidence, *caps]), 2)
    return as_json(
        Routing(
            category=triage.category,
            urgency=urgency,
            confidence=confidence,
            route=_route(triage, urgency, account, shelf.articles, confidence),
            summary=triage.summary or opinion.summary,
            reasons=tuple(reasons),
            doubts=tuple(doubts),
            plan=account.plan.lower(),
            is_known=account.is_known,
            name=account.contact or account.name,
            to=account.email or _address(account.customer),
            articles=shelf.articles,
            missing=tuple(_missing(inputs, account, shelf)),
        )
    )


def _route(
    triage: Triage, urgency: str, account: Account, articles: Sequence[Article], confidence: float
) -> Any:
    if urgency == "outage" and account.plan.lower() == ENTERPRISE:
        return "oncall"
    if triage.category == "not_ours":
        return "pointer"
    if triage.category == "question" and articles and confidence >= ANSWER_CONFIDENCE:
        return "answer"
    return "draft"


def _quoted(reasons: Sequence[QuotedReason], text: str) -> tuple[list[QuotedReason], list[str]]:
    """Return the reasons whose quotes stand in the ticket, and what is wrong with the others."""
    flat = _flat(text)
    kept = [one for one in reasons if _flat(one.quote) and _flat(one.quote) in flat]
    if len(kept) < len(reasons):
        return kept, ["it quotes words that do not stand in the ticket"]
    return kept, [] if kept else ["it quotes nothing from the ticket"]


def _flat(text: str) -> str:
    return " ".join(text.split()).casefold()


def _address(customer: str) -> str:
    """Return the address that the ticket gives of itself, if it is one and nothing else."""
    return customer if _EMAIL.fullmatch(customer) else ""


def _missing(inputs: JsonObject, account: Account, shelf: Shelf) -> list[str]:
    found = [
        sentence
        for name, sentence in (
            ("classification", "the classification failed"),
            ("account", "the account could not be looked up"),
            ("shelf", "the help articles could not be read"),
        )
        if not isinstance(inputs.get(name), dict)
    ]
    return list(dict.fromkeys((*found, *account.missing, *shelf.missing)))
