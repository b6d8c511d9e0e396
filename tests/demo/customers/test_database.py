"""The customers are the same on every machine, and tell the stories that the page promises."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from demo.customers.database import TABLES, build

TODAY = date(2026, 11, 20)
OFFICE = "http://127.0.0.1:1"
README = (Path(__file__).parents[3] / "demo/customers/README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """Make the database once."""
    path = tmp_path_factory.mktemp("customers") / "customers.sqlite"
    build(path, OFFICE, TODAY)
    with closing(sqlite3.connect(path)) as connection:
        yield connection


def dump(path: Path) -> list[str]:
    """Return all that a database holds."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_the_same_day_gives_the_same_database(tmp_path: Path) -> None:
    """It is made from scratch each time, and chance has no part in it."""
    paths = [tmp_path / name for name in ("a", "b")]
    for path in (*paths, paths[0]):
        build(path, OFFICE, TODAY)

    first, second = (dump(path) for path in paths)

    assert first == second


def test_it_is_whole(customers: sqlite3.Connection) -> None:
    """Each reference leads somewhere, and every plan is there."""
    assert customers.execute("PRAGMA foreign_key_check").fetchall() == []
    plans = dict(customers.execute("SELECT plan, count(*) FROM customers GROUP BY plan"))
    assert plans == {"enterprise": 6, "pro": 12, "free": 12}
    found = {row[0] for row in customers.execute("SELECT name FROM sqlite_schema")}
    assert set(TABLES) <= found


def test_every_address_is_made_up(customers: sqlite3.Connection) -> None:
    """Nobody can be written to by accident."""
    emails = [row[0] for row in customers.execute("SELECT email FROM contacts")]

    assert len(emails) == len(set(emails)) > 30
    assert all(re.fullmatch(r"[a-z]+@[a-z0-9]+\.example", email) for email in emails)


@pytest.mark.parametrize("table", TABLES)
def test_the_page_names_every_table(customers: sqlite3.Connection, table: str) -> None:
    """What a query may read is explained, and is not empty."""
    assert f"| `{table}` |" in README
    assert customers.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0  # noqa: S608


def overview(customers: sqlite3.Connection, email: str) -> dict[str, Any]:
    """Return what the overview says of a contact."""
    assert f"`{email}`" in README
    cursor = customers.execute("SELECT * FROM customer_overview WHERE email = ?", (email,))
    (row,) = cursor.fetchall()
    return dict(zip([item[0] for item in cursor.description], row, strict=True))


def test_enterprise_is_promised_a_quick_answer(customers: sqlite3.Connection) -> None:
    """An outage there is urgent."""
    fjord = overview(customers, "ingrid@fjordoutdoor.example")
    meridian = overview(customers, "jonas@meridianpharmacy.example")

    assert (fjord["plan"], fjord["response_minutes"]) == ("enterprise", 15)
    assert (meridian["plan"], meridian["open_tickets"]) == ("enterprise", 1)
    assert fjord["api_url"] == f"{OFFICE}/accounts/acc-001"


def test_one_customer_was_charged_twice(customers: sqlite3.Connection) -> None:
    """Two paid invoices have one text, and only there."""
    account = overview(customers, "ada@lumenbooks.example")["account_id"]
    twice = customers.execute(
        "SELECT account_id, count(*) FROM invoices WHERE status = 'paid' "
        "GROUP BY account_id, issued_on HAVING count(*) > 1"
    ).fetchall()

    assert twice == [(account, 2)]


def test_one_customer_is_suspended_for_an_unpaid_invoice(customers: sqlite3.Connection) -> None:
    """The account says why a shop does not work."""
    toys = overview(customers, "bram@brightsidetoys.example")
    overdue = customers.execute("SELECT account_id FROM invoices WHERE status = 'overdue'")

    assert toys["account_status"] == "suspended"
    assert [row[0] for row in overdue] == [toys["account_id"]]


def test_a_simple_question_was_answered_before(customers: sqlite3.Connection) -> None:
    """What the free customer asks stands among the solved tickets, with its answer."""
    kiosk = overview(customers, "yusuf@kiosk24.example")
    answers = customers.execute(
        "SELECT answer FROM tickets WHERE subject LIKE '%export%' AND status = 'solved'"
    ).fetchall()

    assert (kiosk["plan"], kiosk["open_tickets"]) == ("free", 1)
    assert answers
    assert "Export" in answers[0][0]
