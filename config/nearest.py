"""What a person probably meant by a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MAX_LISTED = 12
CUTOFF = 0.6


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known name that looks most like the word, or an empty string."""
    by_lower = {name.lower(): name for name in sorted(known)}
    matches = get_close_matches(word.lower(), by_lower, n=1, cutoff=CUTOFF)
    return by_lower[matches[0]] if matches else ""


def hint(word: str, known: Iterable[str]) -> str:
    """Return a sentence that leads from a wrong name to a right one; empty when none is known."""
    names = sorted(set(known))
    match = nearest(word, names)
    if match:
        return f'did you mean "{match}"?'
    if not names:
        return ""
    listed = ", ".join(names[:MAX_LISTED])
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return f"known: {listed}{more}"
