"""PostgreSQL is only read, only where it is listed, and not for long."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypedDict

import psycopg
import pytest

from agents.databases import postgres
from agents.databases.guard import Statement
from agents.databases.postgres import PostgresReader
from agents.databases.shapes import Rows
from agents.sandbox import call
from agents.tool import ToolContext, ToolFailed, ToolResult, ToolRetry, TransientError
from agents.tools.sql import TOOLS, QueryOutput
from config.specs import DatabaseSpec, ServicesFile
from tests.needs import need_program

START_S = 30.0
PASSWORD = "hunter2hunter2"
SCHEMA = """
CREATE ROLE reader LOGIN PASSWORD 'hunter2hunter2';
CREATE TABLE customers (id int PRIMARY KEY, name text, credit numeric(9, 2), since timestamptz);
COMMENT ON TABLE customers IS 'Who buys';
COMMENT ON COLUMN customers.credit IS 'in euros';
CREATE TABLE secret (password text);
CREATE TABLE hidden (a int);
INSERT INTO customers VALUES (1, 'Acme', 12.50, '2026-01-02 03:04:05+00'), (2, 'Bolt', 0, NULL);
INSERT INTO secret VALUES ('x');
CREATE SCHEMA sales;
CREATE TABLE sales.orders (id int);
GRANT USAGE ON SCHEMA sales TO reader;
GRANT SELECT, INSERT, DELETE ON customers, secret, sales.orders TO reader;
"""


class _Who(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[str | int]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Run a server for these tests and return the address for a reader."""
    server, initdb = need_program("postgres"), need_program("initdb")
    folder = Path(tempfile.mkdtemp(prefix="muster-pg-"))
    who: _Who = {}
    if os.geteuid() == 0:  # The server refuses to be root.
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    made: list[str | Path] = [
        initdb,
        "-D",
        folder / "data",
        "-U",
        "owner",
        "-E",
        "UTF8",
        "--no-sync",
    ]
    subprocess.run([*made, "-A", "trust", "--no-locale"], check=True, capture_output=True, **who)
    (folder / "data/pg_hba.conf").write_text("local all owner trust\nlocal all all scram-sha-256\n")
    command: list[str | Path] = [
        server,
        "-D",
        folder / "data",
        "-k",
        folder,
        "-c",
        "listen_addresses=",
    ]
    command += ["-c", "fsync=off", "-c", "shared_buffers=16MB"]
    with (folder / "log").open("wb") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=folder, **who
        )
    try:
        _connected(f"host={folder} user=owner dbname=postgres", process).execute(SCHEMA)
        yield f"postgresql://reader:{PASSWORD}@/postgres?host={folder}"
    finally:
        process.terminate()
        process.wait(START_S)
        shutil.rmtree(folder)


def _connected(address: str, process: subprocess.Popen[bytes]) -> psycopg.Connection[Any]:
    deadline = time.monotonic() + START_S
    while True:
        try:
            return psycopg.connect(address, autocommit=True)
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def reader(address: str, *tables: str, **more: Any) -> PostgresReader:
    """Open the database on these terms."""
    return PostgresReader(address, DatabaseSpec(url_env="SHOP_DB", tables=tables, **more))


def test_rows_come_as_plain_values(address: str) -> None:
    """Values are bound by the server; numbers and times become plain."""
    sql = "SELECT id, name, credit, since::date AS since FROM customers WHERE id < $1 AND name = $2"

    found = reader(address, "customers").query(sql, [5, "Acme"])

    assert found == Rows(("id", "name", "credit", "since"), ((1, "Acme", 12.5, "2026-01-02"),))


def test_rows_are_cut_and_it_is_said(address: str) -> None:
    """No more rows than allowed are fetched, however many there are."""
    found = reader(address, max_rows=3).query("SELECT * FROM generate_series(1, 1000) g", [])

    assert (found.rows, found.is_cut) == (((1,), (2,), (3,)), True)


