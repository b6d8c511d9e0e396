"""An article fits when a ticket speaks of what its title asks."""

from __future__ import annotations

import pytest

from agents.domain import JsonObject
from agents.findings import Article, Shelf
from agents.support.knowledge import fitting, fitting_articles
from demo.customers.articles import ARTICLES
from tests.agents.test_support.tickets import ARTICLE, outcome

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


def test_rows_become_articles_and_a_missing_table_is_said() -> None:
    """What a query gave is read as far as it is an article."""
    rows: JsonObject = {"rows": [ARTICLE, {"title": "no text"}, 3]}
    text: JsonObject = {"text": "How do I export orders as CSV?"}

    shelf = Shelf.model_validate(fitting_articles(text, {"articles": outcome(rows)}))
    broken = Shelf.model_validate(fitting_articles(text, {"articles": outcome(None, "no table")}))

    assert [one.id for one in shelf.articles] == ["art-001"]
    assert (broken.articles, broken.missing) == ((), ("help articles: no table",))
