"""Logs: which kinds of lines are new or more frequent, and a plain search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from agents import logread, world
from agents.logread import LogLine
from agents.redact import redact
from agents.tool import Limits, Tool, ToolContext, ToolResult
from agents.wording import number, one_line, utc

DEFAULT_LOOK_BACK_S = 900.0
MAX_LOOK_BACK_S = 86_400.0
LEAD_S = 20.0
"""An alert comes this long after its cause at least; the recent window starts before both."""
MIN_BASELINE_SHARE = 1 / 3
"""Of the lines' time span, at least this much is baseline, however young the log is."""
MAX_PATTERNS = 40
MAX_TEMPLATES = 2_000
"""Drain forgets the least used template beyond this, which bounds its memory."""
SIMILARITY = 0.5
MAX_TEMPLATE_CHARS = 240
MAX_EXAMPLE_CHARS = 400
MAX_RATE_CHANGE = 1_000.0
SEVERITY = {"FATAL": 3, "ERROR": 3, "WARN": 2, "": 1, "INFO": 0, "DEBUG": 0, "TRACE": 0}
MAX_FOUND = 200
MASKS = (
    (r"(?<![A-Za-z0-9])0x[0-9a-fA-F]+(?![A-Za-z0-9])", "HEX"),
    (r"(?<![A-Za-z0-9])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![A-Za-z0-9])", "UUID"),
    (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])", "IP"),
    (r"(?<![A-Za-z0-9])(?=[0-9a-f]*\d)[0-9a-f]{7,64}(?![A-Za-z0-9])", "ID"),
    (r"(?<![A-Za-z0-9_.])[-+]?\d+(?:\.\d+)?(?=(?:[a-zA-Z%]{1,3})?(?![A-Za-z0-9_]))", "NUM"),
)


class PatternsArguments(BaseModel, extra="forbid"):
    """Which service's logs to compare: the recent part against the part before it."""

    service: str
    with_dependencies: bool = True
    last_s: float = Field(DEFAULT_LOOK_BACK_S, gt=0, le=MAX_LOOK_BACK_S)
    since: float | None = Field(
        None, description="About when trouble was noticed (Unix seconds); now when left out."
    )


class Pattern(BaseModel):
    """A kind of line; `line` is its line of the evidence."""

    service: str
    level: str
    template: str
    count: int
    baseline_count: int
    rate_change: float | None = Field(None, description="Recent over baseline rate.")
    first_seen: float
    last_seen: float
    is_new: bool
    example: str
    line: str = ""


class PatternsOutput(BaseModel):
    """The most telling patterns first."""

    service: str
    baseline_from: float
    recent_from: float
    until: float
    lines_read: int
    patterns: list[Pattern] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)


class SearchArguments(BaseModel, extra="forbid"):
    """Which lines to find: those that contain the text, whatever its case."""

    service: str
    contains: str = Field(min_length=1, max_length=200)
    last_s: float = Field(DEFAULT_LOOK_BACK_S, gt=0, le=MAX_LOOK_BACK_S)
    limit: int = Field(50, ge=1, le=MAX_FOUND)


class SearchOutput(BaseModel):
    """How many lines matched, and the newest of them."""

    service: str
    count: int
    lines: list[str] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)


@dataclass(slots=True)
class _Tally:
    level: str
    count: int = 0
    baseline_count: int = 0
    first_seen: float = 0.0
    last_seen: float = 0.0
    example: str = ""


async def patterns(context: ToolContext, args: PatternsArguments) -> ToolResult:
    """Mine templates over the whole window, then compare its recent part with the rest."""
    names = world.with_dependencies(context, args.service)
    names = names if args.with_dependencies else names[:1]
    end = context.now
    missing: list[str] = []
    read: dict[str, list[LogLine]] = {}
    for name in names:
        spec = context.world.services[name].logs
        if not spec.files and spec.loki is None:
            missing.append(f"{name} has no logs configured; set logs in services.yaml")
        read[name], problems = logread.read(spec, end - args.last_s, end)
        missing += problems
    first = min((lines[0].at for lines in read.values() if lines), default=end - args.last_s)
    split = split_at(first, end, args.since)
    found = [
        pattern for name, lines in read.items() for pattern in mine(name, lines, first, split, end)
    ]
    found.sort(key=_telling, reverse=True)
    output = PatternsOutput(
        service=args.service,
        baseline_from=first,
        recent_from=split,
        until=end,
        lines_read=sum(len(lines) for lines in read.values()),
        patterns=found[:MAX_PATTERNS],
        missing=missing,
    )
    head = (
        f"{output.lines_read} lines of {', '.join(names)}: {utc(split)} to {utc(end)} "
        f"against {utc(first)} to {utc(split)}"
    )
    body = [text for item in output.patterns for text in (item.line, f"  e.g. {item.example}")]
    return ToolResult(output, "\n".join([head, *body, *missing]), f"Log patterns of {args.service}")


