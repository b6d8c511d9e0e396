"""A declared database is read, and its rows are evidence."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agents.claims import holds
from agents.domain import Cite, Evidence
from agents.sandbox import call, check_arguments
from agents.tool import Toolbox, ToolContext, ToolFailed, ToolRetry
from agents.tools.sql import TOOLS, QueryOutput, TablesOutput
from config.specs import DatabaseSpec, ServicesFile
from tests.agents.test_tools.conftest import NOW

BOX = Toolbox(TOOLS)


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    """Return a world with one small database."""
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, is_new INTEGER);
            INSERT INTO customers VALUES (1, 'Acme', 1), (2, 'Bolt and\nSons', NULL);
            CREATE TABLE secret (password TEXT);
            """
        )
    spec = DatabaseSpec(
        path=str(path), tables=("customers",), max_rows=2, description="Who buys what"
    )
    far = DatabaseSpec(url_env="NO_SUCH_VARIABLE")
    return ToolContext(ServicesFile(databases={"shop": spec, "far": far}), NOW)


async def query(context: ToolContext, sql: str, *parameters: Any) -> tuple[QueryOutput, str]:
    """Run a query in a child process."""
    arguments: dict[str, Any] = {"database": "shop", "sql": sql, "parameters": list(parameters)}
    result = await call(BOX["sql.query"], arguments, context)
    assert isinstance(result.output, QueryOutput)
    return result.output, result.text


async def test_each_row_is_a_line_that_can_be_cited(context: ToolContext) -> None:
    """Rows are read by column name, and stand in the text one per line."""
    output, text = await query(context, "SELECT id, name, is_new FROM customers ORDER BY id")

    assert output.rows[1] == {"id": 2, "name": "Bolt and\nSons", "is_new": None}
    assert (output.row_count, output.is_cut) == (2, False)
    assert text.splitlines() == [
        "2 rows from shop",
        "id | name          | is_new",
        "1  | Acme          | 1",
        "2  | Bolt and Sons | null",
    ]
    evidence = {"ev": Evidence("ev", "run", "step", "sql.query", "Query", text, NOW)}
    assert all(holds(Cite("ev", line), evidence) for line in output.lines)
    assert holds(Cite("ev", "2 | Bolt and Sons"), evidence)


async def test_a_cut_is_said(context: ToolContext) -> None:
    """More rows than the database allows are cut, and the text says so."""
    output, text = await query(context, "SELECT 1 AS n UNION SELECT 2 UNION SELECT 3")

    assert (output.row_count, output.is_cut) == (2, True)
    assert text.startswith("2 rows from shop; cut: there are more rows")


async def test_no_rows_is_an_answer(context: ToolContext) -> None:
    """Nothing found is told with the columns that were asked for."""
    output, text = await query(context, "SELECT name FROM customers WHERE id = ?", 9)

    assert output.rows == []
    assert text == "0 rows from shop\nname"


async def test_what_may_not_be_read_is_told_to_the_caller(context: ToolContext) -> None:
    """The refusal crosses the process boundary as something to mend."""
    with pytest.raises(ToolRetry, match="'secret' may not be read here; may be: customers"):
        await query(context, "SELECT * FROM secret")
    with pytest.raises(ToolRetry, match="not SQL that sqlite understands"):
        await query(context, "SELECT FROM WHERE")


async def test_tables_are_listed(context: ToolContext) -> None:
    """Who does not know the database learns its tables and how to write parameters."""
    result = await call(BOX["sql.tables"], {"database": "shop"}, context)

    assert isinstance(result.output, TablesOutput)
    assert (result.output.dialect, result.output.placeholder) == ("sqlite", "?")
    assert [table.name for table in result.output.tables] == ["customers"]
    assert result.text.splitlines() == [
        "1 tables of shop (sqlite; parameters: ?)",
        "Who buys what",
        "customers: id INTEGER (primary key), name TEXT, is_new INTEGER",
    ]


def test_unknown_database_is_refused_before_people_are_asked(context: ToolContext) -> None:
    """The declared ones are named."""
    with pytest.raises(ToolRetry, match="no database 'sohp'; known databases: far, shop"):
        check_arguments(BOX["sql.query"], {"database": "sohp", "sql": "SELECT 1"}, context)


async def test_missing_address_says_what_to_set(context: ToolContext) -> None:
    """A database whose variable is not set is the configuration's fault."""
    with pytest.raises(ToolFailed, match="NO_SUCH_VARIABLE is not set for the worker"):
        await call(BOX["sql.tables"], {"database": "far"}, context)
