"""Who a customer is comes from rows, each with its line of evidence."""

from __future__ import annotations

from agents.domain import JsonObject
from agents.findings import Account
from agents.outcome import CallOutcome
from agents.support.account import account_facts
from tests.agents.test_support.tickets import outcome

ROW: JsonObject = {
    "name": "Fjord Outdoor",
    "contact": "Ingrid",
    "email": "ingrid@fjord.example",
    "plan": "enterprise",
    "id": "acc-001",
    "api_url": "http://x/accounts/acc-001",
    "account_manager": None,
}


def account(customer: str | None, calls: dict[str, CallOutcome]) -> Account:
    """Return what is made of the calls."""
    return Account.model_validate(account_facts({"customer": customer}, calls))


def test_a_row_becomes_an_account_with_facts() -> None:
    """Names come from the columns; facts are told in words and quote their lines."""
    found = account(
        "Ingrid@fjord.example",
        {
            "account": outcome({"rows": [ROW], "lines": ["Fjord Outdoor | Ingrid | …"]}),
            "invoices": outcome({"rows": [{"id": "inv-1"}], "lines": ["inv-1"]}, "", "ev-2"),
            "live": outcome(None, "office did not answer"),
        },
    )

    assert (found.is_known, found.plan, found.id) == (True, "enterprise", "acc-001")
    assert [(fact.text, fact.evidence_id, fact.quote) for fact in found.facts] == [
        (
            "account: name Fjord Outdoor, contact Ingrid, email ingrid@fjord.example, "
            "plan enterprise, id acc-001",
            "ev-1",
            "Fjord Outdoor | Ingrid | …",
        ),
        ("invoices: id inv-1", "ev-2", "inv-1"),
    ]
    assert found.missing == ("live: office did not answer",)


def test_nobody_is_said_not_guessed() -> None:
    """An unknown customer, a ticket that names none and a missing database differ."""
    nothing = {"account": outcome({"rows": [], "lines": []})}

    assert account("eve", nothing).missing == ("nobody called eve is on file",)
    assert account("", {"account": outcome(None, "not needed: inputs.customer")}).missing == (
        "the ticket does not say which customer it is from",
    )
    failed = account("eve", {"account": outcome(None, "there is no database 'customers'")})
    assert (failed.is_known, failed.missing) == (
        False,
        ("account: there is no database 'customers'",),
    )


def test_the_account_service_knows_better_than_the_database() -> None:
    """What it says now counts, and is quoted as it stands in its answer."""
    calls = {
        "account": outcome({"rows": [{**ROW, "status": "active"}], "lines": ["x"]}),
        "live": outcome({"text": '{"id": "acc-001", "status": "suspended"}'}, "", "ev-live"),
    }
    found = account("x", calls)

    assert found.status == "suspended"
    assert (found.facts[0].text, found.facts[0].quote) == (
        "live: the account is suspended",
        '"status": "suspended"',
    )
