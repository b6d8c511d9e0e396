"""A statement runs only if it is one query, over listed tables, with harmless functions."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.databases.guard import POSTGRES_ALLOWED, checked, is_readable
from agents.databases.shapes import Dialect
from agents.tool import ToolRetry

LISTED = ("customers", "tickets", "sales.orders")
BOTH: tuple[Dialect, ...] = ("sqlite", "postgres")

READING = [
    "SELECT * FROM customers",
    "select name from customers c join tickets t on t.customer_id = c.id order by name limit 5;",
    "SELECT 1 UNION SELECT id FROM tickets",
    "WITH secret AS (SELECT 1 AS a) SELECT * FROM secret",
    "WITH a AS (SELECT 1 AS n), b AS (SELECT * FROM a) SELECT * FROM b",
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT * FROM n",
    "SELECT * FROM (SELECT id FROM tickets) AS t WHERE EXISTS (SELECT 1 FROM customers)",
    "SELECT count(*), coalesce(max(id), 0), lower(name) FROM customers GROUP BY name",
]
CHANGING = [
    "INSERT INTO customers VALUES (1)",
    "UPDATE customers SET name = 'x'",
    "DELETE FROM customers",
    "DROP TABLE customers",
    "CREATE TABLE x AS SELECT * FROM customers",
    "WITH gone AS (DELETE FROM customers RETURNING *) SELECT * FROM gone",
    "SELECT * INTO copy FROM customers",
    "SELECT * FROM customers FOR UPDATE",
    "VACUUM",
    "BEGIN",
    "EXPLAIN ANALYZE SELECT 1",
    "VALUES (1)",
]
ELSEWHERE = [
    "SELECT * FROM secret",
    "SELECT (SELECT password FROM secret) FROM customers",
    "SELECT * FROM customers WHERE id IN (SELECT id FROM secret)",
    "SELECT * FROM customers ORDER BY (SELECT 1 FROM secret)",
    "SELECT 1 UNION SELECT password FROM secret",
    "SELECT * FROM customers NATURAL JOIN secret",
    "SELECT * FROM (VALUES ((SELECT password FROM secret))) AS v",
    "SELECT * FROM (WITH secret AS (SELECT 1) SELECT * FROM secret) AS x, secret",
    "SELECT * FROM orders",
    "SELECT * FROM other.customers",
    "SELECT * FROM a.b.customers",
]


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("sql", READING)
def test_queries_over_listed_tables_run(dialect: Dialect, sql: str) -> None:
    """What only reads the listed tables is let through."""
    assert checked(sql, dialect, LISTED, 0).sql


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("sql", CHANGING)
def test_what_is_no_query_is_refused(dialect: Dialect, sql: str) -> None:
    """Nothing that changes, locks or administers gets through, wherever it hides."""
    with pytest.raises(ToolRetry, match=r"not allowed|only SELECT|not SQL|must be"):
        checked(sql, dialect, LISTED, 0)


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("sql", ELSEWHERE)
def test_other_tables_are_refused(dialect: Dialect, sql: str) -> None:
    """A table that is not listed cannot be read from any place of a query."""
    with pytest.raises(ToolRetry, match="may not be read here; may be: customers, tickets"):
        checked(sql, dialect, LISTED, 0)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH secret AS (SELECT * FROM secret) SELECT * FROM secret",
        "WITH a AS (SELECT * FROM secret), secret AS (SELECT 1) SELECT * FROM a",
    ],
)
def test_a_name_of_the_querys_own_hides_a_table_only_in_its_scope(sql: str) -> None:
    """Inside a CTE its own name still means the table, unless it is recursive."""
    with pytest.raises(ToolRetry, match="'secret' may not be read"):
        checked(sql, "postgres", LISTED, 0)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT \"pg_read_file\"('/etc/passwd')",
        "SELECT pg_catalog.pg_read_file('/etc/passwd')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_sleep(60)",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT * FROM dblink('host=x', 'SELECT 1') AS t(a int)",
        "SELECT * FROM ROWS FROM (pg_ls_dir('.'))",
        "SELECT query_to_xml('SELECT * FROM secret', true, true, '')",
        "SELECT nextval('ids')",
        "SELECT app.lower(name) FROM customers",
        "SELECT 1 OPERATOR(app.+) 2",
        "SELECT * FROM LATERAL secret",
        r"SELECT e'\\', ' || (SELECT password FROM secret) || '",
        r"SELECT U&'\0041'",
    ],
)
def test_functions_of_postgres_are_on_a_list(sql: str) -> None:
    """Only functions that are known to be harmless may be called."""
    with pytest.raises(ToolRetry, match=r"may not be called here|plainly|in FROM|texts as"):
        checked(sql, "postgres", LISTED, 0)


def test_the_list_of_functions_holds_no_dangerous_family() -> None:
    """Nothing on the list administers the server, reads files or runs text as SQL."""
    bad = ("pg_", "lo_", "dblink", "set_", "xml", "query_to", "cursor_", "table_to", "database_to")

    assert POSTGRES_ALLOWED
    assert [name for name in POSTGRES_ALLOWED if name.startswith(bad)] == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT load_extension('x')",
        "SELECT readfile('/etc/passwd')",
        "SELECT \"writefile\"('x', 'y')",
        "SELECT * FROM pragma_table_info('secret')",
        "SELECT * FROM sqlite_master",
        "ATTACH '/etc/x' AS y",
        "PRAGMA query_only = OFF",
    ],
)
def test_ways_out_of_sqlite_are_refused(sql: str) -> None:
    """No file, no extension, no pragma and no system table."""
    with pytest.raises(ToolRetry):
        checked(sql, "sqlite", (), 0)


def test_what_runs_on_postgres_is_written_from_what_was_checked() -> None:
    """Comments are gone and names stay as they are, quoted ones too."""
    sql = 'SELECT /* hidden */ "Name", a::text FROM sales.orders -- end'

    assert checked(sql, "postgres", LISTED, 0).sql == (
        'SELECT "Name", CAST(a AS TEXT) FROM sales.orders'
    )


@pytest.mark.parametrize(
    ("dialect", "sql", "count"),
    [
        ("postgres", "SELECT * FROM customers WHERE id = ?", 1),
        ("postgres", "SELECT * FROM customers WHERE id = %s", 1),
        ("postgres", "SELECT * FROM customers WHERE id = $2", 1),
        ("postgres", "SELECT * FROM customers WHERE id = $1", 0),
        ("postgres", "SELECT * FROM customers", 1),
        ("sqlite", "SELECT * FROM customers WHERE id = :id", 1),
    ],
)
def test_parameters_are_written_in_one_way(dialect: Dialect, sql: str, count: int) -> None:
    """A placeholder of another kind, or without its value, is answered with the right one."""
    with pytest.raises(ToolRetry, match=r"parameters"):
        checked(sql, dialect, LISTED, count)


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT FROM WHERE", "not SQL that postgres understands"),
        ("SELECT 1; SELECT 2", "exactly one statement, not 2"),
        ("-- nothing", "exactly one statement, not 0"),
        ("SELECT " + "(" * 3_000 + "1" + ")" * 3_000, "nested too deeply"),
    ],
)
def test_bad_sql_is_explained(sql: str, reason: str) -> None:
    """Who wrote it is told what is wrong, with the parser's words."""
    with pytest.raises(ToolRetry, match=reason):
        checked(sql, "postgres", LISTED, 0)


