"""Find a cited quote in the evidence it stands in, line by line."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LINES = 5_000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of evidence; `parts` alternate between plain and quoted text."""

    number: int
    parts: tuple[tuple[str, bool], ...]
    is_quoted: bool


def lines(text: str, quote: str) -> list[Line]:
    """Return the text's lines with the quote marked where it stands (all its lines if several)."""
    found = text.splitlines()[:MAX_LINES]
    wanted = [part.strip() for part in quote.splitlines() if part.strip()]
    return [_line(number, line, wanted) for number, line in enumerate(found, 1)]


def _line(number: int, line: str, wanted: list[str]) -> Line:
    for part in wanted:
        at = line.find(part)
        if at >= 0:
            end = at + len(part)
            pieces = ((line[:at], False), (line[at:end], True), (line[end:], False))
            return Line(number, tuple(piece for piece in pieces if piece[0]), is_quoted=True)
    return Line(number, ((line, False),), is_quoted=False)
