"""What is read from a database, whichever it is: rows of plain values, and tables."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol

from agents.redact import MASK, redact

Dialect = Literal["sqlite", "postgres"]
Cell = str | int | float | bool | None
MAX_CELL_CHARS = 2_000
MAX_TABLES = 200
MAX_SAFE_INTEGER = 2**53
"""Larger whole numbers lose digits where JSON is read as floats, so they travel as text."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement gave; `is_cut` when there were more rows or longer values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column; `note` says what it refers to, or what people wrote about it."""

    name: str
    type: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table or view that may be read."""

    name: str
    kind: Literal["table", "view"]
    columns: tuple[ColumnShape, ...]
    description: str = ""


class Reader(Protocol):
    """A database opened for reading."""

    dialect: Dialect

    def query(self, sql: str, parameters: Sequence[Cell]) -> Rows:
        """Return the rows of one statement; ToolRetry when it may not or cannot run."""
        ...

    def tables(self) -> list[TableShape]:
        """Return the tables that may be read, by name."""
        ...


def rows_of(columns: Sequence[str], found: Iterable[Sequence[Any]], max_rows: int) -> Rows:
    """Return at most `max_rows` rows as plain values; `found` should hold one more if there is."""
    names = _distinct(columns)
    kept: list[tuple[Cell, ...]] = []
    is_cut = False
    for row in found:
        if len(kept) == max_rows:
            is_cut = True
            break
        cells = [_cell(value) for value in row]
        is_cut = is_cut or any(isinstance(one, str) and one.endswith(_CUT) for one in cells)
        kept.append(tuple(_masked(*pair) for pair in zip(names, cells, strict=True)))
    return Rows(names, tuple(kept), is_cut)


_CUT = "…[cut]"


def _cell(value: Any) -> Cell:
    match value:
        case None | bool():
            return value
        case int():
            return value if abs(value) <= MAX_SAFE_INTEGER else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case Decimal():
            return _number(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes() | bytearray() | memoryview():
            return f"[{len(bytes(value))} bytes]"
        case dict() | list():
            return _short(json.dumps(value, ensure_ascii=False, default=str))
        case _:
            return _short(str(value))


def _number(value: Decimal) -> Cell:
    """Return a decimal as the number that is written the same, else as text."""
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value() and abs(value) <= MAX_SAFE_INTEGER:
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else str(value)


def _short(text: str) -> str:
    return text if len(text) <= MAX_CELL_CHARS else text[:MAX_CELL_CHARS] + _CUT


def _masked(column: str, value: Cell) -> Cell:
    """Mask a text whose column says that it is a secret; other secrets are known by their look."""
    if isinstance(value, str) and value and redact(f"{column}: x") != f"{column}: x":
        return MASK
    return value


def _distinct(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names with a number behind those that repeat: rows are read by column name."""
    found: list[str] = []
    for name in columns:
        candidate, number = name, 1
        while candidate in found:
            number += 1
            candidate = f"{name}_{number}"
        found.append(candidate)
    return tuple(found)
