"""A run's answer: what was found, with a link from each claim to the line it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from agents.domain import Claim, Finding
from agents.wording import duration
from bot.platforms.slack import clicks
from bot.platforms.slack.blocks import (
    Block,
    actions,
    address,
    button,
    context,
    feedback,
    image,
    link,
    markdown_block,
    plan,
    section,
    task,
    utc,
    words,
)
from bot.platforms.slack.clicks import Click
from bot.platforms.slack.escape import (
    bold,
    clip,
    cut,
    label,
    markdown,
    mrkdwn,
    one_line,
    pieces,
    struck,
    width,
)
from bot.platforms.slack.steps import packed
from bot.platforms.slack.style import Room, Style
from bot.views import AnswerView

MAX_QUOTE_CHARS: Final = 60
MAX_CITES: Final = 4
MAX_LINE: Final = 2_500
"""Of a claim with its links."""
MAX_SOURCES: Final = 12
MAX_CHARTS: Final = 4
FINDINGS: Final[Mapping[Finding, tuple[str, str]]] = {
    Finding.FIXED: (":white_check_mark:", "Fixed"),
    Finding.CAUSE_FOUND: (":mag:", "Cause found"),
    Finding.HEALTHY: (":white_check_mark:", "Nothing is wrong"),
    Finding.INCONCLUSIVE: (":grey_question:", "Inconclusive"),
    Finding.REPORT: (":page_facing_up:", "Report"),
    Finding.FAILED: (":x:", "No answer"),
}
NOT_BORNE_OUT: Final = "not borne out by its evidence"


class Markup(Protocol):
    """One of Slack's two markups."""

    def text(self, text: str, limit: int) -> str:
        """Return somebody's text of several lines."""

    def line(self, text: str, limit: int) -> str:
        """Return somebody's text on one line."""

    def bold(self, text: str, limit: int) -> str:
        """Return somebody's text in bold."""

    def struck(self, text: str, limit: int) -> str:
        """Return somebody's text struck through."""

    def link(self, url: str, text: str) -> str:
        """Return a link; the text alone when there is nowhere to go."""


@dataclass(frozen=True, slots=True)
class Markdown:
    """What markdown blocks read."""

    def text(self, text: str, limit: int) -> str:
        """See `Markup.text`."""
        return clip(text, limit, markdown)

    def line(self, text: str, limit: int) -> str:
        """See `Markup.line`."""
        return one_line(text, limit, markdown)

    def bold(self, text: str, limit: int) -> str:
        """See `Markup.bold`."""
        return bold(text, limit, markdown, "**")

    def struck(self, text: str, limit: int) -> str:
        """See `Markup.struck`."""
        return struck(text, limit, markdown, "~~")

    def link(self, url: str, text: str) -> str:
        """See `Markup.link`."""
        shown = one_line(label(text), MAX_QUOTE_CHARS, markdown)
        target = address(url)
        return f"[{shown}]({target})" if target else shown


@dataclass(frozen=True, slots=True)
class Mrkdwn:
    """What sections read."""

    def text(self, text: str, limit: int) -> str:
        """See `Markup.text`."""
        lines = cut(text, limit, mrkdwn).split("\n")
        return "\n".join(
            piece for line in lines for piece in pieces(line, MAX_LINE, mrkdwn) or [""]
        )

    def line(self, text: str, limit: int) -> str:
        """See `Markup.line`."""
        return one_line(text, limit, mrkdwn)

    def bold(self, text: str, limit: int) -> str:
        """See `Markup.bold`."""
        return bold(text, limit)

    def struck(self, text: str, limit: int) -> str:
        """See `Markup.struck`."""
        return struck(text, limit)

    def link(self, url: str, text: str) -> str:
        """See `Markup.link`."""
        return link(url, text, MAX_QUOTE_CHARS)


def answer(view: AnswerView, style: Style, room: Room) -> list[Block]:
    """Return the answer, what it rests on folded away, what it cost, and the two thumbs."""
    sign, word = FINDINGS[view.answer.finding]
    head = f"{sign} *{word}*"
    if view.answer.confidence is not None:
        head += f" · confidence {round(view.answer.confidence * 100)} %"
    body = _native(view, style, room) if style.is_native else _plain(view, style, room)
    return [
        section(head),
        *body,
        *_charts(view, style),
        *(_sources(view, style, room) if style.is_native else _timeline_text(view, room)),
        context(_foot(view, style)),
        *_thumbs(view, style),
    ]


def answer_text(view: AnswerView) -> str:
    """Return the answer in a few lines, for notifications."""
    sign, word = FINDINGS[view.answer.finding]
    head = f"{sign} {word}: {one_line(view.answer.headline, 300, mrkdwn)}"
    summary = view.answer.summary.strip()
    return f"{head}\n{clip(summary, 700, mrkdwn)}" if summary else head


def _native(view: AnswerView, style: Style, room: Room) -> list[Block]:
    """Return the answer in one markdown block: there is room for the first lines, in order."""
    return [markdown_block(_within(_lines(view, style, room, Markdown()), room.full))]


def _plain(view: AnswerView, style: Style, room: Room) -> list[Block]:
    text = _within(_lines(view, style, room, Mrkdwn()), room.full)
    return [section(part) for part in packed(text.split("\n"))]


def _within(lines: Iterator[str], limit: int) -> str:
    """Return the lines that fit, and say when some do not."""
    kept: list[str] = []
    used = 0
    for line in lines:
        used += width(line) + 1
        if used > limit and kept:
            kept.append("… the rest is in the console")
            break
        kept.append(line)
    return "\n".join(kept)


