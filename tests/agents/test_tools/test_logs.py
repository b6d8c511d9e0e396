"""Log lines are grouped, dated and compared with what was before."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from agents.logread import MAX_TAIL_BYTES, parse
from agents.tools import logs
from agents.tools.logs import PatternsArguments, PatternsOutput, SearchArguments, SearchOutput
from tests.agents.test_tools.conftest import NOW, Site, world


def stamp(at: float) -> str:
    """Return a time as logs write it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def shop_lines() -> list[str]:
    """Return a minute of orders, with errors in its last quarter."""
    lines = []
    for second in range(60):
        at = NOW - 60 + second
        lines.append(f"{stamp(at)} INFO checkout order placed cart={second} total=12.{second}")
        if second >= 45:
            lines.append(f"{stamp(at)} ERROR checkout KeyError: 'tax_region' cart={second}")
    return lines


def write(path: Path, lines: list[str]) -> Path:
    """Write lines to a file."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


async def test_new_error_comes_first_with_its_first_time(tmp_path: Path) -> None:
    """A kind of line that was not there before is new, counted, dated and quoted."""
    path = write(tmp_path / "a.log", shop_lines())
    context = world(checkout={"logs": {"files": [str(path)]}})

    result = await logs.patterns(context, PatternsArguments(service="checkout"))

    assert isinstance(result.output, PatternsOutput)
    first, second = result.output.patterns
    assert (first.level, first.is_new, first.count) == ("ERROR", True, 15)
    assert first.first_seen == NOW - 15
    assert "tax_region" in first.template
    assert (second.level, second.is_new) == ("INFO", False)
    assert first.line in result.text


async def test_split_never_eats_the_baseline(tmp_path: Path) -> None:
    """A log that is only 40 s old still has something to compare with."""
    assert logs.split_at(NOW - 40, NOW, NOW - 38) == NOW - 40 + 40 / 3
    assert logs.split_at(NOW - 900, NOW, NOW - 60) == NOW - 80


async def test_rotated_file_is_read_too(tmp_path: Path) -> None:
    """Lines that moved to the file's predecessor are not lost."""
    lines = shop_lines()
    write(tmp_path / "a.log.1", lines[:30])
    path = write(tmp_path / "a.log", lines[30:])
    context = world(checkout={"logs": {"files": [str(path)]}})

    output = (await logs.patterns(context, PatternsArguments(service="checkout"))).output

    assert isinstance(output, PatternsOutput)
    assert output.lines_read == len(lines)


async def test_huge_file_is_read_from_its_end(tmp_path: Path) -> None:
    """Only the tail of a file is read."""
    path = tmp_path / "a.log"
    with path.open("w", encoding="utf-8") as file:
        file.write("x" * (MAX_TAIL_BYTES + 1_000) + "\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(shop_lines()))
    context = world(checkout={"logs": {"files": [str(path)]}})

    output = (await logs.patterns(context, PatternsArguments(service="checkout"))).output

    assert isinstance(output, PatternsOutput)
    assert output.lines_read == len(shop_lines())


async def test_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is said so, and is no failure."""
    context = world(checkout={"logs": {"files": [str(tmp_path / "no.log")]}}, mail={})

    output = (await logs.patterns(context, PatternsArguments(service="checkout"))).output

    assert isinstance(output, PatternsOutput)
    assert "does not exist" in output.missing[0]


async def test_loki_is_read_like_files(site: Site) -> None:
    """Lines of Loki's streams are merged, with Loki's time where they have none."""
    streams = [
        {"stream": {}, "values": [[str(int((NOW - i) * 1e9)), f"ERROR boom {i}"]]}
        for i in range(1, 11)
    ]
    body = {"status": "success", "data": {"resultType": "streams", "result": streams}}
    site.serves("/loki/api/v1/query_range", json.dumps(body))
    context = world(checkout={"logs": {"loki": {"url": site.url, "query": '{app="x"}'}}})

    output = (await logs.patterns(context, PatternsArguments(service="checkout"))).output

    assert isinstance(output, PatternsOutput)
    assert output.lines_read == 10
    assert output.patterns[0].level == "ERROR"
    assert "direction=backward" in site.asked[0]


async def test_search_finds_text_and_redacts_it(tmp_path: Path) -> None:
    """A search returns the newest lines without secrets."""
    path = write(tmp_path / "a.log", [f"{stamp(NOW - 1)} INFO login password=hunter2hunter2"])
    context = world(checkout={"logs": {"files": [str(path)]}})

    output = (
        await logs.search(context, SearchArguments(service="checkout", contains="LOGIN"))
    ).output

    assert isinstance(output, SearchOutput)
    assert output.count == 1
    assert "hunter2" not in output.lines[0]


def test_stack_trace_belongs_to_its_event() -> None:
    """The last line of a stack trace names the event."""
    lines = parse(
        [
            "2026-11-20 21:30:01,123 ERROR request failed",
            "Traceback (most recent call last):",
            '  File "a.py", line 1',
            "KeyError: 'tax_region'",
            "2026-11-20T21:30:02+01:00 [warn] slow",
        ]
    )

    assert [line.level for line in lines] == ["ERROR", "WARN"]
    assert lines[0].message.endswith("KeyError: 'tax_region'")
    assert "Traceback" not in lines[0].message
    assert lines[1].at - lines[0].at < 0


def test_json_lines_are_understood() -> None:
    """Structured logs give their time, level and message whatever they call them."""
    lines = parse(
        [
            '{"ts": 1800000000.5, "level": "error", "msg": "boom"}',
            '{"time": 1800000000500, "severity": "WARNING", "message": "hm"}',
            '{"timestamp": "2026-11-20T21:30:01Z", "event": "ok"}',
            '{"no": "time"}',
            "{broken",
        ]
    )

    assert [(line.level, line.at) for line in lines[:2]] == [
        ("ERROR", 1_800_000_000.5),
        ("WARN", 1_800_000_000.5),
    ]
    assert len(lines) == 3