def test_a_query_without_end_is_stopped(address: str) -> None:
    """What takes too long is stopped by the server."""
    sql = "SELECT count(*) FROM generate_series(1, 1000000000) g"

    with pytest.raises(ToolFailed, match=r"took longer than 0\.2 s and was stopped"):
        reader(address, timeout_s=0.2).query(sql, [])


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM customers",
        "INSERT INTO customers(id) VALUES (9)",
        "SELECT 1; DELETE FROM customers",
        "COPY customers TO PROGRAM 'cat'",
        "SELECT nextval('x')",
        "SET transaction_read_only = off",
    ],
)
def test_the_server_refuses_what_the_guard_would_miss(
    address: str, monkeypatch: pytest.MonkeyPatch, sql: str
) -> None:
    """Without the guard nothing is changed either, although the role might."""
    monkeypatch.setattr(postgres, "checked", lambda sql, *rest: Statement(sql, frozenset()))

    with pytest.raises((ToolRetry, ToolFailed)):
        reader(address).query(sql, [])
    monkeypatch.undo()
    assert reader(address).query("SELECT count(*) FROM customers", []).rows == ((2,),)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nothing FROM customers",
        "SELECT lower(id) FROM customers",
        "SELECT 1 / (id - 1) FROM customers",
        "SELECT * FROM customers WHERE id = 'x'",
    ],
)
def test_what_postgres_refuses_can_be_mended(address: str, sql: str) -> None:
    """The server's own words say what is wrong."""
    with pytest.raises(ToolRetry, match="PostgreSQL does not take this"):
        reader(address, "customers").query(sql, [])


def test_what_the_role_may_not_read_is_said(address: str) -> None:
    """Rights of the database hold as well."""
    with pytest.raises(ToolFailed, match="permission denied for table hidden"):
        reader(address).query("SELECT * FROM hidden", [])


def test_tables_are_listed_with_their_comments(address: str) -> None:
    """Only what may be read is listed, with what people wrote about it."""
    customers, orders = reader(address, "customers", "sales.orders").tables()

    assert (customers.name, customers.description) == ("customers", "Who buys")
    assert customers.columns[2].note == "in euros"
    assert orders.name == "sales.orders"
    assert [table.name for table in reader(address).tables()] == [
        "customers",
        "secret",
        "sales.orders",
    ]


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("postgresql://reader:wrong-password@/postgres?host={}", TransientError),
        ("postgresql://reader@/postgres?host=/nowhere", TransientError),
        ("this is no address", ToolFailed),
    ],
)
def test_no_way_in_is_told_without_the_address(
    address: str, bad: str, error: type[Exception]
) -> None:
    """A wrong address or password is reported by the variable's name alone."""
    bad = bad.format(address.partition("host=")[2])

    with pytest.raises(error, match="SHOP_DB") as caught:
        reader(bad).query("SELECT 1", [])
    assert "wrong-password" not in str(caught.value)


async def test_the_address_reaches_the_child_and_nothing_else(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tool gets the address in its child process; neither it nor the password comes back."""
    monkeypatch.setenv("SHOP_DB", address)
    tool = next(tool for tool in TOOLS if tool.name == "sql.query")
    world = ServicesFile(databases={"shop": DatabaseSpec(url_env="SHOP_DB")})

    async def said(text: str) -> ToolResult:
        sql = "SELECT name, $1::text AS said FROM customers ORDER BY id"
        arguments: dict[str, Any] = {"database": "shop", "sql": sql, "parameters": [text]}
        return await call(tool, arguments, ToolContext(world, 0.0))

    result = await said(f"it is {PASSWORD}, or {address}")

    assert isinstance(result.output, QueryOutput)
    assert [row["name"] for row in result.output.rows] == ["Acme", "Bolt"]
    assert PASSWORD not in result.text + result.output.model_dump_json()
    assert address not in result.text + result.output.model_dump_json()
