"""Makes text that others wrote safe for a terminal: no escape sequence, no second line."""

from __future__ import annotations

import unicodedata

UNSAFE = frozenset({"Cc", "Cf", "Zl", "Zp"})
"""Control characters, invisible ones such as those that turn the direction, and line ends."""


def plain(text: str) -> str:
    """Return the text on one line, without what a terminal would act on."""
    return "".join(" " if unicodedata.category(sign) in UNSAFE else sign for sign in text)


def plain_lines(text: str) -> str:
    """Return the text without what a terminal would act on, with its lines as they are."""
    return "\n".join(plain(line) for line in text.splitlines())
