"""The office looks accounts up and takes messages, each once; Muster's own tools can work there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from agents.sandbox import call
from agents.tool import Toolbox, ToolContext
from agents.tools import confined_tools
from agents.tools.http import GetOutput
from agents.tools.outlet import SendOutput
from agents.tools.sql import QueryOutput, TablesOutput
from config.specs import ServicesFile
from demo import wire
from demo.customers.database import TABLES, build
from demo.customers.office import Office
from demo.customers.posts import Posts
from demo.info import Layout
from demo.muster_config import muster_config
from demo.wire import Response, Server
from tests.demo.test_parts import INFO

TODAY = date(2026, 11, 20)
UPDATE = {"title": "Checkout", "text": "We look into <failing> orders.", "eta": "10:30 UTC"}
MAIL = {"to": "ada@lumenbooks.example", "subject": "Your invoice", "text": "It is credited."}


@dataclass(frozen=True, slots=True)
class Place:
    """A running office and where it keeps things."""

    url: str
    layout: Layout

    async def get(self, path: str) -> Response:
        """Read something."""
        return await wire.call("GET", self.url + path, timeout_s=5)

    async def post(self, path: str, message: object, key: str = "") -> Response:
        """Hand a message in."""
        return await wire.call(
            "POST",
            self.url + path,
            body=json.dumps(message).encode(),
            headers={"idempotency-key": key} if key else {},
            timeout_s=5,
        )


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Place]:
    """Open one for a test."""
    layout, sock = Layout(tmp_path), wire.listen()
    build(layout.customers, wire.url_of(sock), TODAY)
    updates, mails = Posts(layout.updates, "upd"), Posts(layout.mails, "mail")
    server = Server(Office(layout.customers, updates, mails).handle)
    await server.start(sock)
    yield Place(wire.url_of(sock), layout)
    server.stop_accepting()


def value(response: Response) -> Any:
    """Return what an answer holds."""
    return response.json()


async def test_an_account_is_looked_up(office: Place) -> None:
    """By its id or by who writes, with all that an answer needs."""
    by_id = value(await office.get("/accounts/acc-008"))
    by_email = value(await office.get(f"/accounts?email={quote('Bram@BrightsideToys.example')}"))

    assert by_email == {"accounts": [by_id]}
    assert (by_id["customer"], by_id["status"]) == ("Brightside Toys", "suspended")
    assert [one["status"] for one in by_id["unpaid_invoices"]] == ["overdue", "open"]
    assert by_id["contacts"][0]["email"] == "bram@brightsidetoys.example"
    assert by_id["open_tickets"][0]["subject"] == "Our shop says that it is suspended"


async def test_nobody_is_no_fault(office: Place) -> None:
    """An unknown account is 404, an unknown address an empty list."""
    assert (await office.get("/accounts/acc-999")).status == 404
    assert value(await office.get("/accounts?email=x")) == {"accounts": []}


async def test_the_status_page_shows_updates(office: Place) -> None:
    """Newest first, with what was written taken as text."""
    assert "All is well" in (await office.get("/status")).body.decode()
    await office.post("/status", UPDATE)
    await office.post("/status", {"text": "It works again.", "state": "resolved"})

    page = (await office.get("/status")).body.decode()

    assert page.index("It works again.") < page.index("We look into &lt;failing&gt; orders.")
    assert "expected: 10:30 UTC" in page
    updates = value(await office.get("/status.json"))["updates"]
    assert [one["message"].get("state") for one in updates] == [None, "resolved"]


@pytest.mark.parametrize(("path", "message"), [("/status", UPDATE), ("/mailbox", MAIL)])
async def test_a_key_is_taken_once(office: Place, path: str, message: dict[str, str]) -> None:
    """The same message again is harmless, another one is refused; without a key all count."""
    first = await office.post(path, message, "run/step/send")
    again = await office.post(path, message, "run/step/send")
    other = await office.post(path, {**message, "text": "else"}, "run/step/send")
    without = [await office.post(path, message) for _ in range(2)]

    assert [first.status, again.status, other.status] == [201, 200, 409]
    assert value(first)["id"] == value(again)["id"]
    assert [one.status for one in without] == [201, 201]


async def test_messages_survive_a_restart(office: Place) -> None:
    """What was taken is on disk, with its key."""
    await office.post("/mailbox", MAIL, "k1")

    again = Posts(office.layout.mails, "mail")

    assert again.add(MAIL, "k1", 0.0)[1] is False
    assert [post.message for post in again.all()] == [MAIL]


@pytest.mark.parametrize(
    ("path", "message", "reason"),
    [
        ("/status", {"title": "x"}, "text is missing"),
        ("/status", {**UPDATE, "state": "fine"}, "state must be one of: investigating"),
        ("/status", {**UPDATE, "colour": "red"}, "object with: text, title, state, eta"),
        ("/status", ["x"], "object with"),
        ("/mailbox", {"text": "x"}, "to is missing"),
        ("/mailbox", {**MAIL, "to": "everybody"}, "one mail address"),
        ("/mailbox", {**MAIL, "text": 7}, "must be text"),
    ],
)
async def test_bad_messages_are_explained(
    office: Place, path: str, message: object, reason: str
) -> None:
    """Nothing is taken, and it is said what would be right."""
    answer = await office.post(path, message)

    assert answer.status == 422
    assert reason in value(answer)["error"]


async def test_other_paths_and_methods_are_told_apart(office: Place) -> None:
    """404 and 405, as elsewhere."""
    assert (await office.get("/nothing")).status == 404
    assert (await office.post("/accounts", {})).status == 405
    assert "/mailbox" in (await office.get("/")).body.decode()


async def test_the_tools_of_a_triage_work_on_it(office: Place, tmp_path: Path) -> None:
    """With the demo's catalogue a customer is found, looked up over HTTP and answered once."""
    info = replace(INFO, dir=str(tmp_path), urls={**INFO.urls, "office": office.url})
    written = muster_config(info, tmp_path / "config").read_text(encoding="utf-8")
    context = ToolContext(ServicesFile.model_validate(yaml.safe_load(written)), 0.0, "run/reply/1")
    tools = Toolbox(confined_tools())

    listed = (await call(tools["sql.tables"], {"database": "customers"}, context)).output
    sql = "SELECT customer, plan, account_id, api_url FROM customer_overview WHERE email = ?"
    query: dict[str, Any] = {"database": "customers", "sql": sql, "parameters": [MAIL["to"]]}
    found = (await call(tools["sql.query"], query, context)).output
    assert isinstance(listed, TablesOutput)
    assert isinstance(found, QueryOutput)
    assert {table.name for table in listed.tables} == set(TABLES)
    ((customer),) = found.rows
    assert (customer["customer"], customer["plan"]) == ("Lumen Books", "pro")

    page = (await call(tools["http.get"], {"url": customer["api_url"]}, context)).output
    assert isinstance(page, GetOutput)
    assert json.loads(page.text)["open_tickets"][0]["category"] == "billing"

    reply: dict[str, Any] = {**MAIL, "outlet": "customer-mail", "fields": {"ticket": "tic-020"}}
    answers = [(await call(tools["outlet.send"], reply, context)).output for _ in range(2)]
    news: dict[str, Any] = {"outlet": "status-page", "subject": "Checkout", "text": "We look."}
    await call(tools["outlet.send"], news, context)
    assert [one.status for one in answers if isinstance(one, SendOutput)] == [201, 200]
    (mail,) = value(await office.get("/mailbox"))["mails"]
    assert mail["message"] == {**MAIL, "ticket": "tic-020"}
    assert "Checkout — investigating" in (await office.get("/status")).body.decode()
