"""Reads PostgreSQL: a read-only transaction with a time limit, and a cursor for a few rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

from agents.databases.guard import checked, is_readable
from agents.databases.shapes import (
    MAX_TABLES,
    Cell,
    ColumnShape,
    Dialect,
    Rows,
    TableShape,
    rows_of,
)
from agents.tool import ToolError, ToolFailed, ToolRetry, TransientError
from agents.wording import one_line
from config.specs import DatabaseSpec

if TYPE_CHECKING:
    import psycopg

CURSOR = "muster"
MAX_ERROR_CHARS = 300
MENDABLE = ("22", "25", "42", "0A")
"""Classes of SQLSTATE that are about the statement: data, read-only, names and syntax."""
NOT_PERMITTED = "42501"
CANCELLED = "57014"

_COLUMNS = """
SELECT c.table_schema, c.table_name, t.table_type, c.column_name, c.data_type,
       coalesce(col_description(k.oid, c.ordinal_position), ''),
       coalesce(obj_description(k.oid, 'pg_class'), '')
FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
JOIN pg_catalog.pg_namespace n ON n.nspname = c.table_schema
JOIN pg_catalog.pg_class k ON k.relnamespace = n.oid AND k.relname = c.table_name
WHERE c.table_schema NOT IN ('pg_catalog', 'information_schema')
ORDER BY c.table_schema, c.table_name, c.ordinal_position
"""


class PostgresReader:
    """One PostgreSQL database."""

    dialect: Dialect = "postgres"

    def __init__(self, url: str, spec: DatabaseSpec) -> None:
        self._url = url
        self._spec = spec

    def query(self, sql: str, parameters: Sequence[Cell]) -> Rows:
        """Return the rows of one statement."""
        from psycopg import RawServerCursor

        statement = checked(sql, self.dialect, self._spec.tables, len(parameters))
        with self._opened() as connection, RawServerCursor(connection, CURSOR) as cursor:
            # Written by the guard from the tree it has checked; values are bound by the server.
            cursor.execute(statement.sql, list(parameters))
            columns = [item.name for item in cursor.description or ()]
            found = cursor.fetchmany(self._spec.max_rows + 1)
            return rows_of(columns, found, self._spec.max_rows)

    def tables(self) -> list[TableShape]:
        """Return the tables and views that may be read, with the comments on them."""
        with self._opened() as connection:
            found = connection.execute(_COLUMNS).fetchall()
        shapes = [
            _shape(schema, name, list(columns))
            for (schema, name), columns in groupby(found, key=lambda row: (row[0], row[1]))
            if is_readable(name, schema, self.dialect, self._spec.tables)
        ]
        return shapes[:MAX_TABLES]

    @contextmanager
    def _opened(self) -> Iterator[psycopg.Connection[Any]]:
        # Imported here: a query to SQLite should not wait for it.
        import psycopg

        timeout_s = self._spec.timeout_s
        try:
            connection = psycopg.connect(
                self._url, connect_timeout=math.ceil(timeout_s), application_name="muster"
            )
        except psycopg.ProgrammingError as error:
            raise ToolFailed(
                f"{self._spec.url_env} does not hold an address of PostgreSQL; it looks like "
                "postgresql://reader@host/database"
            ) from error
        except psycopg.Error as error:
            raise TransientError(
                f"the database did not let us in ({_text(error)}); is it running, and is the "
                f"address in {self._spec.url_env} right?"
            ) from error
        try:
            with connection:
                connection.read_only = True
                # The guard reads a backslash as a backslash, so the server has to as well.
                connection.execute(
                    "SELECT set_config('statement_timeout', %s, true), "
                    "set_config('standard_conforming_strings', 'on', true)",
                    (str(math.ceil(timeout_s * 1_000)),),
                )
                yield connection
                connection.rollback()
        except psycopg.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: psycopg.Error) -> ToolError:
        state = error.sqlstate or ""
        if state == CANCELLED:
            return ToolFailed(
                f"the query took longer than {self._spec.timeout_s:g} s and was stopped; ask for "
                "less, or raise timeout_s of the database in services.yaml"
            )
        if state == NOT_PERMITTED:
            return ToolFailed(f"the database's role may not do this: {_text(error)}")
        if state.startswith(MENDABLE) or not state:
            return ToolRetry(f"PostgreSQL does not take this: {_text(error)}")
        return TransientError(f"PostgreSQL could not answer: {_text(error)}")


def _text(error: psycopg.Error) -> str:
    said = error.diag.message_primary or str(error) or type(error).__name__
    hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
    return one_line(said + hint, MAX_ERROR_CHARS)


def _shape(schema: str, name: str, columns: list[tuple[Any, ...]]) -> TableShape:
    return TableShape(
        name=name if schema == "public" else f"{schema}.{name}",
        kind="view" if columns[0][2] == "VIEW" else "table",
        columns=tuple(ColumnShape(row[3], row[4], row[5]) for row in columns),
        description=columns[0][6],
    )
