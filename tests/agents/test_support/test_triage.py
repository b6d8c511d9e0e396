"""A ticket is sorted by its words, with quotes and without false confidence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.support.triage import MAX_KEYWORD_CONFIDENCE, MAX_QUOTE_CHARS, classify
from tests.agents.test_support.tickets import EXPORT, OUTAGE, TWICE


@pytest.mark.parametrize(
    ("text", "category", "urgency"),
    [
        (OUTAGE, "bug", "outage"),
        (TWICE, "billing", "normal"),
        (EXPORT, "question", "normal"),
        ("How do I change the address on my invoice?", "question", "normal"),
        ("The CSV export crashes with error 500 since yesterday.", "bug", "normal"),
        ("It would be great if you could add SSO with Okta.", "feature", "normal"),
        ("We offer quality backlinks and SEO services.", "not_ours", "normal"),
        ("URGENT: cannot log in to the admin, deadline today", "bug", "high"),
        ("There is no outage, just wondering: can I pay by transfer?", "question", "normal"),
        ("Your API is down for everyone!", "bug", "outage"),
        ("Hello", "question", "normal"),
        ("", "question", "normal"),
    ],
)
def test_words_decide(text: str, category: str, urgency: str) -> None:
    """What a ticket is about and how urgent it is follows from what it says."""
    found = classify(text)

    assert (found.category, found.urgency) == (category, urgency)


def test_a_ticket_that_says_nothing_is_hardly_sorted() -> None:
    """Without a telling word the confidence is low and there is nothing to quote."""
    found = classify("Hello")

    assert (found.confidence, found.reasons) == (0.2, ())


@given(st.text(max_size=400) | st.sampled_from([OUTAGE * 9, f"{'x' * 500} refund {'y' * 500}"]))
def test_quotes_stand_in_the_ticket(text: str) -> None:
    """Whatever somebody writes, each quote is theirs and short, and words are never sure."""
    found = classify(text)

    assert found.confidence <= MAX_KEYWORD_CONFIDENCE
    for reason in found.reasons:
        assert reason.quote in text
        assert len(reason.quote) <= MAX_QUOTE_CHARS


def test_a_quote_is_a_sentence() -> None:
    """An address or a version does not cut it in two."""
    text = "I am ada@lumenbooks.example, on 2.4.1. Please refund me. Thank you."

    assert [one.quote for one in classify(text).reasons] == ["Please refund me."]
