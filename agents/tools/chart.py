"""Chart: one indicator over time as a picture, with what happened marked on it."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import AliasChoices, BaseModel, Field

from agents import prometheus, world
from agents.tool import File, Limits, Tool, ToolContext, ToolFailed, ToolResult
from agents.wording import amount, clock, indicator_name, one_line
from config.specs import Indicator

DEFAULT_LOOK_BACK_S = 900.0
MAX_LOOK_BACK_S = 7 * 86_400.0
MIN_SPAN_S = 60.0
MARGIN_SHARE = 0.05
"""Empty time shown on each side of the marks."""
MAX_MARKS = 12
MAX_LABEL_CHARS = 34
SAME_MARK_S = 1.0
"""Marks of one kind this close together are one event."""
WIDTH_IN, HEIGHT_IN, DPI = 9.0, 3.8, 130
TOP = 0.89
"""Where the title begins, as a share of the picture."""
ROW_HEIGHT = 0.075
"""Height of a row of labels as a share of the plot."""
CHAR_WIDTH = 0.0095
"""Width of a label's character as a share of the plot, at the label's font size."""
PAPER, INK, MUTED, GRID, ACCENT = "#ffffff", "#1f2933", "#616e7c", "#e4e7eb", "#2457c5"
STYLES = {
    "change": (0, (4, 2)),
    "alert": (0, (1, 1)),
    "decision": (0, (3, 1, 1, 1)),
    "action": "solid",
    "recovery": "solid",
    "symptom": (0, (1, 2)),
}
"""Line style by the kind of mark: kinds differ by shape, not by colour. Others are not drawn."""
TIME_PATTERNS = ((1_800.0, "%H:%M:%S"), (86_400.0, "%H:%M"), (math.inf, "%d %b %H:%M"))
"""How times are written, by the longest span it suits."""
UNIT_SCALES = {"ratio": (100.0, "%"), "seconds": (1_000.0, "ms"), "per_second": (1.0, "per second")}


class MarkArguments(BaseModel, extra="ignore"):
    """A moment to mark; a timeline's entry fits."""

    at: float
    label: str = Field("", validation_alias=AliasChoices("label", "text"))
    kind: str = "note"


class TimelineArguments(BaseModel, extra="forbid"):
    """What to draw, from when to when, and what to mark."""

    service: str
    indicator: str
    from_s: float | None = Field(None, description="Unix seconds.")
    to_s: float | None = Field(None, description="Unix seconds; now when left out.")
    last_s: float = Field(DEFAULT_LOOK_BACK_S, gt=0, le=MAX_LOOK_BACK_S)
    marks: list[MarkArguments] = Field(default_factory=list, max_length=200)


class TimelineOutput(BaseModel):
    """What was drawn."""

    title: str
    points: int
    marks: int
    line: str = ""


async def timeline(context: ToolContext, args: TimelineArguments) -> ToolResult:
    """Draw the indicator as a PNG."""
    spec = world.indicator(context, args.service, args.indicator)
    base = prometheus.api(world.service(context, args.service).metrics, args.service)
    end = min(args.to_s if args.to_s is not None else context.now, context.now)
    start = args.from_s if args.from_s is not None else end - args.last_s
    start = min(start, end - MIN_SPAN_S)
    points = [
        (at, value)
        for at, value in prometheus.query_range(base, spec, start, end)
        if math.isfinite(value)
    ]
    if not points:
        raise ToolFailed(f"{args.service} {args.indicator} has no data to draw in that time")
    # Time before the first sample is empty; marks keep their place.
    start = max(start, min(points[0][0], end - MIN_SPAN_S))
    marks = chosen(args.marks, start, end)
    title = f"{args.service}: {indicator_name(args.indicator)}"
    line = (
        f"chart of {title}, {len(points)} points from {clock(points[0][0])} "
        f"to {clock(points[-1][0])}, highest {amount(max(v for _, v in points), spec.unit)}"
    )
    picture = draw(title, spec, points, marks, start, end)
    output = TimelineOutput(title=title, points=len(points), marks=len(marks), line=line)
    return ToolResult(
        output,
        "\n".join([line, *(f"marked {clock(m.at)} {m.kind}: {m.label}" for m in marks)]),
        title,
        File(f"{args.service}-{args.indicator}.png", "image/png", picture),
    )


def chosen(marks: Sequence[MarkArguments], start: float, end: float) -> list[MarkArguments]:
    """Return the marks worth drawing, in order, each event once."""
    kept: list[MarkArguments] = []
    for mark in sorted(marks, key=lambda one: one.at):
        if mark.kind not in STYLES or not start <= mark.at <= end:
            continue
        if any(k.kind == mark.kind and mark.at - k.at <= SAME_MARK_S for k in kept):
            continue
        kept.append(mark)
    return kept[-MAX_MARKS:]


