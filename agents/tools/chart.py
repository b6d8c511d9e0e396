"""Chart: one indicator over time as a picture, with what happened marked on it."""

from __future__ import annotations

import io
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, Field

from agents import prometheus, world
from agents.tool import File, Limits, Tool, ToolContext, ToolFailed, ToolResult
from agents.wording import amount, clock, indicator_name, one_line, short
from config.specs import Indicator

DEFAULT_LOOK_BACK_S = 900.0
MAX_LOOK_BACK_S = 7 * 86_400.0
MIN_SPAN_S = 60.0
MARGIN_SHARE = 0.05
"""Empty time shown on each side of the marks."""
MAX_MARKS = 16
MAX_LABEL_CHARS = 80
"""More than a column of the legend holds; what does not fit is cut by its measured width."""
SAME_MARK_S = 1.0
"""Marks of one kind this close together are one event."""
LONG_HEX = re.compile(r"\b(?=[0-9]*[a-f])[0-9a-f]{13,}\b", re.IGNORECASE)
"""A digest or a full commit; a number has no letter, and is never cut."""
DPI = 150
WIDTH, PLOT_HEIGHT = 8.0, 2.4
"""The picture's width and the plot's height in inches, like every length below."""
LEFT, RIGHT, EDGE = 0.6, 0.14, 0.14
TITLE_HEIGHT, AXIS_HEIGHT, ROW_HEIGHT = 0.28, 0.28, 0.225
RADIUS, CIRCLE_GAP = 0.085, 0.025
LEADER_HEIGHTS = (0.07, 0.26)
"""How far circles stand above the plot: right on their lines, and when fanned out far."""
LEADER_SLOPE = 0.22
SAMPLE = 0.34
"""Length of the line that shows a mark's kind in the legend."""
GAP = 0.08
COLUMNS = 2
TITLE_SIZE, TEXT_SIZE, NUMBER_SIZE = 12.0, 8.6, 7.4
PAPER, INK, MUTED, GRID, ACCENT = "#ffffff", "#1f2933", "#616e7c", "#e4e7eb", "#2457c5"
Stroke = Literal["solid"] | tuple[float, tuple[float, ...]]
STYLES: dict[str, tuple[float, Stroke]] = {
    "change": (1.3, (0, (4, 2))),
    "alert": (1.5, (0, (1, 1.2))),
    "decision": (1.1, (0, (5, 1.6, 1, 1.6))),
    "action": (1.3, "solid"),
    "recovery": (1.1, (0, (9, 2.5))),
    "symptom": (1.1, (0, (1, 3.2))),
}
"""Width and dashes by the kind of mark: kinds differ by stroke, not by colour.

Marks of other kinds are not drawn.
"""
TIME_PATTERNS = ((1_800.0, "%H:%M:%S"), (86_400.0, "%H:%M"), (math.inf, "%d %b %H:%M"))
"""How times are written on the axis, by the longest span it suits."""
LEGEND_PATTERNS = ((86_400.0, "%H:%M:%S"), (math.inf, "%d %b %H:%M"))
BIG_NUMBER = 10_000.0
"""From here on the axis counts in thousands, millions and so on."""
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


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending places as little as possible until they are `gap` apart, within the limits.

    When there is no room for the gap, the places share what there is.
    """
    if len(wanted) > 1:
        gap = min(gap, (high - low) / (len(wanted) - 1))
    # Without the gaps, places may coincide but not cross: those that cross meet in their middle.
    groups: list[tuple[float, int]] = []
    for index, place in enumerate(wanted):
        mean, count = place - index * gap, 1
        while groups and groups[-1][0] > mean:
            before, size = groups.pop()
            mean = (mean * count + before * size) / (count + size)
            count += size
        groups.append((mean, count))
    last = high - gap * (len(wanted) - 1)
    flat = [max(low, min(mean, last)) for mean, count in groups for _ in range(count)]
    return [place + index * gap for index, place in enumerate(flat)]


def leader_height(wanted: Sequence[float], places: Sequence[float]) -> float:
    """Return how far above the plot circles stand, so that their leaders do not lie flat."""
    moved = max((abs(a - b) for a, b in zip(wanted, places, strict=True)), default=0.0)
    least, most = LEADER_HEIGHTS
    return min(most, least + LEADER_SLOPE * moved)


def legend_cell(index: int, count: int) -> tuple[int, int]:
    """Return an entry's column and row: in order down the first column, then the second."""
    height = legend_rows(count)
    return index // height, index % height


