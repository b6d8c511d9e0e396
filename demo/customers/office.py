"""The office over HTTP: accounts to look up, a status page to write on, mail to send."""

import json
import re
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from demo.customers.posts import KeyReusedError, Post, Posts
from demo.wire import Request, Response, json_response

MAX_TEXT_CHARS = 10_000
STATES = ("investigating", "identified", "monitoring", "resolved")
KEY_HEADER = "idempotency-key"
MAX_KEY_CHARS = 300
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")

_ACCOUNT = """
SELECT accounts.id, accounts.status, accounts.region, accounts.seats, accounts.monthly_cents,
       accounts.currency, accounts.response_minutes, customers.id AS customer_id,
       customers.name AS customer, customers.plan, customers.domain, customers.country,
       customers.customer_since, customers.account_manager
FROM accounts JOIN customers ON customers.id = accounts.customer_id
"""
_BY_EMAIL = "WHERE customers.id = (SELECT customer_id FROM contacts WHERE email = lower(?))"
_PARTS = {
    "contacts": "SELECT name, email, role FROM contacts WHERE customer_id = ? ORDER BY id",
    "unpaid_invoices": "SELECT id, description, amount_cents, currency, status, due_on "
    "FROM invoices WHERE account_id IN (SELECT id FROM accounts WHERE customer_id = ?) "
    "AND status IN ('open', 'overdue') ORDER BY due_on",
    "open_tickets": "SELECT id, category, urgency, status, subject, opened_at FROM tickets "
    "WHERE customer_id = ? AND status <> 'solved' ORDER BY opened_at",
}


class BadMessageError(Exception):
    """A message that cannot be taken; the sentence says what would be right."""


@dataclass(frozen=True, slots=True)
class _Form:
    """What a message has to have and may have."""

    needed: tuple[str, ...]
    optional: tuple[str, ...]


_UPDATE = _Form(("text",), ("title", "state", "eta"))
_MAIL = _Form(("to", "text"), ("subject", "ticket"))


class Office:
    """Answer everything that concerns customers."""

    def __init__(self, database: Path, updates: Posts, mails: Posts) -> None:
        self._database = database
        self._updates = updates
        self._mails = mails

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        match request.method, request.path:
            case "GET", "/":
                return _text("The office: /accounts/<id>, /accounts?email=…, /status, /mailbox\n")
            case "GET", "/accounts":
                return self._accounts(_BY_EMAIL, request.query.get("email", ""))
            case "GET", path if path.startswith("/accounts/"):
                return self._account(path.removeprefix("/accounts/"))
            case "GET", "/status":
                return Response(200, self._page().encode(), "text/html; charset=utf-8")
            case "GET", "/status.json":
                return json_response(200, {"updates": [_shown(one) for one in self._updates.all()]})
            case "GET", "/mailbox":
                return json_response(200, {"mails": [_shown(one) for one in self._mails.all()]})
            case "POST", "/status":
                return _taken(self._updates, _UPDATE, request)
            case "POST", "/mailbox":
                return _taken(self._mails, _MAIL, request)
            case _, "/" | "/accounts" | "/status" | "/status.json" | "/mailbox":
                return json_response(405, {"error": "GET reads; POST writes /status and /mailbox"})
            case _:
                return json_response(404, {"error": "the office has no such path"})

    def _account(self, account_id: str) -> Response:
        answer = self._accounts("WHERE accounts.id = ?", account_id)
        found = json.loads(answer.body)["accounts"]
        if not found:
            return json_response(404, {"error": f"there is no account {account_id[:50]!r}"})
        return json_response(200, found[0])

    def _accounts(self, condition: str, value: str) -> Response:
        address = f"file:{quote(str(self._database))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            found = [dict(row) for row in connection.execute(_ACCOUNT + condition, (value,))]
            for account in found:
                for part, query in _PARTS.items():
                    rows = connection.execute(query, (account["customer_id"],))
                    account[part] = [dict(row) for row in rows]
        return json_response(200, {"accounts": found})

    def _page(self) -> str:
        entries = "\n".join(_entry(post) for post in reversed(self._updates.all()))
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta http-equiv="refresh" content="5"><title>Status</title>'
            f"<h1>Status of the shop</h1>\n{entries or '<p>All is well.</p>'}</html>\n"
        )


def _taken(posts: Posts, form: _Form, request: Request) -> Response:
    key = request.headers.get(KEY_HEADER, "")
    try:
        message = _message(form, request.body)
        if len(key) > MAX_KEY_CHARS:
            raise BadMessageError(f"a key has at most {MAX_KEY_CHARS} characters")
        post, is_new = posts.add(message, key, time.time())
    except BadMessageError as error:
        return json_response(422, {"error": str(error)})
    except KeyReusedError as error:
        return json_response(409, {"error": str(error)})
    return json_response(201 if is_new else 200, {"id": post.id, "is_new": is_new})


def _message(form: _Form, body: bytes) -> dict[str, str]:
    """Return the fields of a message; those that are null or empty are left out."""
    try:
        value = json.loads(body)
    except ValueError:
        raise BadMessageError("the body must be JSON") from None
    known = (*form.needed, *form.optional)
    if not isinstance(value, dict) or not set(value) <= set(known):
        raise BadMessageError(f"the body must be an object with: {', '.join(known)}")
    message = {name: item for name, item in value.items() if item not in (None, "")}
    for name, item in message.items():
        if not isinstance(item, str) or len(item) > MAX_TEXT_CHARS:
            raise BadMessageError(f"{name} must be text of at most {MAX_TEXT_CHARS} characters")
    _check_fields(form, message)
    return message


def _check_fields(form: _Form, message: Mapping[str, str]) -> None:
    for name in form.needed:
        if not message.get(name, "").strip():
            raise BadMessageError(f"{name} is missing")
    if "to" in message and not _EMAIL.fullmatch(message["to"]):
        raise BadMessageError("to must be one mail address")
    if message.get("state", STATES[0]) not in STATES:
        raise BadMessageError(f"state must be one of: {', '.join(STATES)}")


def _shown(post: Post) -> dict[str, Any]:
    return {**asdict(post), "time": _utc(post.time)}


def _entry(post: Post) -> str:
    message = {name: escape(text) for name, text in post.message.items()}
    eta = f" Next update or fix expected: {message['eta']}." if "eta" in message else ""
    heading = f"{message.get('title', 'Update')} — {message.get('state', STATES[0])}"
    paragraphs = f"<p>{message['text']}{eta}</p><p>{_utc(post.time)}</p>"
    return f"<article><h2>{heading}</h2>{paragraphs}</article>"


def _utc(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(text: str) -> Response:
    return Response(200, text.encode(), "text/plain; charset=utf-8")