@pytest.mark.parametrize(
    ("name", "schema", "dialect", "tables", "may"),
    [
        ("customers", "", "postgres", (), True),
        ("customers", "sales", "postgres", (), True),
        ("pg_authid", "", "postgres", (), False),
        ("tables", "information_schema", "postgres", (), False),
        ("customers", "public", "postgres", ("customers",), True),
        ("customers", "", "postgres", ("public.customers",), True),
        ("customers", "sales", "postgres", ("customers",), False),
        ("Customers", "", "postgres", ("customers",), False),
        ("Customers", "main", "sqlite", ("customers",), True),
        ("customers", "temp", "sqlite", (), False),
        ("customers", "attached", "sqlite", (), False),
    ],
)
def test_which_tables_may_be_read(
    name: str, schema: str, dialect: Dialect, tables: tuple[str, ...], may: bool
) -> None:
    """Names are compared as the database compares them; system tables are never read."""
    assert is_readable(name, schema, dialect, tables) is may


ALPHABET = """select from where with as ( ) , * 1 'x' " customers secret join on union all
lateral values recursive ; -- $1 ? pg_sleep delete returning into lower . ::"""
WORDS = st.sampled_from(ALPHABET.split())


@given(st.lists(WORDS, max_size=25).map(" ".join), st.sampled_from(BOTH))
def test_any_text_is_judged(sql: str, dialect: Dialect) -> None:
    """Whatever is given, there is a statement or an error that can be acted on."""
    with suppress(ToolRetry):
        assert checked(sql, dialect, LISTED, 0).sql