def legend_rows(count: int) -> int:
    """Return the rows that so many entries take."""
    return math.ceil(count / COLUMNS)


def short_label(text: str) -> str:
    """Return a label on one line with its digests cut to the length that people quote."""
    return one_line(LONG_HEX.sub(lambda found: short(found[0]), text), MAX_LABEL_CHARS)


def fitted(text: str, room: float, width: Callable[[str], float]) -> str:
    """Return the text if it is at most that wide, or as much of it as fits, and an ellipsis."""
    if width(text) <= room:
        return text

    def cut(end: int) -> str:
        return text[:end].rstrip() + "…"

    fitting = bisect_right(range(len(text)), room, key=lambda end: width(cut(end)))
    return cut(max(0, fitting - 1))


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
    from matplotlib.figure import Figure

    span = end - start
    left, width = start - span * MARGIN_SHARE, span * (1 + 2 * MARGIN_SHARE)
    plot_width = WIDTH - LEFT - RIGHT
    wanted = [LEFT + plot_width * (mark.at - left) / width for mark in marks]
    places = spread(wanted, 2 * RADIUS + CIRCLE_GAP, LEFT + RADIUS, WIDTH - RIGHT - RADIUS)
    leader = leader_height(wanted, places)
    lane = leader + 2 * RADIUS + GAP if marks else 0.0
    legend = ROW_HEIGHT * legend_rows(len(marks)) + GAP if marks else 0.0
    bottom = EDGE + legend + AXIS_HEIGHT
    height = bottom + PLOT_HEIGHT + lane + TITLE_HEIGHT + EDGE

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes(
        (LEFT / WIDTH, bottom / height, plot_width / WIDTH, PLOT_HEIGHT / height), facecolor=PAPER
    )
    unit = _draw_curve(axes, spec, points, span)
    axes.set_xlim(_moment(left), _moment(left + width))  # type: ignore[arg-type]
    pen = _Pen(figure)
    ends = pen.text(
        WIDTH - RIGHT, height - EDGE - 0.1, f"{unit}, time in UTC".lstrip(", "), ha="right"
    )
    pen.title(EDGE, height - EDGE - 0.1, title, WIDTH - RIGHT - ends - 2 * GAP - EDGE)
    top = bottom + PLOT_HEIGHT
    for number, (mark, at, place) in enumerate(zip(marks, wanted, places, strict=True), 1):
        pen.line((at, at), (bottom, top), *STYLES[mark.kind])
        pen.line((at, place), (top, top + leader), 0.8)
        pen.circle(place, top + leader + RADIUS, number)
    _draw_legend(pen, marks, span, EDGE + legend - GAP)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor=PAPER)
    return buffer.getvalue()


