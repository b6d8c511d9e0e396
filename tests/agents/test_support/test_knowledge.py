"""An article fits when a ticket speaks of what its title asks."""

from __future__ import annotations

import pytest

from agents.findings import Article
from agents.support.knowledge import fitting
from demo.customers.articles import ARTICLES

KNOWN = [Article(id=one.slug, title=one.title, text=one.text) for one in ARTICLES]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How can I export all my orders to CSV?", "export-orders"),
        ("Where can I download the invoice of October?", "download-invoice"),
        ("We have a new VAT number, how do we change it?", "change-vat-number"),
        ("I want to invite a colleague as an admin", "invite-colleague"),
        ("How do I cancel my plan?", "cancel-plan"),
    ],
)
def test_the_article_is_found(text: str, expected: str) -> None:
    """The title's own words lead to it, in other forms and order too."""
    assert fitting(text, KNOWN)[0].id == expected


@pytest.mark.parametrize("text", ["", "Hello", "My order is late", "How do I do this?", "plan"])
def test_nothing_near_is_taken(text: str) -> None:
    """A word in common is not an answer."""
    assert fitting(text, KNOWN) == ()
