"""The page about the API names every endpoint and status."""

from __future__ import annotations

import re

from bot.web.api.outcomes import CONFLICT, STATUS
from jobs.commands import Refusal
from tests.bot.web.sample import House
from tests.docs.pages import blocks, code, page, rows, section

PAGE = page("docs/api.md")
OF_WORKERS = {Refusal.STALE, Refusal.NOT_APPROVED, Refusal.ALREADY_DONE}
"""Refusals that only a worker's command can meet."""


def test_every_endpoint_is_named() -> None:
    """The table at the end is what the schema says."""
    schema = House().app.openapi()["paths"]
    real = {f"{verb.upper()} {path}" for path, verbs in schema.items() for verb in verbs}
    named = {code(row[0])[0] for row in rows(section(PAGE, "All of it")) if code(row[0])}

    assert named == real


def test_every_endpoint_has_an_example() -> None:
    """Each path is called in one of the examples."""
    called = " ".join(blocks(PAGE, "sh"))
    missing = []
    for path in House().app.openapi()["paths"]:
        pattern = re.sub(r"\\\{\w+\\\}", r"[\\w$-]+", re.escape(path))
        if not re.search(rf"\$URL{pattern}[\"?]", called):
            missing.append(path)

    assert missing == []


def test_every_outcome_is_in_the_table() -> None:
    """What a click may lead to stands beside its status."""
    table = {row[0]: set(code(row[1])) for row in rows(section(PAGE, "Approvals"))}
    for refusal in set(Refusal) - OF_WORKERS:
        status = str(STATUS.get(refusal.value, CONFLICT))
        assert refusal.value in table[status], refusal