def _draw_curve(
    axes: Any, spec: Indicator, points: Sequence[tuple[float, float]], span: float
) -> str:
    """Draw the indicator with its axes; gives the unit that they are in."""
    from matplotlib.dates import AutoDateLocator, DateFormatter
    from matplotlib.ticker import EngFormatter

    scale, unit = UNIT_SCALES.get(spec.unit, (1.0, spec.unit))
    times = [_moment(at) for at, _ in points]
    values = [value * scale for _, value in points]
    axes.plot(times, values, color=ACCENT, linewidth=1.8)
    axes.fill_between(times, values, color=ACCENT, alpha=0.10, linewidth=0)
    bottom, top = min(0.0, *values), max(0.0, spec.floor * scale * 1.2, *values)
    if bottom == top:
        top = 1.0
    axes.set_ylim(bottom * 1.08, top * 1.08)
    if spec.floor:
        axes.axhline(spec.floor * scale, color=MUTED, linewidth=0.8, linestyle=(0, (5, 4)))
    locator: Any = AutoDateLocator(minticks=3, maxticks=7, tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter: Any = DateFormatter(_pattern(TIME_PATTERNS, span), tz=UTC)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.locator_params(axis="y", nbins=6)
    if max(top, -bottom) >= BIG_NUMBER:
        axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    else:
        axes.ticklabel_format(axis="y", style="plain", useOffset=False)
    axes.tick_params(colors=MUTED, labelsize=TEXT_SIZE, length=3)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    return unit


def _draw_legend(pen: _Pen, marks: Sequence[MarkArguments], span: float, top: float) -> None:
    pattern = _pattern(LEGEND_PATTERNS, span)
    column_width = (WIDTH - EDGE - RIGHT + 2 * GAP) / COLUMNS
    for index, mark in enumerate(marks):
        column, row = legend_cell(index, len(marks))
        x, y = EDGE + column * column_width, top - ROW_HEIGHT * (row + 0.5)
        stop = x + column_width - 2 * GAP
        pen.circle(x + RADIUS, y, index + 1)
        x += 2 * RADIUS + GAP
        pen.line((x, x + SAMPLE), (y, y), *STYLES[mark.kind])
        x += SAMPLE + GAP
        x += pen.text(x, y, _moment(mark.at).strftime(pattern)) + GAP
        pen.text(x, y, short_label(mark.label or mark.kind), color=INK, room=stop - x)


class _Pen:
    """Draws on a picture in inches from its lower left corner."""

    def __init__(self, figure: Any) -> None:
        self._figure = figure
        self._renderer = figure.canvas.get_renderer()

    def line(
        self,
        xs: tuple[float, float],
        ys: tuple[float, float],
        width: float,
        stroke: Stroke = "solid",
    ) -> None:
        """Draw a line."""
        from matplotlib.lines import Line2D

        self._figure.add_artist(
            Line2D(
                xs,
                ys,
                color=INK,
                linewidth=width,
                linestyle=stroke,
                transform=self._figure.dpi_scale_trans,
            )
        )

    def circle(self, x: float, y: float, number: int) -> None:
        """Draw a circle with a number in it."""
        from matplotlib.patches import Circle

        self._figure.add_artist(
            Circle(
                (x, y),
                RADIUS,
                facecolor=PAPER,
                edgecolor=INK,
                linewidth=0.9,
                transform=self._figure.dpi_scale_trans,
            )
        )
        self.text(x, y, str(number), color=INK, size=NUMBER_SIZE, ha="center")

    def title(self, x: float, y: float, text: str, room: float) -> None:
        """Write the picture's title."""
        self.text(x, y, text, color=INK, size=TITLE_SIZE, weight="bold", room=room)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        color: str = MUTED,
        size: float = TEXT_SIZE,
        weight: str = "normal",
        ha: str = "left",
        room: float = math.inf,
    ) -> float:
        """Write text, cut to the room it has; gives the width it takes."""
        from matplotlib.font_manager import FontProperties

        font = FontProperties(size=size, weight=weight)

        def width(part: str) -> float:
            found: float = self._renderer.get_text_width_height_descent(part, font, ismath=False)[0]
            return found / DPI

        shown = fitted(text, room, width)
        self._figure.text(
            x,
            y,
            shown,
            transform=self._figure.dpi_scale_trans,
            color=color,
            fontproperties=font,
            ha=ha,
            va="center_baseline",
            parse_math=False,
        )
        return width(shown)


def _pattern(patterns: Sequence[tuple[float, str]], span: float) -> str:
    return next(pattern for longest, pattern in patterns if span <= longest)


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


TOOLS = (
    Tool(
        name="chart.timeline",
        description="Draw one indicator of a service over time, with moments marked on it.",
        arguments=TimelineArguments,
        output=TimelineOutput,
        run=timeline,
        limits=Limits(timeout_s=60),
    ),
)
