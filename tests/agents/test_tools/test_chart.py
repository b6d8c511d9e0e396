"""A chart is a PNG with its marks where they can be read."""

from __future__ import annotations

import math
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from agents.sandbox import call
from agents.tool import Toolbox, ToolFailed
from agents.tools import chart, confined_tools
from agents.tools.chart import MarkArguments, TimelineArguments, TimelineOutput, chosen, rows
from tests.agents.test_tools.conftest import NOW, Site, line_of, measured, world


async def test_picture_is_drawn_in_the_sandbox(site: Site) -> None:
    """A PNG comes back, and the text says what is on it."""
    site.serves_series({"errors": line_of(0.2), "rate": line_of(20.0)})
    marks: list[JsonValue] = [
        {"at": NOW - 60, "text": "Deploy $x$ checkout", "kind": "change"},
        {"at": NOW - 30, "label": "Alert", "kind": "alert"},
        {"at": NOW - 20, "text": "just a note", "kind": "note"},
    ]

    result = await call(
        Toolbox(confined_tools())["chart.timeline"],
        {"service": "checkout", "indicator": "error_ratio", "marks": marks},
        world(checkout=measured(site)),
    )

    assert isinstance(result.output, TimelineOutput)
    assert (result.output.points, result.output.marks) == (121, 2)
    assert result.file is not None
    assert result.file.data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", result.file.data[16:24])
    assert (width, height) == (1170, 494)
    assert "Deploy $x$ checkout" in result.text


async def test_no_data_is_no_picture(site: Site) -> None:
    """An empty series is a failure that says so."""
    site.serves_series({"errors": [(NOW - 1, math.nan)]})

    with pytest.raises(ToolFailed, match="no data to draw"):
        await chart.timeline(
            world(checkout=measured(site)),
            TimelineArguments(service="checkout", indicator="error_ratio"),
        )


def test_marks_are_chosen() -> None:
    """Marks outside of the time, of no kind, or of the same event are left out."""
    marks = [
        MarkArguments(at=5, label="early", kind="alert"),
        MarkArguments(at=20, label="a", kind="alert"),
        MarkArguments(at=20.5, label="again", kind="alert"),
        MarkArguments(at=20.5, label="b", kind="change"),
        MarkArguments(at=30, label="n", kind="note"),
    ]

    assert [mark.label for mark in chosen(marks, 10, 100)] == ["a", "b"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 0.5)), max_size=12))
def test_labels_of_a_row_never_overlap(spans: list[tuple[float, float]]) -> None:
    """Two labels share a row only if one ends before the other begins."""
    placed = sorted((left, left + width) for left, width in spans)
    given_rows = rows(placed)

    for row in set(given_rows):
        inside = [span for span, own in zip(placed, given_rows, strict=True) if own == row]
        assert all(a[1] <= b[0] for a, b in pairwise(inside))
