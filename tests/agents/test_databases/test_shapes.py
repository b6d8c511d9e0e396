"""Values of a database become plain values that JSON can carry."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from agents.databases.shapes import MAX_SAFE_INTEGER, Cell, rows_of


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (MAX_SAFE_INTEGER + 1, str(MAX_SAFE_INTEGER + 1)),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (Decimal("12.50"), 12.5),
        (Decimal(12), 12),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (Decimal("NaN"), "NaN"),
        (date(2026, 11, 20), "2026-11-20"),
        (datetime(2026, 11, 20, 8, 30, tzinfo=UTC), "2026-11-20T08:30:00+00:00"),
        (timedelta(minutes=2), 120.0),
        (b"abc", "[3 bytes]"),
        ({"a": [1]}, '{"a": [1]}'),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_values_become_plain(value: Any, plain: Cell) -> None:
    """Each kind of value has one plain form, and numbers stay numbers where nothing is lost."""
    (row,) = rows_of(["x"], [(value,)], 1).rows

    assert row == (plain,)
    assert type(row[0]) is type(plain)
