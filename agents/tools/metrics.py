"""Metrics: series, current values, when they became bad, and waiting until they are good."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Literal

from pydantic import BaseModel, Field

from agents import prometheus, world
from agents.onset import Kind, current, is_good, onset
from agents.prometheus import Series
from agents.tool import Limits, Tool, ToolContext, ToolError, ToolResult, ToolRetry, TransientError
from agents.wording import amount, clock, number, utc
from config.specs import Indicator

DEFAULT_LOOK_BACK_S = 900.0
MAX_LOOK_BACK_S = 7 * 86_400.0
MAX_SHOWN_POINTS = 120
SETTLE_S = 20.0
"""How old a symptom must be before it counts as lasting; a blip has left a 10 s window by then."""
MAX_SETTLE_S = 120.0
POLL_S = 1.0
SCRAPE_GAP_S = 1.5
SURGE_FACTOR = 1.5
"""Traffic this many times its usual level is a surge."""
RECENT_S = 60.0
"""How far back the latest value is looked for: two scrapes at the usual 15 to 30 s."""
MAX_WAIT_S = 600.0
WAIT_LIMITS = Limits(timeout_s=MAX_WAIT_S + 30)


class RangeArguments(BaseModel, extra="forbid"):
    """Which series, and from when to when; the last 15 minutes by default."""

    service: str
    indicator: str
    from_s: float | None = Field(None, description="Unix seconds.")
    to_s: float | None = Field(None, description="Unix seconds; now when left out.")
    last_s: float = Field(DEFAULT_LOOK_BACK_S, gt=0, le=MAX_LOOK_BACK_S)


class RangeOutput(BaseModel):
    """A series, thinned to what a reader needs."""

    service: str
    indicator: str
    unit: str
    points: list[tuple[float, float]]
    lowest: float | None
    highest: float | None
    current: float | None


class CurrentArguments(BaseModel, extra="forbid"):
    """Which service to look at right now."""

    service: str


class CurrentOutput(BaseModel):
    """What the service's own /metrics page says now."""

    service: str
    version: str = ""
    request_rate: float | None = None
    error_ratio: float | None = None
    latency_p95: float | None = None
    line: str = ""


class OnsetArguments(BaseModel, extra="forbid"):
    """Which service to examine, with what it depends on."""

    service: str
    with_dependencies: bool = True
    last_s: float = Field(DEFAULT_LOOK_BACK_S, gt=0, le=MAX_LOOK_BACK_S)
    settle_s: float = Field(
        SETTLE_S, ge=0, le=MAX_SETTLE_S, description="Look again until a symptom is this old."
    )


class IndicatorOnset(BaseModel):
    """What one indicator did; `line` is its line of the evidence."""

    service: str
    indicator: str
    unit: str
    bad: Literal["high", "low"]
    floor: float
    is_symptom: bool = False
    is_normal_now: bool | None = None
    onset_at: float | None = None
    until: float | None = None
    before: float | None = None
    after: float | None = None
    current: float | None = None
    direction: Literal["up", "down", "flat"] = "flat"
    is_blip: bool = False
    surge_at: float | None = None
    line: str = ""


class OnsetOutput(BaseModel):
    """Every indicator of the service and of what it depends on."""

    service: str
    checked_at: float
    depends_on: list[str] = Field(default_factory=list)
    indicators: list[IndicatorOnset] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)


class WaitArguments(BaseModel, extra="forbid"):
    """What must be good again, for how long, and how long to wait for it."""

    service: str
    indicators: list[str] = Field(default_factory=list, description="All when empty.")
    since: float | None = Field(None, description="When it became bad; normal is before that.")
    within_s: float = Field(120.0, gt=0, le=MAX_WAIT_S)
    steady_s: float = Field(5.0, ge=0, le=300)


class WaitOutput(BaseModel):
    """Whether it is normal; `lines` say it with numbers, indicator by indicator."""

    service: str
    is_normal: bool
    normal_since: float | None = None
    waited_s: float = 0.0
    values: dict[str, float | None] = Field(default_factory=dict)
    lines: list[str] = Field(default_factory=list)


async def range_(context: ToolContext, args: RangeArguments) -> ToolResult:
    """Return a series with its extremes."""
    spec = world.indicator(context, args.service, args.indicator)
    base = prometheus.api(world.service(context, args.service).metrics, args.service)
    end = args.to_s if args.to_s is not None else context.now
    start = args.from_s if args.from_s is not None else end - args.last_s
    points = prometheus.query_range(base, spec, min(start, end), end)
    values = [value for _, value in points if math.isfinite(value)]
    output = RangeOutput(
        service=args.service,
        indicator=args.indicator,
        unit=spec.unit,
        points=_thin(points),
        lowest=min(values, default=None),
        highest=max(values, default=None),
        current=current(points),
    )
    head = (
        f"{args.service} {args.indicator}: lowest {number(output.lowest)}, "
        f"highest {number(output.highest)}, now {number(output.current)} ({spec.unit})"
    )
    lines = [f"{utc(at)} {number(value)}" for at, value in output.points]
    return ToolResult(output, "\n".join([head, *lines]), f"{args.service} {args.indicator}")


