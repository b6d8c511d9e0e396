"""The answer of a ticket says what was done, who decided, and what is left."""

from __future__ import annotations

import pytest

from agents.domain import JsonObject
from agents.findings import AnswerOut, as_json
from agents.support.answer import ticket_answer
from agents.support.reply import reply_check
from tests.agents.test_support.test_routing import QUESTION
from tests.agents.test_support.tickets import EXPORT, FJORD, OUTAGE, TWICE, routed

ROUTING = routed(TWICE, FJORD)
REPLY = reply_check({"routing": as_json(ROUTING), "draft": None}, {})
SENT: JsonObject = {"line": "sent to customer-mail for x: it answered 202", "evidence_id": "ev-9"}
ACCOUNT: JsonObject = {
    **FJORD,
    "facts": [{"text": "account: plan enterprise", "evidence_id": "ev-1", "quote": "enterprise"}],
}


def decided(outcome: str, comment: str = "") -> JsonObject:
    """Return the inputs after a person decided."""
    return {"decisions": [{"step": "send", "outcome": outcome, "by": "Ada", "comment": comment}]}


def answered(**inputs: object) -> AnswerOut:
    """Return the answer to a billing ticket, with changes."""
    given = {"account": ACCOUNT, "routing": as_json(ROUTING), "reply": REPLY, **inputs}
    return AnswerOut.model_validate(ticket_answer(given, {}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"sent": SENT}, "the reply was sent."),
        ({"sent": SENT, **decided("approved")}, "the reply was sent, approved by Ada."),
        (decided("denied", "too curt"), "the reply was denied by Ada, and nothing was sent."),
        (decided("expired"), "nobody decided about the reply in time, and nothing was sent."),
        ({"statuses": {"send": {"status": "failed", "error": "x"}}}, "could not be sent."),
        ({}, "a reply is drafted, and was not sent."),
        ({"reply": None}, "no reply could be drafted."),
    ],
)
def test_the_headline_says_what_became_of_the_reply(inputs: JsonObject, says: str) -> None:
    """Sent, denied, expired, failed or only drafted: each in plain words, with who decided."""
    headline = answered(**inputs).headline

    assert headline.startswith("Billing ticket from Fjord Outdoor (enterprise): ")
    assert headline.endswith(says)


def test_evidence_is_cited() -> None:
    """What is on file and what was sent are claims with their evidence."""
    cites = [(c.evidence_id, c.quote) for one in answered(sent=SENT).claims for c in one.cites]

    assert cites == [("ev-1", "enterprise"), ("ev-9", SENT["line"])]


def test_an_outage_says_who_was_called() -> None:
    """The ping stands in the headline and among the actions."""
    answer = answered(
        routing=as_json(routed(OUTAGE, FJORD)), ping={"mentions": ["oncall"]}, sent=SENT
    )

    assert answer.headline == (
        "Outage from Fjord Outdoor (enterprise): the person on call was called, "
        "and the reply was sent."
    )
    assert answer.actions[0] == "Called oncall in the thread"


def test_the_draft_stands_in_the_answer_until_it_was_sent() -> None:
    """Nobody has to look for the words that were not sent."""
    denied = answered(**decided("denied", "too curt"))

    assert "The draft:\nHello Ingrid" in denied.summary
    assert denied.recommendations == ("Write a reply by hand, mindful of: too curt.",)
    assert "The draft" not in answered(sent=SENT).summary


def test_what_failed_is_named() -> None:
    """A routing that failed leaves an answer that says so."""
    answer = answered(routing=None, reply=None, statuses={"route": {"status": "failed"}})

    assert (answer.finding, answer.missing) == ("failed", ("route failed",))


def test_a_question_that_was_answered_leaves_nothing_to_do() -> None:
    """The article said it all."""
    routing = as_json(routed(EXPORT, FJORD, **QUESTION))

    assert answered(routing=routing, sent=SENT).recommendations == ()
