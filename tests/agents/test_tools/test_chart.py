"""A chart is a PNG whose marks are numbered where they can be told apart."""

from __future__ import annotations

import math
import struct
from itertools import cycle, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from agents.sandbox import call
from agents.tool import Toolbox, ToolFailed
from agents.tools import chart, confined_tools
from agents.tools.chart import (
    LEADER_HEIGHTS,
    MAX_MARKS,
    STYLES,
    MarkArguments,
    TimelineArguments,
    TimelineOutput,
    chosen,
    draw,
    fitted,
    leader_height,
    legend_cell,
    legend_rows,
    short_label,
    spread,
)
from config.specs import Indicator
from tests.agents.test_tools.conftest import NOW, Site, line_of, measured, world

TINY = 1e-9


def size_of(png: bytes) -> tuple[int, int]:
    """Return the width and height of a PNG in pixels."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


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
    assert size_of(result.file.data)[0] == 1_200
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


def test_newest_marks_are_kept() -> None:
    """Of too many marks the last ones are drawn, because they led to the answer."""
    marks = [MarkArguments(at=at * 10, kind="change") for at in range(MAX_MARKS + 3)]

    assert [mark.at for mark in chosen(marks, 0, 1_000)] == [mark.at for mark in marks[3:]]


@given(st.lists(st.floats(1, 7), max_size=MAX_MARKS).map(sorted))
def test_circles_stay_apart_inside_the_plot(wanted: list[float]) -> None:
    """Circles keep the order of their lines, do not overlap, and stay inside the plot."""
    places = spread(wanted, 0.3, 1, 7)

    assert len(places) == len(wanted)
    assert all(b - a >= 0.3 - TINY for a, b in pairwise(places))
    assert all(1 - TINY <= place <= 7 + TINY for place in places)


@given(st.lists(st.floats(1, 7), min_size=2, max_size=60).map(sorted))
def test_circles_share_a_plot_that_is_too_narrow(wanted: list[float]) -> None:
    """With no room for the gap, circles stay in order inside the plot, evenly at worst."""
    places = spread(wanted, 0.3, 1, 7)

    least = min(0.3, 6 / (len(wanted) - 1))
    assert all(b - a >= least - TINY for a, b in pairwise(places))
    assert all(1 - TINY <= place <= 7 + TINY for place in places)


@given(st.lists(st.integers(3, 20), unique=True, max_size=MAX_MARKS).map(sorted))
def test_circles_with_room_stand_on_their_lines(wanted: list[int]) -> None:
    """Lines further apart than a circle is wide keep their circles above them."""
    assert spread(wanted, 0.9, 1, 22) == pytest.approx(wanted)


def test_circles_fan_out_around_their_lines() -> None:
    """Lines at one place have their circles on both sides of it, pushed in at the edge."""
    assert spread([5, 5, 5], 1, 0, 10) == [4, 5, 6]
    assert spread([10, 10, 10], 1, 0, 10) == [8, 9, 10]
    assert spread([], 1, 0, 10) == []


@given(st.lists(st.floats(1, 7), max_size=MAX_MARKS).map(sorted))
def test_leaders_are_short(wanted: list[float]) -> None:
    """Circles right on their lines stand close to the plot, others a little higher."""
    places = spread(wanted, 0.3, 1, 7)

    assert leader_height(wanted, wanted) == LEADER_HEIGHTS[0]
    assert LEADER_HEIGHTS[0] <= leader_height(wanted, places) <= LEADER_HEIGHTS[1]


@given(st.integers(1, MAX_MARKS))
def test_legend_reads_down_its_columns(count: int) -> None:
    """Entries fill the first column from the top and then the second, none on another."""
    cells = [legend_cell(index, count) for index in range(count)]

    assert cells == sorted(set(cells))
    assert all(column < 2 and row < legend_rows(count) for column, row in cells)


def test_long_digests_are_shortened() -> None:
    """A commit is written as people quote it; short words and numbers stay whole."""
    commit = "06b5563b1c3477a4cc28c1246928faadade025a8"

    assert short_label(f"deploy  checkout\n{commit}") == "deploy checkout 06b5563"
    assert short_label("image sha256:" + "ab" * 32) == "image sha256:abababa"
    assert short_label("deadbeefcafe at 1795215760000") == "deadbeefcafe at 1795215760000"


@given(st.text(min_size=1, max_size=60), st.integers(1, 60))
def test_text_fits_its_room(text: str, room: int) -> None:
    """Text that fits stays whole; other text ends with an ellipsis inside of its room."""
    shown = fitted(text, room, len)

    assert len(shown) <= room
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


def test_picture_grows_with_its_legend() -> None:
    """The picture is as high as its marks need, also when they are close and their labels long."""
    marks = [
        MarkArguments(at=NOW - 2 + at * 0.1, label="W$^ " * 40, kind=kind)
        for at, kind in zip(range(MAX_MARKS), cycle(STYLES), strict=False)
    ]
    points = [(NOW - at, at / 60) for at in range(60, 0, -1)]
    spec = Indicator(query="up")

    pictures = [
        draw("checkout: errors", spec, points, marks[:count], NOW - 60, NOW)
        for count in (0, 1, 3, 8, MAX_MARKS)
    ]

    sizes = [size_of(picture) for picture in pictures]
    assert {width for width, _ in sizes} == {1_200}
    assert all(less < more for (_, less), (_, more) in pairwise(sizes))


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [-2.0, -1.0], [5e7, 6e7]])
def test_unusual_values_are_drawn(values: list[float]) -> None:
    """One point, nothing but zeros, negative and very large values make a picture, too."""
    points = [(NOW - 60 + at, value) for at, value in enumerate(values)]

    data = draw("a", Indicator(query="up", floor=1.0), points, [], NOW - 8 * 86_400, NOW)

    assert data.startswith(b"\x89PNG")
