"""Reads SQLite: the file is opened read-only, and the engine asks about all that it touches."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from agents.databases.guard import (
    SQLITE_FORBIDDEN,
    checked,
    is_readable,
    refusal,
)
from agents.databases.shapes import (
    MAX_TABLES,
    Cell,
    ColumnShape,
    Dialect,
    Rows,
    TableShape,
    rows_of,
)
from agents.tool import ToolFailed, ToolRetry, TransientError
from config.specs import DatabaseSpec

STEPS_BETWEEN_LOOKS = 10_000
"""How many of the engine's steps pass between two looks at the clock."""
MAX_VALUE_BYTES = 4 * 1024 * 1024
JSON_TABLES = ("json_each", "json_tree")
BUSY_CODES = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_LIST = "SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"


class SqliteReader:
    """One SQLite file."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: str, spec: DatabaseSpec) -> None:
        self._path = Path(path)
        self._spec = spec

    def query(self, sql: str, parameters: Sequence[Cell]) -> Rows:
        """Return the rows of one statement."""
        statement = checked(sql, self.dialect, self._spec.tables, len(parameters))
        with self._opened() as connection:
            for function in JSON_TABLES:
                # Its first use declares a table, which the authorizer would have to allow.
                connection.execute(f"SELECT 1 FROM {function}('[]')")  # noqa: S608 - our own names
            denied: list[str] = []
            connection.set_authorizer(self._authorizer(statement.own_names, denied))
            try:
                cursor = connection.execute(statement.sql, parameters)
                columns = [item[0] for item in cursor.description or ()]
                return rows_of(columns, cursor, self._spec.max_rows)
            except sqlite3.DatabaseError as error:
                if denied:
                    raise refusal(denied[0], self._spec.tables) from error
                raise
            except (OverflowError, sqlite3.Warning) as error:
                raise ToolRetry(f"SQLite does not take this: {error}") from error

    def tables(self) -> list[TableShape]:
        """Return the tables and views that may be read."""
        with self._opened() as connection:
            found = [
                (name, kind)
                for name, kind in connection.execute(_LIST)
                if is_readable(name, "", self.dialect, self._spec.tables)
            ]
            return [
                TableShape(name, kind, tuple(_columns(connection, name)))
                for name, kind in found[:MAX_TABLES]
            ]

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if not self._path.is_absolute() or not self._path.is_file():
            raise ToolFailed(
                f"there is no database file {self._path} on the worker's machine; "
                "correct the path in services.yaml (it has to be absolute)"
            )
        address = f"file:{quote(str(self._path))}?mode=ro"
        timeout_s = self._spec.timeout_s
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=timeout_s)) as connection:
                connection.execute("PRAGMA query_only = ON")
                connection.execute("PRAGMA trusted_schema = OFF")
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
                deadline = time.monotonic() + timeout_s
                connection.set_progress_handler(
                    lambda: int(time.monotonic() > deadline), STEPS_BETWEEN_LOOKS
                )
                yield connection
        except sqlite3.DatabaseError as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.DatabaseError) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            return ToolFailed(
                f"the query took longer than {self._spec.timeout_s:g} s and was stopped; ask for "
                "less, or raise timeout_s of the database in services.yaml"
            )
        if code in BUSY_CODES:
            return TransientError(f"the database is locked: {error}")
        if code in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            return ToolFailed(f"{self._path} cannot be read: {error}; correct it in services.yaml")
        return ToolRetry(f"SQLite does not take this: {error}")

    def _authorizer(
        self, own_names: frozenset[str], denied: list[str]
    ) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
        """Return what SQLite asks about each thing that the statement would touch."""

        def is_allowed(action: int, first: str, second: str, schema: str, view: str) -> bool:
            if action in {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}:
                return True
            if action == sqlite3.SQLITE_FUNCTION:
                return second.lower() not in SQLITE_FORBIDDEN
            if action != sqlite3.SQLITE_READ:
                return False
            if first.lower() in JSON_TABLES:
                return True
            if not second and first.lower() in own_names:
                return True  # `count(*)` over a CTE is asked about by the CTE's name.
            # What a listed view reads is the view's business.
            return is_readable(view or first, schema, self.dialect, self._spec.tables)

        def authorize(
            action: int,
            first: str | None,
            second: str | None,
            schema: str | None,
            view: str | None,
        ) -> int:
            if is_allowed(action, first or "", second or "", schema or "", view or ""):
                return sqlite3.SQLITE_OK
            denied.append(second if action == sqlite3.SQLITE_FUNCTION and second else first or "it")
            return sqlite3.SQLITE_DENY

        return authorize


def _columns(connection: sqlite3.Connection, table: str) -> Iterator[ColumnShape]:
    targets = {
        row[0]: f"→ {row[1]}" + (f".{row[2]}" if row[2] else "")
        for row in connection.execute(
            'SELECT "from", "table", "to" FROM pragma_foreign_key_list(?)', (table,)
        )
    }
    columns = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (table,))
    for name, kind, key in columns:
        yield ColumnShape(name, kind, "primary key" if key else targets.get(name, ""))
