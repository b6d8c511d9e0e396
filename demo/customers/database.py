"""Makes the customers' database: the same content for the same day, whatever machine it is."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from demo.customers.articles import ARTICLES
from demo.customers.history import OPEN, OUTAGES, SOLVED, Asked
from demo.customers.people import (
    COLLEAGUES,
    COMPANIES,
    CURRENCIES,
    MANAGERS,
    PRICE_CENTS,
    REGIONS,
    RESPONSE_MINUTES,
    Company,
)

SEED = 30
HELP_URL = "https://help.shop.example"
TABLES = (
    "customers",
    "accounts",
    "contacts",
    "invoices",
    "tickets",
    "incidents",
    "help_articles",
    "customer_overview",
)
MONTHS_BILLED = 4
DAYS_TO_PAY = 14
MONTH_DAYS = 30
CHARGED_TWICE = "Lumen Books"
SUSPENDED = "Brightside Toys"
OPENED_AT = time(8, 15)
_SCHEMA = Path(__file__).with_name("schema.sql")

Row = tuple[str | int | None, ...]


@dataclass(frozen=True, slots=True)
class _Customer:
    """One company with the keys of its rows."""

    company: Company
    number: int
    seats: int

    @property
    def id(self) -> str:
        return f"cus-{self.number:03}"

    @property
    def account_id(self) -> str:
        return f"acc-{self.number:03}"

    @property
    def owner_id(self) -> str:
        return f"con-{self.number:03}-1"

    @property
    def monthly_cents(self) -> int:
        return PRICE_CENTS[self.company.plan] * self.seats


def build(path: Path, office_url: str, today: date) -> None:
    """Write the database anew; `office_url` is where accounts are looked up over HTTP."""
    path.unlink(missing_ok=True)
    chance = random.Random(SEED)  # noqa: S311 - plausible numbers, not secrets
    customers = [
        _Customer(company, number, _seats(company, chance))
        for number, company in enumerate(COMPANIES, start=1)
    ]
    rows: dict[str, list[Row]] = {
        "customers": [_customer(one, chance, today) for one in customers],
        "accounts": [_account(one, office_url) for one in customers],
        "contacts": [row for one in customers for row in _contacts(one)],
        "invoices": [row for one in customers for row in _invoices(one, today)],
        "tickets": list(_tickets(customers, chance, today)),
        "incidents": list(_incidents(today)),
        "help_articles": list(_articles()),
    }
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_SCHEMA.read_text(encoding="utf-8"))
        for table, values in rows.items():
            marks = ", ".join("?" * len(values[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)  # noqa: S608


def _seats(company: Company, chance: random.Random) -> int:
    low, high = {"enterprise": (40, 220), "pro": (4, 25), "free": (1, 2)}[company.plan]
    return chance.randint(low, high)


def _customer(one: _Customer, chance: random.Random, today: date) -> Row:
    company = one.company
    since = today - timedelta(days=chance.randint(200, 1_800))
    manager = MANAGERS[one.number % len(MANAGERS)] if company.plan == "enterprise" else None
    name, country, plan = company.name, company.country, company.plan
    return (one.id, name, company.domain, country, plan, since.isoformat(), manager)


def _account(one: _Customer, office_url: str) -> Row:
    company = one.company
    return (
        one.account_id,
        one.id,
        "suspended" if company.name == SUSPENDED else "active",
        REGIONS[company.country],
        one.seats,
        one.monthly_cents,
        CURRENCIES[company.country],
        RESPONSE_MINUTES[company.plan],
        f"{office_url}/accounts/{one.account_id}",
    )


def _contacts(one: _Customer) -> Iterator[Row]:
    roles = {"enterprise": ("owner", "billing", "technical"), "pro": ("owner", "billing")}
    for index, role in enumerate(roles.get(one.company.plan, ("owner",)), start=1):
        colleague = COLLEAGUES[(one.number + index) % len(COLLEAGUES)]
        name = one.company.owner if role == "owner" else colleague
        local = name.split()[0].lower() if role == "owner" else role
        email = f"{local}@{one.company.domain}"
        yield (f"con-{one.number:03}-{index}", one.id, name, email, role)


def _invoices(one: _Customer, today: date) -> Iterator[Row]:
    if not one.monthly_cents:
        return
    is_late = one.company.name == SUSPENDED
    for back in range(MONTHS_BILLED, 0, -1):
        issued = today - timedelta(days=back * MONTH_DAYS - 25)
        due = issued + timedelta(days=DAYS_TO_PAY)
        status = "paid" if back > 2 or not is_late else "overdue" if due < today else "open"
        if back == 1 and one.number % 3 == 0 and not is_late:
            status = "open"
        yield _invoice(one, MONTHS_BILLED - back + 1, issued, status)
    if one.company.name == CHARGED_TWICE:
        yield _invoice(one, MONTHS_BILLED + 1, issued, "paid")


def _invoice(one: _Customer, count: int, issued: date, status: str) -> Row:
    due = issued + timedelta(days=DAYS_TO_PAY)
    paid = issued + timedelta(days=1) if status == "paid" else None
    return (
        f"inv-{one.number:03}-{count}",
        one.account_id,
        f"{one.company.plan} plan, {one.seats} seats, {issued:%B %Y}",
        one.monthly_cents,
        CURRENCIES[one.company.country],
        status,
        issued.isoformat(),
        due.isoformat(),
        paid.isoformat() if paid else None,
    )


def _tickets(customers: list[_Customer], chance: random.Random, today: date) -> Iterator[Row]:
    number = 0
    for one in customers:
        for asked in chance.sample(SOLVED, chance.randint(0, 2)):
            number += 1
            opened = _moment(today, chance.randint(10, 120), chance.randint(0, 500))
            yield _ticket(number, one, asked, opened, opened + timedelta(hours=5))
    for one in customers:
        for asked in OPEN.get(one.company.name, ()):
            number += 1
            yield _ticket(number, one, asked, _moment(today, 1, 7 * number), None)


def _ticket(
    number: int, one: _Customer, asked: Asked, opened: datetime, solved: datetime | None
) -> Row:
    return (
        f"tic-{number:03}",
        one.id,
        one.owner_id,
        asked.category,
        asked.urgency,
        "solved" if solved else "open",
        asked.subject,
        asked.answer,
        f"{opened:%Y-%m-%dT%H:%M:%SZ}",
        f"{solved:%Y-%m-%dT%H:%M:%SZ}" if solved else None,
    )


def _incidents(today: date) -> Iterator[Row]:
    for number, outage in enumerate(OUTAGES, start=1):
        started = _moment(today, outage.days_ago, 11 * number)
        ended = started + timedelta(minutes=outage.minutes)
        yield (
            f"inc-{number:03}",
            outage.service,
            outage.severity,
            outage.title,
            outage.cause,
            f"{started:%Y-%m-%dT%H:%M:%SZ}",
            f"{ended:%Y-%m-%dT%H:%M:%SZ}",
        )


def _articles() -> Iterator[Row]:
    for number, one in enumerate(ARTICLES, start=1):
        yield (f"art-{number:03}", one.title, one.text, f"{HELP_URL}/{one.slug}")


def _moment(today: date, days_ago: int, minutes: int) -> datetime:
    day = today - timedelta(days=days_ago)
    return datetime.combine(day, OPENED_AT, UTC) + timedelta(minutes=minutes)