async def search(context: ToolContext, args: SearchArguments) -> ToolResult:
    """Return the newest lines that contain the text."""
    spec = world.service(context, args.service).logs
    lines, missing = logread.read(spec, context.now - args.last_s, context.now)
    wanted = args.contains.casefold()
    hits = [line.raw for line in lines if wanted in line.raw.casefold()]
    output = SearchOutput(
        service=args.service,
        count=len(hits),
        lines=[one_line(redact(line), MAX_EXAMPLE_CHARS) for line in hits[-args.limit :]],
        missing=missing,
    )
    head = f"{output.count} lines of {args.service} contain the text, newest last"
    return ToolResult(output, "\n".join([head, *output.lines, *missing]), head)


def split_at(first: float, end: float, since: float | None) -> float:
    """Return where the baseline ends: before the trouble, but never without a baseline."""
    wanted = (since if since is not None else end) - LEAD_S
    return min(end, max(wanted, first + (end - first) * MIN_BASELINE_SHARE))


def mine(
    service: str, lines: Sequence[LogLine], first: float, split: float, end: float
) -> list[Pattern]:
    """Group the lines by template and count each before and after the split."""
    from drain3.masking import MaskingInstruction
    from drain3.template_miner import TemplateMiner
    from drain3.template_miner_config import TemplateMinerConfig

    config: Any = TemplateMinerConfig()  # type: ignore[no-untyped-call]
    config.drain_sim_th = SIMILARITY
    config.drain_max_clusters = MAX_TEMPLATES
    config.masking_instructions = [MaskingInstruction(regex, name) for regex, name in MASKS]
    config.parametrize_numeric_tokens = True
    miner = TemplateMiner(config=config)
    tallies: dict[int, _Tally] = {}
    templates: dict[int, str] = {}
    for line in lines:
        # The level leads, so that lines of different levels never share a template.
        mined = miner.add_log_message(f"{line.level or '-'} {redact(line.message)}")
        key = int(mined["cluster_id"])
        templates[key] = str(mined["template_mined"])
        tally = tallies.setdefault(key, _Tally(line.level, first_seen=line.at))
        tally.last_seen = line.at
        if line.at < split:
            tally.baseline_count += 1
        else:
            tally.count += 1
            tally.example = tally.example or line.raw
    return [
        _pattern(service, templates[key], tally, split - first, end - split)
        for key, tally in tallies.items()
        if tally.count
    ]


def _pattern(
    service: str, template: str, tally: _Tally, baseline_s: float, recent_s: float
) -> Pattern:
    rate = tally.count / max(recent_s, 1.0)
    before = tally.baseline_count / max(baseline_s, 1.0)
    is_new = tally.baseline_count == 0
    change = None if is_new else min(MAX_RATE_CHANGE, rate / before)
    text = one_line(template.split(" ", 1)[-1], MAX_TEMPLATE_CHARS)
    how = "new" if is_new else f"rate x{number(change)}"
    line = (
        f"{service} {tally.level or 'line'} {how}, {tally.count} times "
        f"(before: {tally.baseline_count}), first {utc(tally.first_seen)}: {text}"
    )
    return Pattern(
        service=service,
        level=tally.level,
        template=text,
        count=tally.count,
        baseline_count=tally.baseline_count,
        rate_change=change,
        first_seen=tally.first_seen,
        last_seen=tally.last_seen,
        is_new=is_new,
        example=one_line(redact(tally.example), MAX_EXAMPLE_CHARS),
        line=line,
    )


def _telling(pattern: Pattern) -> tuple[int, bool, float, int]:
    """Order by severity, newness, change of rate, then count."""
    change = MAX_RATE_CHANGE if pattern.rate_change is None else pattern.rate_change
    return (SEVERITY.get(pattern.level, 1), pattern.is_new, change, pattern.count)


TOOLS = (
    Tool(
        name="logs.patterns",
        description="Find kinds of log lines that are new or more frequent than before.",
        arguments=PatternsArguments,
        output=PatternsOutput,
        run=patterns,
        limits=Limits(timeout_s=60),
    ),
    Tool(
        name="logs.search",
        description="Find log lines of a service that contain a text.",
        arguments=SearchArguments,
        output=SearchOutput,
        run=search,
    ),
)
