"""Says who a customer is, from what a database and an account service gave."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agents.domain import JsonObject
from agents.findings import Account, AccountFact, as_json
from agents.outcome import CallOutcome
from agents.wording import one_line

MAX_FACTS = 8
MAX_FACT_CHARS = 200
MAX_MISSING = 6
ACCOUNT_CALL = "account"
"""The call of the runbook whose first row is the account; the others give facts only."""
LIVE_CALL = "live"
"""The call that asked the account service."""
_STATUS = re.compile(r'"status"\s*:\s*"([\w -]{1,40})"')
NAMES: Mapping[str, Sequence[str]] = {
    "id": ("id", "account_id", "customer_id"),
    "name": ("name", "account", "company"),
    "contact": ("contact", "contact_name", "person"),
    "email": ("email", "contact_email"),
    "plan": ("plan", "tier"),
    "status": ("status", "state"),
}
"""Which columns say what, so that a query of yours may name them in several ways."""


def account_facts(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Return who the customer is; what could not be looked up is named, not guessed."""
    customer = str(inputs.get("customer") or "").strip()
    row = next(iter(_rows(calls.get(ACCOUNT_CALL))), {})
    values = {name: _value(row, columns) for name, columns in NAMES.items()}
    live = _live(calls)
    missing = _missing(calls)
    if not customer:
        missing.insert(0, "the ticket does not say which customer it is from")
    elif not row and not missing:
        missing.append(f"nobody called {one_line(customer, MAX_FACT_CHARS)} is on file")
    return as_json(
        Account(
            customer=customer,
            is_known=bool(row),
            **(values | live),
            facts=(*_live_facts(calls, live), *_facts(calls))[:MAX_FACTS],
            missing=tuple(missing[:MAX_MISSING]),
        )
    )


def _facts(calls: Mapping[str, CallOutcome]) -> list[AccountFact]:
    """Return each line that was found as people read it; the quote is as it stands in evidence."""
    found: list[AccountFact] = []
    for name, outcome in calls.items():
        output = outcome.output or {}
        lines, rows = output.get("lines"), output.get("rows")
        for index, line in enumerate(lines if isinstance(lines, list) else []):
            row = rows[index] if isinstance(rows, list) and index < len(rows) else None
            told = _told(row) if isinstance(row, dict) else str(line)
            text = one_line(f"{name}: {told}", MAX_FACT_CHARS)
            found.append(AccountFact(text=text, evidence_id=outcome.evidence_id, quote=str(line)))
    return found


def _live(calls: Mapping[str, CallOutcome]) -> dict[str, str]:
    """Return what the account service says now; the database may be a day behind."""
    found = _STATUS.search(_text(calls.get(LIVE_CALL)))
    return {"status": found[1]} if found else {}


def _live_facts(
    calls: Mapping[str, CallOutcome], live: Mapping[str, str]
) -> tuple[AccountFact, ...]:
    found = _STATUS.search(_text(calls.get(LIVE_CALL)))
    if found is None:
        return ()
    text, evidence_id = f"live: the account is {live['status']}", calls[LIVE_CALL].evidence_id
    return (AccountFact(text=text, evidence_id=evidence_id, quote=found[0]),)


def _text(outcome: CallOutcome | None) -> str:
    text = (outcome.output or {}).get("text") if outcome else None
    return text if isinstance(text, str) else ""


def _told(row: Mapping[str, Any]) -> str:
    """Return a row in words; addresses of machines are nothing to read."""
    return ", ".join(
        f"{column.replace('_', ' ')} {value}"
        for column, value in row.items()
        if value not in (None, "") and not column.endswith("url")
    )


def _rows(outcome: CallOutcome | None) -> list[dict[str, Any]]:
    rows = (outcome.output or {}).get("rows") if outcome else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _value(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    for column in columns:
        if row.get(column) not in (None, ""):
            return str(row[column])
    return ""


def _missing(calls: Mapping[str, CallOutcome]) -> list[str]:
    return [
        f"{name}: {one_line(outcome.error, MAX_FACT_CHARS)}"
        for name, outcome in calls.items()
        if outcome.error and not outcome.error.startswith("not needed")
    ]
