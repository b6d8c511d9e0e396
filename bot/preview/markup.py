"""Slack's two markups as HTML: what of them Muster writes, and nothing more."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup

Emoji = Callable[[str], str]

_TOKEN = re.compile(r"<([^>]*)>")
_CODE = re.compile(r"`([^`\n]+)`")
_EMOJI = re.compile(r":([a-z0-9_+-]+):")
_LINK = re.compile(r"\[([^\]\n]*)\]\((https?://[^)\s]+)\)")
_HELD = re.compile("\ue000(\\d+)\ue001")
_MRKDWN: Final = (
    (re.compile(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])"), r"<b>\1</b>"),
    (re.compile(r"(?<![\w_])_([^_\n]+)_(?![\w_])"), r"<i>\1</i>"),
    (re.compile(r"(?<![\w~])~([^~\n]+)~(?![\w~])"), r"<s>\1</s>"),
)
_MARKDOWN: Final = (
    (re.compile(r"\*\*([^\n]+?)\*\*"), r"<b>\1</b>"),
    (re.compile(r"~~([^\n]+?)~~"), r"<s>\1</s>"),
    (re.compile(r"(?<![\w*])\*([^*\n]+)\*(?![\w*])"), r"<i>\1</i>"),
)


class _Held:
    """Finished HTML that no later rule may change, by the place that stands for it."""

    def __init__(self) -> None:
        self._kept: list[str] = []

    def keep(self, markup: str) -> str:
        """Return what stands for it meanwhile."""
        self._kept.append(markup)
        return f"\ue000{len(self._kept) - 1}\ue001"

    def back(self, text: str) -> str:
        """Return the text with everything in its place; what is kept may hold more of it."""
        while _HELD.search(text):
            text = _HELD.sub(lambda found: self._kept[int(found[1])], text)
        return text


def mrkdwn(text: str, emoji: Emoji, names: Mapping[str, str]) -> Markup:
    """Return a text of Slack's own markup; `names` are people and groups by their ids."""
    held = _Held()
    text = _TOKEN.sub(lambda found: held.keep(_token(found[1], names)), text)
    text = _styled(_safe(text), held, emoji, _MRKDWN)
    return Markup(held.back(text).replace("\n", "<br>"))  # noqa: S704 - built of escaped parts


def markdown(text: str, emoji: Emoji) -> Markup:
    """Return a text of a markdown block: paragraphs, lists, links, emphasis."""
    held = _Held()
    lines = [_line(line, held, emoji) for line in _safe(text).split("\n")]
    parts: list[str] = []
    for kind, line in lines:
        if kind == "li" and parts and parts[-1].endswith("</ul>"):
            parts[-1] = f"{parts[-1][: -len('</ul>')]}<li>{line}</li></ul>"
        elif kind == "li":
            parts.append(f"<ul><li>{line}</li></ul>")
        elif line:
            parts.append(f"<p>{line}</p>")
    return Markup(held.back("".join(parts)))  # noqa: S704 - built of escaped parts


def shown_date(at: int, form: str) -> str:
    """Return a date as Slack shows it, for readers in UTC."""
    moment = datetime.fromtimestamp(at, UTC)
    day = f"{moment:%b} {moment.day}"
    hour = f"{(moment.hour + 11) % 12 + 1}:{moment:%M} {'PM' if moment.hour >= 12 else 'AM'}"
    return form.replace("{date_short_pretty}", day).replace("{time}", hour)


def _line(line: str, held: _Held, emoji: Emoji) -> tuple[str, str]:
    is_item = line.lstrip().startswith("- ")
    body = line.lstrip()[2:] if is_item else line
    body = _CODE.sub(lambda found: held.keep(f"<code>{found[1]}</code>"), body)
    body = _LINK.sub(lambda found: held.keep(_anchor(found[2], found[1])), body)
    return ("li" if is_item else "p"), _styled(body, held, emoji, _MARKDOWN)


def _styled(
    text: str, held: _Held, emoji: Emoji, rules: tuple[tuple[re.Pattern[str], str], ...]
) -> str:
    text = _CODE.sub(lambda found: held.keep(f"<code>{found[1]}</code>"), text)
    text = _EMOJI.sub(
        lambda found: held.keep(emoji(found[1])) if emoji(found[1]) else found[0], text
    )
    for pattern, replacement in rules:
        text = pattern.sub(replacement, text)
    return text


def _token(inner: str, names: Mapping[str, str]) -> str:
    target, _, label = inner.partition("|")
    if target.startswith("!date^"):
        _, at, form, *_ = target.split("^")
        return f'<time title="{html.escape(label)}">{html.escape(shown_date(int(at), form))}</time>'
    if target.startswith(("@", "!subteam^")):
        id_ = target.removeprefix("!subteam^").removeprefix("@")
        return f'<span class="ping">@{html.escape(names.get(id_, id_))}</span>'
    return _anchor(target, label or target)


def _anchor(url: str, label: str) -> str:
    return f'<a href="{_safe(url)}">{_safe(label)}</a>'


def _safe(text: str) -> str:
    """Escape what is not escaped yet; Slack's three entities stay."""
    return html.escape(html.unescape(text))
