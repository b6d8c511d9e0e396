"""Reads log lines with their times and levels, from files (bounded tails) or from Loki."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from agents.fetch import get_json
from agents.tool import ToolFailed
from config.specs import LogsSpec, LokiSpec

MAX_TAIL_BYTES = 8 * 1024 * 1024
"""Per file; older lines are out of reach, and the tool says from when it read."""
MAX_LINE_CHARS = 2_000
MAX_LINES = 100_000
LOKI_LIMIT = 5_000
"""Loki's default maximum of lines per query."""
MAX_CONTINUATION_CHARS = 300

_TIME = re.compile(
    r"^\[?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?\]?\s*"
)
_LEVEL = re.compile(
    r"(?<![A-Za-z])(TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|CRIT(?:ICAL)?|FATAL|PANIC)"
    r"(?![A-Za-z])",
    re.IGNORECASE,
)
LEVEL_REACH = 60
"""A level stands near the start of a line; later the word is part of the message."""
_LEVEL_NAMES = {
    "WARNING": "WARN",
    "ERR": "ERROR",
    "CRIT": "FATAL",
    "CRITICAL": "FATAL",
    "PANIC": "FATAL",
    "NOTICE": "INFO",
}
_TIME_KEYS = ("timestamp", "time", "ts", "@timestamp")
_TEXT_KEYS = ("message", "msg", "event", "log")
_LEVEL_KEYS = ("level", "severity", "lvl")
_MILLISECONDS_FROM = 1e11


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event: its time, level, message without them, and the raw first line."""

    at: float
    level: str
    message: str
    raw: str


def read(spec: LogsSpec, start: float, end: float) -> tuple[list[LogLine], list[str]]:
    """Return a service's lines of that time in order, and what could not be read."""
    lines: list[LogLine] = []
    missing: list[str] = []
    for name in spec.files:
        path = Path(name)
        if not path.exists():
            missing.append(f"log file {name} does not exist on this machine")
            continue
        try:
            raw = [*_tail(path.with_name(path.name + ".1")), *_tail(path)]
        except OSError as error:
            missing.append(f"log file {name} cannot be read: {error.strerror}")
            continue
        lines += parse(raw)
    if spec.loki:
        lines += parse(_loki(spec.loki, start, end))
    lines = [line for line in lines if start <= line.at <= end]
    lines.sort(key=lambda line: line.at)
    if len(lines) > MAX_LINES:
        missing.append(f"only the last {MAX_LINES} of {len(lines)} lines were read")
    return lines[-MAX_LINES:], missing


def parse(raw: Iterable[str]) -> list[LogLine]:
    """Return the events; lines without a time belong to the one before (a stack trace)."""
    found: list[LogLine] = []
    for text in raw:
        text = text.rstrip("\n")[:MAX_LINE_CHARS]
        line = _json_line(text) or _text_line(text)
        if line is not None:
            found.append(line)
        elif found and text.strip():
            found[-1] = _continued(found[-1], text.strip())
    return found


def _continued(line: LogLine, text: str) -> LogLine:
    """Keep the last line of a stack trace with its event: it names the exception."""
    head = line.message.split(" ⏎ ", 1)[0]
    return replace(line, message=f"{head} ⏎ {text[:MAX_CONTINUATION_CHARS]}")


def _text_line(text: str) -> LogLine | None:
    match = _TIME.match(text)
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    stamp = f"{day}T{clock}.{(fraction or '0')[:6].ljust(6, '0')}"
    zone = "+00:00" if zone in (None, "Z") else zone
    try:
        at = datetime.fromisoformat(stamp + zone).timestamp()
    except ValueError:
        return None
    rest = text[match.end() :]
    level = _LEVEL.search(rest[:LEVEL_REACH])
    if level is None:
        return LogLine(at, "", rest, text)
    message = (rest[: level.start()] + rest[level.end() :]).strip(" :-[]|")
    return LogLine(at, _level(level[1]), message, text)


def _json_line(text: str) -> LogLine | None:
    if not text.startswith("{"):
        return None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    at = next((_json_time(record[key]) for key in _TIME_KEYS if key in record), None)
    if at is None:
        return None
    message = next((str(record[key]) for key in _TEXT_KEYS if key in record), text)
    level = next((str(record[key]) for key in _LEVEL_KEYS if key in record), "")
    return LogLine(at, _level(level), message, text)


def _json_time(value: object) -> float | None:
    if isinstance(value, int | float):
        return float(value) / 1_000 if value > _MILLISECONDS_FROM else float(value)
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _level(word: str) -> str:
    upper = word.upper()
    return _LEVEL_NAMES.get(upper, upper)


def _tail(path: Path) -> list[str]:
    """Return the last lines of a file, at most `MAX_TAIL_BYTES` of it."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MAX_TAIL_BYTES))
        data = file.read(MAX_TAIL_BYTES)
    lines = data.decode("utf-8", "replace").splitlines()
    # The first line of a cut tail is a part of a line.
    return lines[1:] if size > MAX_TAIL_BYTES else lines


def _loki(spec: LokiSpec, start: float, end: float) -> list[str]:
    """Return Loki's lines with their time in front, oldest first."""
    base = spec.url.rstrip("/")
    answer = get_json(
        f"{base}/loki/api/v1/query_range",
        {
            "query": spec.query,
            "start": str(int(start * 1e9)),
            "end": str(int(end * 1e9)),
            "limit": str(LOKI_LIMIT),
            "direction": "backward",
        },
    )
    try:
        rows = [
            (int(at), str(line))
            for stream in answer["data"]["result"]
            for at, line, *_ in stream["values"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ToolFailed(f"{base} does not answer like Loki; check the address") from error
    return [_stamped(at, line) for at, line in sorted(rows)]


def _stamped(at_ns: int, line: str) -> str:
    """Return the line with Loki's time, unless it carries its own."""
    if _text_line(line) or _json_line(line):
        return line
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat()} {line}"
