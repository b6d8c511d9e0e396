"""Cuts text to a length in a way that says so, and that can be told later."""

from __future__ import annotations

MAX_TEXT_CHARS = 100_000
"""Evidence longer than this is read by nobody; the rest is cut with a note."""
CUT_NOTE = "[cut: {shown} of {total} characters are shown; ask for less]"
CUT_PREFIX = "[cut: "


def cut(text: str, limit: int) -> str:
    """Return the text within the limit, cut at a line's end, with a note that says so."""
    if len(text) <= limit:
        return text
    kept = text[:limit]
    kept = kept[: kept.rfind("\n")] if "\n" in kept else kept
    return f"{kept}\n{CUT_NOTE.format(shown=len(kept), total=len(text))}"


def is_cut(text: str) -> bool:
    """Return whether `cut` shortened this text."""
    return text.rpartition("\n")[2].startswith(CUT_PREFIX)
