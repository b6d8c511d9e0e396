"""Tickets, accounts and articles for these tests."""

from __future__ import annotations

from typing import Any

from pydantic import JsonValue

from agents.domain import JsonObject
from agents.findings import Routing
from agents.outcome import CallOutcome
from agents.support.knowledge import fitting_articles
from agents.support.routing import ticket_routing

OUTAGE = "Our production is down, nobody can log in since 9:00. We are losing orders."
TWICE = "Hi, we were charged twice for October. Please refund one of the two."
EXPORT = "How do I export my orders as CSV? I cannot find it in the settings."
ARTICLE: dict[str, JsonValue] = {
    "id": "art-001",
    "title": "How do I export my orders as CSV?",
    "text": "Open Settings, then Data. Choose Export orders. It comes by mail.",
    "url": "https://help.example/export",
}
FJORD: JsonObject = {
    "customer": "ingrid@fjordoutdoor.example",
    "is_known": True,
    "name": "Fjord Outdoor",
    "contact": "Ingrid Solberg",
    "email": "ingrid@fjordoutdoor.example",
    "plan": "enterprise",
}
KIOSK: JsonObject = {**FJORD, "name": "Kiosk 24", "contact": "Yusuf", "plan": "free"}


def outcome(output: JsonObject | None, error: str = "", evidence_id: str = "ev-1") -> CallOutcome:
    """Return what a call gave."""
    return CallOutcome(output=output, evidence_id=evidence_id, text="", error=error)


def routed(text: str, account: JsonObject | None = None, **classification: Any) -> Routing:
    """Return how a ticket is routed, with the classification of a model or by its words."""
    rows = {"articles": outcome({"rows": [ARTICLE]})}
    shelf = fitting_articles({"text": text}, rows)
    inputs: JsonObject = {"text": text, "account": account, "shelf": shelf}
    if classification:
        inputs["classification"] = classification
    return Routing.model_validate(ticket_routing(inputs, {}))