def _lines(view: AnswerView, style: Style, room: Room, to: Markup) -> Iterator[str]:
    """Yield the answer's lines, in the order of what matters."""
    given = view.answer
    yield to.bold(given.headline, 2 * room.title)
    if given.summary.strip():
        yield ""
        yield to.text(given.summary, room.full * 2 // 3)
    if given.claims:
        yield from ("", to.bold("Why", room.title))
        for claim in given.claims:
            yield f"- {_claim(claim, view, style, room, to)}"
    for title, texts in (
        ("What was done", given.actions),
        ("Recommended", given.recommendations),
        ("What is missing", given.missing),
    ):
        if texts:
            yield from ("", to.bold(title, room.title))
            yield from (f"- {to.line(text, room.prose)}" for text in texts)


def _claim(claim: Claim, view: AnswerView, style: Style, room: Room, to: Markup) -> str:
    if claim.is_struck:
        return f"{to.struck(claim.text, room.prose)} ({NOT_BORNE_OUT})"
    cites = list(dict.fromkeys(claim.cites))
    text = to.line(claim.text, room.prose)
    for cite in cites[:MAX_CITES]:
        url = style.evidence_url(view.run_id, cite.evidence_id, cite.quote)
        linked = f"{text} {to.link(url, f'“{cite.quote}”')}"
        if width(linked) > MAX_LINE:
            break
        text = linked
    return text


def _charts(view: AnswerView, style: Style) -> list[Block]:
    """Return the pictures that were uploaded; the others are a click away."""
    charts = [item for item in view.evidence if item.media_type.startswith("image/")][:MAX_CHARTS]
    blocks: list[Block] = []
    for item in charts:
        title = item.title or "Chart"
        if file_id := style.files.get(item.id, ""):
            blocks.append(image(file_id, one_line(title, 200)))
        elif url := style.evidence_url(view.run_id, item.id):
            blocks.append(context(f":bar_chart: {link(url, title, 200)}"))
    return blocks


def _sources(view: AnswerView, style: Style, room: Room) -> list[Block]:
    """Return the timeline and the evidence, each a line that opens."""
    tasks = []
    if moments := view.answer.timeline:
        shown = moments[: room.lines]
        lines = [f"{utc(moment.at)[11:16]}  {one_line(moment.text, 160)}" for moment in shown]
        more = len(moments) - len(shown)
        lines += [f"and {more} more"] if more else []
        title = f"Timeline (UTC), {len(moments)} {'moment' if len(moments) == 1 else 'moments'}"
        tasks.append(task("timeline", title, "complete", details=[words("\n".join(lines))]))
    texts = [item for item in view.evidence if not item.media_type.startswith("image/")]
    for place, item in enumerate(texts[: min(MAX_SOURCES, room.lines)]):
        quotes = dict.fromkeys(_quotes(view, item.id))
        details = " · ".join(f"“{one_line(quote, MAX_QUOTE_CHARS)}”" for quote in list(quotes)[:4])
        url = style.evidence_url(view.run_id, item.id)
        tasks.append(
            task(
                f"evidence-{place}",
                one_line(item.title or item.tool, room.title),
                "complete",
                details=[words(details)] if details else (),
                sources=[(url, one_line(item.tool, MAX_QUOTE_CHARS))] if url else (),
            )
        )
    return [plan("What this rests on", tasks)] if tasks and room.note else []


def _quotes(view: AnswerView, evidence_id: str) -> Iterator[str]:
    for claim in view.answer.claims:
        for cite in claim.cites:
            if cite.evidence_id == evidence_id and not claim.is_struck:
                yield cite.quote


def _timeline_text(view: AnswerView, room: Room) -> list[Block]:
    moments = view.answer.timeline[: room.lines]
    if not moments or not room.note:
        return []
    lines = [f"{utc(one.at)[11:16]}  {one_line(one.text, 120, mrkdwn)}" for one in moments]
    more = len(view.answer.timeline) - len(moments)
    lines += [f"and {more} more"] if more else []
    return [context(text) for text in packed(["*Timeline* (UTC)", *lines])]


def _foot(view: AnswerView, style: Style) -> str:
    parts = []
    if view.spent is not None:
        parts.append(one_line(view.spent.text, 200, mrkdwn))
        if view.spent.models:
            parts.append(one_line(", ".join(view.spent.models), 200, mrkdwn))
    elif view.answer.used_model:
        parts.append("Models were used")
    else:
        parts.append("No model was used: this comes from runbooks and measurements")
    if view.took_s is not None:
        parts.append(f"took {duration(view.took_s)}")
    url = style.run_url(view.run_id)
    parts += [link(url, "all of it in the console")] if url else []
    return " · ".join(parts)


def _thumbs(view: AnswerView, style: Style) -> list[Block]:
    good, bad = (
        Click(clicks.FEEDBACK, view.run_id, view.run_id, choice=choice) for choice in ("up", "down")
    )
    if style.is_native:
        return feedback(good.action_id, good.value, bad.value)
    return actions(
        button("Helpful", f"{good.action_id}:up", good.value),
        button("Not helpful", f"{bad.action_id}:down", bad.value),
    )


def chart_ids(view: AnswerView) -> Sequence[str]:
    """Return the ids of the charts to upload before the answer is posted."""
    charts = [item.id for item in view.evidence if item.media_type.startswith("image/")]
    return charts[:MAX_CHARTS]
