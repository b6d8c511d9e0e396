"""The promised formats are those of the code."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from jobs.broker import TICKET_FUNCTION, Ticket, read_ticket, ticket_fields
from jobs.events import Event
from jobs.state import ApprovalStatus, CallStatus, Status
from tests.docs.pages import ROOT, blocks, code, page, rows, section

PAGE = page("docs/wire-formats.md")
KEY = re.compile(r"muster:[a-z]")
PREFIX_NAME = "PREFIX"


def documented_events() -> dict[str, set[str]]:
    """Return the table of events: type to fields."""
    table = rows(section(PAGE, "Events"))[1:]
    return {code(row[0])[0]: set(code(row[1])) for row in table if code(row[0])}


def documented_keys() -> set[str]:
    """Return the table of keys, with `<>` for every part that varies."""
    table = rows(section(PAGE, "Redis keys"))[1:]
    return {re.sub(r"<\w+>", "<>", code(row[0])[0]) for row in table if code(row[0])}


def test_every_event_is_documented_with_its_fields() -> None:
    """The table names each type, and exactly its fields."""
    real = {
        next(str(f.default) for f in fields(kind) if f.name == "type"): {
            f.name for f in fields(kind) if f.name != "type"
        }
        for kind in get_args(Event)
    }

    assert documented_events() == real


@pytest.mark.parametrize("statuses", [Status, ApprovalStatus, CallStatus])
def test_every_status_is_documented(statuses: type[Status]) -> None:
    """What a status may be stands on the page."""
    named = set(code(section(PAGE, "Events")))

    assert {status.value for status in statuses} <= named


def modules() -> Iterator[tuple[ModuleType, ast.Module]]:
    """Find every module that may name a Redis key, with its source."""
    for package in ("jobs", "bot"):
        for path in sorted((ROOT / package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if "muster" in source and path.name != "__main__.py":
                yield importlib.import_module(module_name(path)), ast.parse(source)


def module_name(path: Path) -> str:
    """Return how a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def keys_of(module: ModuleType, tree: ast.Module) -> Iterator[str]:
    """Find the keys that a module writes down, with `<>` for every part that varies."""
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part_of(module, part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            is_prefix = node.value == getattr(module, PREFIX_NAME, None)
            if id(node) not in inside and not is_prefix:
                yield node.value


def part_of(module: ModuleType, part: ast.expr) -> str:
    """Return a piece of an f-string: its text, a constant's value, or `<>`."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name):
        value = getattr(module, part.value.id, None)
        if isinstance(value, str) and value.startswith("muster"):
            return value
    return "<>"


def test_every_redis_key_is_documented() -> None:
    """A key that the code writes stands in the table (a bare prefix with what follows it)."""
    documented = documented_keys()
    real = {
        key
        for module, tree in modules()
        for key in keys_of(module, tree)
        if KEY.match(key) and not re.search(r"\s", key)
    }
    unknown = {
        key
        for key in real
        if key not in documented and not any(d.startswith(f"{key}:<>") for d in documented)
    }

    assert unknown == set()
    assert documented <= real


def test_tickets_are_as_documented() -> None:
    """The fields of a job, its id and its data are those of the page."""
    text = section(PAGE, "Tickets (RQ jobs)")
    ticket = Ticket("run-1", "check.0", 2)
    key, job, queue = ticket_fields(ticket, 0.0)
    (example,) = blocks(text, "json")

    assert set(job) <= set(code(text))
    assert key == f"rq:job:{ticket.job_id}"
    assert queue in code(text)
    assert TICKET_FUNCTION in PAGE
    assert read_ticket(ticket.job_id, {"data": example.encode()}) == ticket