async def current_(context: ToolContext, args: CurrentArguments) -> ToolResult:
    """Read the /metrics page twice and compute rates from the difference."""
    spec = world.service(context, args.service).metrics
    if not spec.scrape:
        raise ToolRetry(f"{args.service} has no /metrics page; set metrics.scrape in services.yaml")
    first = prometheus.scrape(spec.scrape, time.monotonic())
    await asyncio.sleep(SCRAPE_GAP_S)
    second = prometheus.scrape(spec.scrape, time.monotonic())
    rate = prometheus.request_rate(first, second)
    errors = prometheus.error_ratio(first, second)
    p95 = prometheus.latency_p95(first, second)
    line = (
        f"{args.service} now: {amount(rate, 'per_second')}, errors {amount(errors, 'ratio')}, "
        f"p95 {amount(p95, 'seconds')}, version {second.version or 'unknown'}"
    )
    output = CurrentOutput(
        service=args.service,
        version=second.version,
        request_rate=rate,
        error_ratio=errors,
        latency_p95=p95,
        line=line,
    )
    return ToolResult(output, line, f"{args.service} now")


async def onset_(context: ToolContext, args: OnsetArguments) -> ToolResult:
    """Find when each indicator became bad; a young symptom is looked at again."""
    names = world.with_dependencies(context, args.service)
    names = names if args.with_dependencies else names[:1]
    started, at = time.monotonic(), context.now
    while True:
        found, missing = _examine(context, names, at, args.last_s)
        young = [
            item
            for item in found
            if item.is_normal_now is False
            and item.onset_at is not None
            and at - item.onset_at < args.settle_s
        ]
        waited = time.monotonic() - started
        if not young or waited > args.settle_s:
            break
        await asyncio.sleep(POLL_S)
        at = context.now + (time.monotonic() - started)
    missing += world.unknown_dependencies(context, names)
    output = OnsetOutput(
        service=args.service,
        checked_at=at,
        depends_on=names[1:],
        indicators=found,
        missing=missing,
    )
    head = f"looked at {utc(at)}, back to {utc(at - args.last_s)}"
    text = "\n".join([head, *(item.line for item in found), *missing])
    return ToolResult(output, text, f"When {args.service} became bad")


async def wait_normal(context: ToolContext, args: WaitArguments) -> ToolResult:
    """Poll until all indicators have been good for `steady_s`, or the time is up."""
    spec = world.service(context, args.service).metrics
    base = prometheus.api(spec, args.service)
    names = args.indicators or list(spec.indicators)
    indicators = {name: world.indicator(context, args.service, name) for name in names}
    since = args.since if args.since is not None else context.now
    normal = {name: _normal(base, one, since) for name, one in indicators.items()}
    started = time.monotonic()
    good_from: float | None = None
    while True:
        now = context.now + (time.monotonic() - started)
        values: dict[str, float | None] = {}
        for name, one in indicators.items():
            values[name] = _latest(base, one, now)
        are_good = bool(values) and all(
            value is not None
            and is_good(value, indicators[name].bad, indicators[name].floor, normal[name])
            for name, value in values.items()
        )
        good_from = (good_from or now) if are_good else None
        is_steady = good_from is not None and now - good_from >= args.steady_s
        if is_steady or now - context.now >= args.within_s:
            break
        await asyncio.sleep(POLL_S)
    lines = [
        _state_line(args.service, name, one, values[name], normal[name], now)
        for name, one in indicators.items()
    ]
    verdict = "back to normal" if is_steady else "not back to normal"
    since_text = f" since {utc(good_from)}" if good_from is not None and is_steady else ""
    head = f"{args.service} is {verdict}{since_text}, waited {now - context.now:.0f} s"
    output = WaitOutput(
        service=args.service,
        is_normal=is_steady,
        normal_since=good_from if is_steady else None,
        waited_s=round(now - context.now, 1),
        values=values,
        lines=[head, *lines],
    )
    return ToolResult(output, "\n".join(output.lines), f"{args.service} {verdict}")


def _examine(
    context: ToolContext, names: list[str], at: float, last_s: float
) -> tuple[list[IndicatorOnset], list[str]]:
    """Examine all indicators; a service that cannot be read is named, the others still count."""
    found: list[IndicatorOnset] = []
    missing: list[str] = []
    failure: ToolError | None = None
    for name in names:
        spec = context.world.services[name].metrics
        if not spec.indicators:
            missing.append(f"{name} has no indicators; add them to services.yaml")
        for key, indicator in spec.indicators.items():
            try:
                base = prometheus.api(spec, name)
                points = prometheus.query_range(base, indicator, at - last_s, at)
            except ToolError as error:
                failure = error
                missing.append(f"{name} {key}: {error}")
                continue
            found.append(_indicator_onset(name, key, indicator, points))
    if failure is not None and not found:
        raise failure
    return found, missing