def rows(spans: Sequence[tuple[float, float]]) -> list[int]:
    """Give each label, by its left and right edge, the lowest row where it overlaps no other."""
    ends: list[float] = []
    given = []
    for left, right in spans:
        row = next((i for i, end in enumerate(ends) if end <= left), len(ends))
        ends[row:] = [right, *ends[row + 1 :]]
        given.append(row)
    return given


def draw(
    title: str,
    spec: Indicator,
    points: Sequence[tuple[float, float]],
    marks: Sequence[MarkArguments],
    start: float,
    end: float,
) -> bytes:
    """Return the picture as PNG bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, DateFormatter
    from matplotlib.figure import Figure

    scale, unit = UNIT_SCALES.get(spec.unit, (1.0, spec.unit))
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(facecolor=PAPER)
    times: Any = [_moment(at) for at, _ in points]
    values = [value * scale for _, value in points]
    axes.plot(times, values, color=ACCENT, linewidth=1.6)
    axes.fill_between(times, values, color=ACCENT, alpha=0.10, linewidth=0)
    span = end - start
    edges: Any = (_moment(start - span * MARGIN_SHARE), _moment(end + span * MARGIN_SHARE))
    axes.set_xlim(*edges)
    top = max(*values, spec.floor * scale * 1.2, 1e-9)
    axes.set_ylim(0 if min(values) >= 0 else min(values) * 1.1, top * 1.12)
    if spec.floor:
        axes.axhline(spec.floor * scale, color=MUTED, linewidth=0.8, linestyle=(0, (5, 4)))
    left, width = start - span * MARGIN_SHARE, span * (1 + 2 * MARGIN_SHARE)
    levels = _rows(marks, left, width)
    _draw_marks(axes, marks, left, width, levels)
    axes.set_ylabel(unit, color=MUTED, fontsize=8)
    axes.set_xlabel("UTC", color=MUTED, fontsize=8)
    locator: Any = AutoDateLocator(minticks=4, maxticks=9, tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    pattern = next(pattern for longest, pattern in TIME_PATTERNS if span <= longest)
    formatter: Any = DateFormatter(pattern, tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.tick_params(colors=MUTED, labelsize=8, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    figure.text(0.012, 0.965, title, color=INK, fontsize=11, fontweight="bold", va="top")
    figure.subplots_adjust(
        left=0.07, right=0.97, bottom=0.13, top=_plot_top(max(levels, default=-1) + 1)
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=PAPER)
    return buffer.getvalue()


def _label(mark: MarkArguments) -> str:
    return one_line(mark.label or mark.kind, MAX_LABEL_CHARS)


def _rows(marks: Sequence[MarkArguments], left: float, width: float) -> list[int]:
    spans = []
    for mark in marks:
        at = (mark.at - left) / width
        length = CHAR_WIDTH * (len(_label(mark)) + 2)
        # A label near the right edge is written to the left of its line.
        spans.append((at - length, at) if at + length > 1 else (at, at + length))
    order = sorted(range(len(spans)), key=lambda index: spans[index][0])
    placed = rows([spans[index] for index in order])
    given = [0] * len(spans)
    for index, row in zip(order, placed, strict=True):
        given[index] = row
    return given


def _plot_top(count: int) -> float:
    """Leave room above the plot for the title and that many rows of labels."""
    return TOP / (1 + ROW_HEIGHT * (count + 0.5))


def _draw_marks(
    axes: Any, marks: Sequence[MarkArguments], left: float, width: float, levels: Sequence[int]
) -> None:
    for mark, row in zip(marks, levels, strict=True):
        style = STYLES[mark.kind]
        height = 1.02 + ROW_HEIGHT * row
        axes.plot(
            [_moment(mark.at)] * 2,
            [0, height],
            color=INK,
            linewidth=0.9,
            linestyle=style,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
        )
        is_right = (mark.at - left) / width + CHAR_WIDTH * (len(_label(mark)) + 2) > 1
        axes.text(
            _moment(mark.at),
            height,
            f"{_label(mark)} " if is_right else f" {_label(mark)}",
            transform=axes.get_xaxis_transform(),
            color=INK,
            fontsize=7.5,
            ha="right" if is_right else "left",
            va="center",
            clip_on=False,
            parse_math=False,
        )


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


TOOLS = (
    Tool(
        name="chart.timeline",
        description="Draw one indicator of a service over time, with moments marked on it.",
        arguments=TimelineArguments,
        output=TimelineOutput,
        run=timeline,
        is_trusted=True,
        limits=Limits(timeout_s=60),
    ),
)
