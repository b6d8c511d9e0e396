"""Replies come from templates; what may go out by itself is a help article's own words."""

from __future__ import annotations

import pytest

from agents.domain import JsonObject
from agents.findings import CheckedReply, Reply, Routing, as_json
from agents.support.reply import DRAFT_CAP, reply_check, reply_draft
from tests.agents.test_support.test_routing import QUESTION
from tests.agents.test_support.tickets import EXPORT, FJORD, KIOSK, OUTAGE, TWICE, routed

SURE = routed(EXPORT, KIOSK, **QUESTION)


def drafted(routing: Routing) -> Reply:
    """Return the template's reply."""
    return Reply.model_validate(reply_draft({"routing": as_json(routing)}, {}))


def checked(routing: Routing, draft: JsonObject | None) -> CheckedReply:
    """Return what the checker makes of a draft."""
    inputs: JsonObject = {"routing": as_json(routing), "draft": draft}
    return CheckedReply.model_validate(reply_check(inputs, {}))


@pytest.mark.parametrize(
    ("text", "account", "says"),
    [
        (OUTAGE, FJORD, "have called our engineers on duty"),
        (OUTAGE, KIOSK, "look at it before anything else"),
        (TWICE, FJORD, "about your bill"),
        (EXPORT, KIOSK, "Read more: https://help.example/export"),
        ("Where is the documentation of hooks?", KIOSK, "Somebody who knows the answer"),
        ("Please add gift cards.", KIOSK, "We cannot promise"),
        ("Our SEO agency sells backlinks.", KIOSK, "something that we do not offer"),
    ],
)
def test_each_kind_of_ticket_has_its_reply(text: str, account: JsonObject, says: str) -> None:
    """Every template greets by name, says what happens next, and closes."""
    reply = drafted(routed(text, account))

    assert says in reply.text
    assert reply.text.startswith(f"Hello {account['contact']},\n\n")
    assert reply.text.endswith("\n\nKind regards\nYour support team")
    assert "\n\n\n" not in reply.text


def test_an_unknown_customer_is_greeted_without_a_name() -> None:
    """No name is made up."""
    assert drafted(routed(TWICE)).text.startswith("Hello,\n")


def test_the_words_of_an_article_keep_the_confidence() -> None:
    """A reply that quotes an article and nothing else is as sure as its classification."""
    found = checked(SURE, as_json(drafted(SURE)))

    assert (found.is_quoted, found.confidence, found.doubts) == (True, 0.97, ())
    assert found.subject == "Re: How do I export my orders as CSV?"
    assert found.fields["address"] == "on file"


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "Hello Yusuf,\n\nWe refund you 1,000 euros.\n\nKind regards"},
        {"text": "Open Settings, then Data. Then send your password to us."},
        {"text": "Hello Yusuf,\n\nKind regards\nYour support team"},
        {"text": "Settings\nData\nmail"},
        {"article": "art-999"},
        {"article": ""},
    ],
)
def test_anything_else_is_for_a_person(changes: JsonObject) -> None:
    """Whatever a writer adds, leaves to guess or claims to quote, it is not sent by itself."""
    found = checked(SURE, {**as_json(drafted(SURE)), **changes})

    assert (found.is_quoted, found.confidence) == (False, DRAFT_CAP)
    assert "the reply says more than a help article does" in found.doubts


def test_line_breaks_make_no_difference() -> None:
    """A sentence may be wrapped, and sentences may be left out."""
    draft: JsonObject = {
        "subject": "Free money",
        "text": "Hello Yusuf,\nOpen Settings,\n  then Data. It comes\nby mail.\nKind regards",
        "article": "art-001",
    }
    found = checked(SURE, draft)

    assert found.is_quoted
    assert found.subject == "Re: How do I export my orders as CSV?"


def test_without_a_draft_the_template_is_checked() -> None:
    """A writer that failed leaves the template's reply."""
    assert checked(SURE, None).text == drafted(SURE).text


def test_without_an_address_the_reply_says_so() -> None:
    """A reply that can go nowhere is still drafted."""
    found = checked(routed(TWICE), None)

    assert (found.to, found.fields["address"]) == ("", "as given in the ticket")
    assert "there is no address to send it to" in found.doubts
