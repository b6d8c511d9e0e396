"""SQLite is only read, only where it is listed, and not for long."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agents.databases import sqlite
from agents.databases.guard import Statement
from agents.databases.shapes import MAX_CELL_CHARS, Rows
from agents.databases.sqlite import SqliteReader
from agents.tool import ToolFailed, ToolRetry, TransientError
from config.specs import DatabaseSpec

Make = Callable[..., SqliteReader]

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
TO_FOUR = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT sum(i) FROM n
"""
SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, plan TEXT, note BLOB);
CREATE TABLE tickets (
    id TEXT PRIMARY KEY, customer_id INTEGER REFERENCES customers(id), api_key TEXT
);
CREATE TABLE secret (password TEXT);
CREATE VIEW hints AS SELECT length(password) AS length FROM secret;
INSERT INTO customers VALUES (1, 'Acme', 'enterprise', x'00ff'), (2, 'Bolt', NULL, NULL);
INSERT INTO tickets VALUES ('t1', 1, 'k-123'), ('t2', 1, NULL);
INSERT INTO secret VALUES ('hunter2hunter2');
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return the file of a small database."""
    path = tmp_path / "a file.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
    return path


@pytest.fixture
def make(database: Path) -> Make:
    """Return a function that opens it on given terms."""

    def opened(*tables: str, **more: Any) -> SqliteReader:
        spec = DatabaseSpec(path=str(database), tables=tables, **more)
        return SqliteReader(str(database), spec)

    return opened


def test_rows_come_as_plain_values(make: Make) -> None:
    """Numbers, texts and nulls as they are; bytes only by their size."""
    found = make("customers").query("SELECT * FROM customers WHERE id < ? ORDER BY id", [9])

    assert found == Rows(
        ("id", "name", "plan", "note"),
        ((1, "Acme", "enterprise", "[2 bytes]"), (2, "Bolt", None, None)),
    )


def test_values_are_bound(make: Make) -> None:
    """What looks like SQL in a value is a value."""
    hostile = "Acme' OR 1=1 --"

    assert make("customers").query("SELECT id FROM customers WHERE name = ?", [hostile]).rows == ()


def test_rows_are_cut_and_it_is_said(make: Make) -> None:
    """No more rows than allowed, nor longer values."""
    few = make("tickets", max_rows=1).query("SELECT id FROM tickets ORDER BY id", [])
    long = make().query("SELECT printf('%.*c', 9000, 'x') AS x", [])

    assert (few.rows, few.is_cut) == ((("t1",),), True)
    assert long.is_cut
    assert str(long.rows[0][0]).startswith("x" * MAX_CELL_CHARS + "…")


def test_repeated_columns_keep_apart(make: Make) -> None:
    """Two columns of one name do not hide each other."""
    sql = "SELECT c.id, t.id FROM customers c JOIN tickets t ON t.customer_id = c.id LIMIT 1"

    assert make("customers", "tickets").query(sql, []).columns == ("id", "id_2")


def test_columns_that_are_secrets_are_masked(make: Make) -> None:
    """A column that says that it is a key or a password shows none."""
    assert make("tickets").query("SELECT api_key FROM tickets WHERE id = 't1'", []).rows == (
        ("[redacted]",),
    )


@pytest.mark.parametrize(
    ("sql", "denied"),
    [
        ("SELECT * FROM secret", "secret"),
        ("SELECT count(*) FROM secret", "secret"),
        ("SELECT * FROM customers WHERE 1 IN secret", "secret"),
        ("SELECT load_extension('x')", "load_extension"),
        ("SELECT * FROM pragma_table_list", "sqlite_master"),
        ("SELECT name FROM sqlite_master", "sqlite_master"),
        ("SELECT * FROM hints", "secret"),
        ("DELETE FROM customers", "customers"),
        ("UPDATE customers SET name = 'x'", "customers"),
        ("INSERT INTO customers(name) VALUES ('x')", "customers"),
        ("CREATE TABLE x (a)", "sqlite_master"),
        ("DROP TABLE customers", "sqlite_master"),
        ("ATTACH ':memory:' AS other", ":memory:"),
        ("PRAGMA query_only = OFF", "query_only"),
        ("BEGIN", "BEGIN"),
    ],
)
def test_the_engine_refuses_what_the_guard_would_miss(
    make: Make, monkeypatch: pytest.MonkeyPatch, sql: str, denied: str
) -> None:
    """Without the guard nothing but the listed tables is touched either."""
    monkeypatch.setattr(sqlite, "checked", lambda sql, *rest: Statement(sql, frozenset()))

    with pytest.raises(ToolRetry, match=f"{denied}' may not be read"):
        make("customers").query(sql, [])


def test_a_listed_view_may_read_its_tables(make: Make) -> None:
    """People list a view to show a part of a table that is not listed."""
    assert make("hints").query("SELECT * FROM hints", []).rows == ((14,),)


def test_own_names_and_functions_of_tables_work(make: Make) -> None:
    """CTEs may be counted, recursive ones run, and JSON can be taken apart."""
    reader = make("customers")

    assert reader.query("WITH a AS (SELECT 1) SELECT count(*) FROM a", []).rows == ((1,),)
    assert reader.query("SELECT value FROM json_each('[1, 2]')", []).rows == ((1,), (2,))
    assert reader.query(TO_FOUR, []).rows == ((10,),)


def test_a_query_without_end_is_stopped(make: Make) -> None:
    """What takes too long is stopped, and it is said what to do."""
    with pytest.raises(ToolFailed, match=r"took longer than 0\.2 s and was stopped; ask for less"):
        make(timeout_s=0.2).query(ENDLESS, [])


@pytest.mark.parametrize(
    ("sql", "parameters"),
    [
        ("SELECT nothing FROM customers", []),
        ("SELECT no_such_function(1)", []),
        ("SELECT * FROM customers WHERE id = ?", []),
        ("SELECT * FROM customers WHERE id = ?", [2**70]),
    ],
)
def test_what_sqlite_refuses_can_be_mended(make: Make, sql: str, parameters: list[int]) -> None:
    """Unknown columns and functions and missing values are told in SQLite's words."""
    with pytest.raises(ToolRetry, match="SQLite does not take this"):
        make("customers").query(sql, parameters)


def test_a_locked_database_may_answer_later(make: Make, database: Path) -> None:
    """While somebody writes, trying again is the answer."""
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TransientError, match="locked"):
            make("customers", timeout_s=0.1).query("SELECT * FROM customers", [])


@pytest.mark.parametrize("content", [None, b"this is no database" * 100])
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A missing or foreign file is the configuration's fault, and nothing is created."""
    path = tmp_path / "nowhere.sqlite"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ToolFailed, match=r"nowhere\.sqlite"):
        SqliteReader(str(path), DatabaseSpec(path=str(path))).query("SELECT * FROM x", [])
    assert path.exists() is (content is not None)


def test_tables_are_listed_with_their_columns(make: Make) -> None:
    """Only what may be read is listed; keys and references are told."""
    customers, tickets = make("customers", "tickets").tables()

    assert (customers.name, customers.kind) == ("customers", "table")
    assert [(c.name, c.type, c.note) for c in tickets.columns] == [
        ("id", "TEXT", "primary key"),
        ("customer_id", "INTEGER", "→ customers.id"),
        ("api_key", "TEXT", ""),
    ]
    assert {table.name for table in make().tables()} == {"customers", "tickets", "secret", "hints"}
