"""Text made harmless for Slack: escaped, without pings, cut to a length that Slack takes.

Slack reads `<…>` as links, dates and pings in both of its markups, so the three characters that
it decodes again (`&`, `<`, `>`) are escaped everywhere. What else could do harm (a link with a
misleading label, a fence that swallows the rest) is broken with a character that nobody sees.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from pydantic import JsonValue

CUT = "…"
EMPTY = "\u2013"
"""Stands for a text without characters: Slack refuses those."""
JOINER = "\u2060"
"""Without width, and no line is broken at it: what stands around it is no longer one token."""
STAR = "\u2217"
TILDE = "\u223c"
"""Look like the marks of bold and struck text, and end neither."""
MAX_WORD_CHARS = 40
"""A word longer than this is cut inside."""

_DANGLING = " \n,;:-\u2013\u2014"
_BROADCAST = re.compile(r"(?<![\w.])@(?=(?:channel|here|everyone)\b)", re.IGNORECASE)
_CONTROLS = (
    "\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u180e\\u200b\\u200e\\u200f\\u202a-\\u202e"
    "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\U0001bca0-\\U0001bca3"
    "\\U0001d173-\\U0001d17a\\U000e0000-\\U000e007f"
)
_HIDDEN = re.compile(f"[{_CONTROLS}]")
_ODD = re.compile(
    f"[{_CONTROLS}\\xa0\\u1680\\u2000-\\u200d\\u2028\\u2029\\u202f\\u205f\\u3000\\u115f\\u1160\\u3164]"
)
"""What is hidden, and what looks like a space or like nothing."""
_BREAK = re.compile("\r\n|[\r\x85\u2028\u2029]")
_RUN = re.compile(r"`{3,}|~{3,}")
_LINE_START = re.compile(r"(?m)^([ ]{0,3})(?=#{1,6}(?:\s|$)|=+\s*$|-+\s*$|\|)")
_LABEL = str.maketrans({"[": "(", "]": ")", "`": "'", "\n": " "})
_TOKEN = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

Write = Callable[[str], str]


def width(text: str) -> int:
    """Return how long Slack may take a text to be: its UTF-16 units, the longest way to count."""
    return len(text) + sum(character > "\uffff" for character in text)


def clean(text: str) -> str:
    """Return the text without what is not shown: control characters, changes of direction.

    A change of direction can make `rm a` read as `a mr`; nobody who writes to a bot needs one.
    """
    text = _BREAK.sub("\n", text).replace("\t", "    ")
    return _HIDDEN.sub("", text)


def plain(text: str) -> str:
    """Return the text for a field that Slack shows as it is."""
    return clean(text)


def mrkdwn(text: str) -> str:
    """Return the text for Slack's own markup: no link, no ping and no block of code in it."""
    text = _RUN.sub(_broken_run, clean(text).translate(_TOKEN))
    return _BROADCAST.sub(f"@{JOINER}", text)


def markdown(text: str) -> str:
    """Return the text for a markdown block: emphasis and lists stay, nothing else does.

    Links are broken, because their labels may lie; so are headings, tables and fences.
    """
    text = mrkdwn(text).replace("](", f"]{JOINER}(").replace("][", f"]{JOINER}[")
    text = text.replace("]:", f"]{JOINER}:").replace("![", f"!{JOINER}[")
    return _LINE_START.sub(rf"\1{JOINER}", text)


def label(text: str) -> str:
    """Return the text of a link, to be escaped for its markup after."""
    return " ".join(text.translate(_LABEL).split())


def unstarred(text: str) -> str:
    """Return the text with stars that end no bold."""
    return text.replace("*", STAR)


def bold(text: str, limit: int, write: Write = mrkdwn, mark: str = "*") -> str:
    """Return somebody's text on one line in bold."""
    return f"{mark}{one_line(unstarred(text), limit, write)}{mark}"


def struck(text: str, limit: int, write: Write = mrkdwn, mark: str = "~") -> str:
    """Return somebody's text on one line, struck through."""
    return f"{mark}{one_line(text.replace('~', TILDE), limit, write)}{mark}"


def clip(text: str, limit: int, write: Write = plain) -> str:
    """Return the text as `write` writes it, within the limit, cut at a word's end with `…`."""
    return write(cut(text, limit, write)) or EMPTY


def cut(text: str, limit: int, write: Write = plain) -> str:
    """Return as much of the text as is within the limit once it is written; not written yet."""
    text = clean(text).strip()
    if _fitting(text, limit, write) == len(text):
        return text
    end = _fitting(text, limit - width(CUT), write)
    return _word_end(text, end).rstrip(_DANGLING) + CUT


def pieces(text: str, limit: int, write: Write = plain) -> list[str]:
    """Return the whole text, written, in pieces within the limit."""
    rest = clean(text).strip()
    written: list[str] = []
    while rest:
        piece = _word_end(rest, _fitting(rest, limit, write)) or rest[0]
        written.append(write(piece.rstrip()))
        rest = rest[len(piece) :].lstrip()
    return written


def one_line(text: str, limit: int, write: Write = plain) -> str:
    """Return the text on one line; see `clip`."""
    return clip(" ".join(clean(text).split()), limit, write)


def exact(value: JsonValue) -> str:
    """Return a value as JSON in which nothing is hidden: each odd character as its number."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _ODD.sub(lambda found: _number(found[0]), text)


def _fitting(text: str, limit: int, write: Write) -> int:
    """Return how many characters of the text fit."""
    if len(text) <= limit and width(write(text)) <= limit:
        return len(text)
    low, high = 0, max(0, min(len(text) - 1, limit))
    while low < high:
        middle = (low + high + 1) // 2
        if width(write(text[:middle])) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _word_end(text: str, end: int) -> str:
    """Return the start of the text up to the last word that is whole."""
    kept = text[:end]
    if end == len(text) or text[end].isspace():
        return kept
    space = max(kept.rfind(" "), kept.rfind("\n"))
    return kept[:space] if 0 < end - space <= MAX_WORD_CHARS and space > 0 else kept


def _broken_run(found: re.Match[str]) -> str:
    return JOINER.join(found[0])


def _number(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(
        f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2)
    )
