"""Code decides who acts, and believes a classification only as far as the ticket bears it out."""

from __future__ import annotations

import pytest

from agents.domain import JsonObject
from agents.findings import Routing
from agents.support.routing import (
    DISAGREEMENT_CAP,
    STRANGER_CAP,
    UNQUOTED_CAP,
    ticket_routing,
)
from tests.agents.test_support.tickets import EXPORT, FJORD, KIOSK, OUTAGE, TWICE, routed

QUESTION = {
    "category": "question",
    "confidence": 0.97,
    "reasons": [{"text": "asks", "quote": "How do I export my orders"}],
}


@pytest.mark.parametrize(
    ("text", "account", "route"),
    [
        (OUTAGE, FJORD, "oncall"),
        (OUTAGE, KIOSK, "draft"),
        (OUTAGE, None, "draft"),
        (TWICE, FJORD, "draft"),
        (EXPORT, KIOSK, "answer"),
        ("Where do I find my own documentation?", KIOSK, "draft"),
        ("We sell backlinks and SEO.", KIOSK, "pointer"),
    ],
)
def test_who_acts(text: str, account: JsonObject | None, route: str) -> None:
    """An enterprise outage goes to whoever is on call, a known question to its article."""
    assert routed(text, account).route == route


def test_a_model_that_quotes_and_agrees_is_believed() -> None:
    """Quoted, borne out by the words, from a known customer: the confidence stays."""
    found = routed(EXPORT, KIOSK, **QUESTION)

    assert (found.confidence, found.doubts, found.route) == (0.97, (), "answer")
    assert [article.id for article in found.articles] == ["art-001"]
    assert (found.name, found.to) == ("Yusuf", "ingrid@fjordoutdoor.example")


@pytest.mark.parametrize(
    ("text", "account", "changes", "cap"),
    [
        (EXPORT, KIOSK, {"reasons": [{"quote": "I love it"}]}, UNQUOTED_CAP),
        (EXPORT, KIOSK, {"reasons": []}, UNQUOTED_CAP),
        (EXPORT, None, {}, STRANGER_CAP),
        (f"{EXPORT} Refund me, I was charged twice.", KIOSK, {}, DISAGREEMENT_CAP),
    ],
)
def test_a_classification_is_believed_less(
    text: str, account: JsonObject | None, changes: JsonObject, cap: float
) -> None:
    """Invented quotes, words that say otherwise, and strangers lower it, each with a reason."""
    found = routed(text, account, **{**QUESTION, **changes})

    assert found.confidence == cap
    assert found.doubts


def test_urgency_is_only_ever_raised() -> None:
    """A model that talks an outage down does not keep the person on call asleep."""
    calm = {**QUESTION, "urgency": "normal", "reasons": [{"quote": "nobody can log in"}]}

    assert routed(OUTAGE, FJORD, **calm).route == "oncall"
    assert routed(EXPORT, FJORD, **{**QUESTION, "urgency": "outage"}).urgency == "outage"


def test_what_could_not_be_looked_up_is_said() -> None:
    """Steps that failed before leave a routing that names what it did without."""
    shelf: JsonObject = {"missing": ["help articles: there is no database 'customers'"]}
    inputs: JsonObject = {"text": EXPORT, "classification": None, "account": None, "shelf": shelf}

    found = Routing.model_validate(ticket_routing(inputs, {}))

    assert found.route == "draft"
    assert found.missing == (
        "the classification failed",
        "the account could not be looked up",
        "help articles: there is no database 'customers'",
    )


@pytest.mark.parametrize(
    ("customer", "to"), [("eve@x.example", "eve@x.example"), ("cus-1", ""), ("a@b.c, d@e.f", "")]
)
def test_a_stranger_is_written_to_only_at_an_address(customer: str, to: str) -> None:
    """What is no single address is none."""
    assert routed(TWICE, {"customer": customer}).to == to
