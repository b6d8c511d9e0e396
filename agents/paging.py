"""Parts of long evidence: head and tail, a page, the lines with a text.

Lines are numbered from 1. A very long line counts as several, so that all of it can be reached.
"""

from __future__ import annotations

MAX_SHOWN_CHARS = 6_000
"""How much of one tool result a model is shown at a time."""
HEAD_SHARE = 2 / 3
MAX_LINE_CHARS = 1_000
MAX_MATCHES = 40


def excerpt(text: str, evidence_id: str, limit: int = MAX_SHOWN_CHARS) -> str:
    """Return the text, or its head and tail and how to read what was left out between them."""
    if len(text) <= limit:
        return text
    lines = _lines(text)
    head = _fitting(lines, int(limit * HEAD_SHARE))
    tail = _fitting(lines[head:][::-1], limit - sum(len(line) + 1 for line in lines[:head]))
    left_out = len(lines) - head - tail
    where = f": evidence__read({evidence_id}, from_line={head + 1})" if evidence_id else ""
    return "\n".join(
        [*lines[:head], f"… {left_out} more lines{where}", *lines[len(lines) - tail :]]
    )


def page(text: str, from_line: int, count: int, limit: int = MAX_SHOWN_CHARS) -> str:
    """Return lines of the text under a line that says which they are, as far as they fit."""
    lines = _lines(text)
    if from_line > len(lines):
        return f"there are only {len(lines)} lines"
    wanted = lines[from_line - 1 : from_line - 1 + count]
    shown = wanted[: max(1, _fitting(wanted, limit))]
    last = from_line + len(shown) - 1
    more = f"; go on with from_line={last + 1}" if last < len(lines) else ""
    return "\n".join([f"lines {from_line} to {last} of {len(lines)}{more}", *shown])


def matches(text: str, wanted: str, limit: int = MAX_SHOWN_CHARS) -> str:
    """Return the lines that hold the wanted text (whatever its case), each after its number."""
    found = [
        (place, line)
        for place, line in enumerate(_lines(text), start=1)
        if wanted.casefold() in line.casefold()
    ]
    if not found:
        return f"no line holds {wanted!r}"
    lines = [f"{place}: {line}" for place, line in found[:MAX_MATCHES]]
    shown = lines[: max(1, _fitting(lines, limit))]
    more = f"; the first {len(shown)} are" if len(shown) < len(found) else ""
    return "\n".join([f"{len(found)} lines hold {wanted!r}{more}", *shown])


def _fitting(lines: list[str], limit: int) -> int:
    """Return how many lines, from the first on, fit the limit."""
    used = 0
    for place, line in enumerate(lines):
        used += len(line) + 1
        if used > limit:
            return place
    return len(lines)


def _lines(text: str) -> list[str]:
    """Return the lines of a text, each long one in pieces."""
    return [
        line[start : start + MAX_LINE_CHARS]
        for line in text.splitlines()
        for start in range(0, max(1, len(line)), MAX_LINE_CHARS)
    ]