def _indicator_onset(
    service: str, name: str, indicator: Indicator, points: Series
) -> IndicatorOnset:
    value = current(points)
    move = onset(points, indicator.bad, indicator.floor)
    surge = _surge_at(indicator, points)
    found = IndicatorOnset(
        service=service,
        indicator=name,
        unit=indicator.unit,
        bad=indicator.bad,
        floor=indicator.floor,
        current=value,
        surge_at=surge,
        is_normal_now=None if value is None else is_good(value, indicator.bad, indicator.floor),
    )
    if move is not None:
        # A level that was always bad by the floor has no onset: it is how the service lives.
        is_still_bad = not move.is_over and found.is_normal_now is not True
        found = found.model_copy(
            update={
                "is_symptom": move.kind is Kind.SHIFT,
                "is_blip": move.kind is Kind.BLIP,
                "is_normal_now": None if value is None else not is_still_bad,
                "onset_at": move.at,
                "until": move.until,
                "before": move.before,
                "after": move.after,
                "direction": "up" if indicator.bad == "high" else "down",
            }
        )
    return found.model_copy(update={"line": _onset_line(found)})


def _surge_at(indicator: Indicator, points: Series) -> float | None:
    """Return when traffic rose far above its level and stayed there, for rates only."""
    if indicator.unit != "per_second" or not points:
        return None
    values = sorted(value for _, value in points if math.isfinite(value))
    if not values:
        return None
    usual = values[len(values) // 4]
    move = onset(points, "high", SURGE_FACTOR * usual) if usual > 0 else None
    return move.at if move and move.kind is Kind.SHIFT and not move.is_over else None


def _onset_line(found: IndicatorOnset) -> str:
    what = f"{found.service} {found.indicator}:"
    if found.current is None:
        return f"{what} no data"
    state = "normal" if found.is_normal_now else "not normal"
    now = f"now {amount(found.current, found.unit)}, {state}"
    if found.surge_at is not None:
        now += f"; traffic rose far above its level at {utc(found.surge_at)}"
    if found.onset_at is None:
        return f"{what} no lasting change; {now}"
    after = amount(found.after, found.unit)
    if found.is_blip:
        return f"{what} a blip to {after} at {utc(found.onset_at)} that went away; {now}"
    verb = "rose" if found.direction == "up" else "fell"
    if found.before is None:
        return f"{what} bad at {after} since before {utc(found.onset_at)}; {now}"
    before = amount(found.before, found.unit)
    ended = f" until {utc(found.until)}" if found.until is not None else ""
    return f"{what} {verb} from {before} to {after} at {utc(found.onset_at)}{ended}; {now}"


def _normal(base: str, indicator: Indicator, since: float) -> float | None:
    """Return the usual value before the trouble began; None without data."""
    before = prometheus.query_range(base, indicator, since - DEFAULT_LOOK_BACK_S, since - 1)
    values = sorted(value for _, value in before if math.isfinite(value))
    return values[len(values) // 2] if values else None


def _latest(base: str, indicator: Indicator, now: float) -> float | None:
    try:
        points = prometheus.query_range(base, indicator, now - RECENT_S, now)
    except TransientError:
        return None  # one missed poll is not an answer; the next one may succeed
    values = [value for _, value in points if math.isfinite(value)]
    return values[-1] if values else None


def _state_line(
    service: str,
    name: str,
    indicator: Indicator,
    value: float | None,
    normal: float | None,
    now: float,
) -> str:
    limit = f"{'at most' if indicator.bad == 'high' else 'at least'} "
    limit += amount(indicator.floor, indicator.unit)
    usual = f", usually {amount(normal, indicator.unit)}" if normal is not None else ""
    return (
        f"{service} {name}: {amount(value, indicator.unit)} at {clock(now)} "
        f"(good is {limit}{usual})"
    )


def _thin(points: Series) -> Series:
    stride = -(-len(points) // MAX_SHOWN_POINTS) or 1
    return points[::-1][::stride][::-1]


TOOLS = (
    Tool(
        name="metrics.range",
        description="Read one indicator of a service over time.",
        arguments=RangeArguments,
        output=RangeOutput,
        run=range_,
        is_trusted=True,
    ),
    Tool(
        name="metrics.current",
        description="Read a service's own /metrics page: rate, errors, latency, version now.",
        arguments=CurrentArguments,
        output=CurrentOutput,
        run=current_,
    ),
    Tool(
        name="metrics.onset",
        description="Find when the indicators of a service and its dependencies became bad.",
        arguments=OnsetArguments,
        output=OnsetOutput,
        run=onset_,
        is_trusted=True,
        limits=Limits(timeout_s=MAX_SETTLE_S + 60),
    ),
    Tool(
        name="metrics.wait_normal",
        description="Wait until a service's indicators are good again and stay so.",
        arguments=WaitArguments,
        output=WaitOutput,
        run=wait_normal,
        is_trusted=True,
        limits=WAIT_LIMITS,
    ),
)
