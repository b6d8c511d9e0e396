"""An answer as a file, whole: for what does not fit into a message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agents.domain import Claim, Evidence
from bot.platforms.port import Upload
from bot.platforms.slack.blocks import utc
from bot.views import AnswerView

MAX_EVIDENCE_CHARS: Final = 20_000
MAX_CHARS: Final = 400_000
MAX_TITLE_CHARS: Final = 80
MAX_INLINE_CHARS: Final = 6_000
"""About what a message has room for; see `style.ROOMS`."""


def is_long(view: AnswerView) -> bool:
    """Whether the answer may not fit into a message as a whole."""
    return sum(len(line) + 1 for line in _answer(view)) > MAX_INLINE_CHARS


def document(view: AnswerView) -> Upload:
    """Return the answer with its claims, its timeline and the evidence it rests on."""
    lines = [*_answer(view), *(line for item in view.evidence for line in _evidence(item))]
    text = "\n".join(lines)[:MAX_CHARS]
    title = " ".join(view.title.split())[:MAX_TITLE_CHARS]
    return Upload(f"answer-{view.run_id}.md", f"{title}: the whole answer", text.encode())


def _answer(view: AnswerView) -> Iterator[str]:
    answer = view.answer
    yield f"# {answer.headline}"
    if answer.summary.strip():
        yield from ("", answer.summary.strip())
    if answer.confidence is not None:
        yield from ("", f"Confidence: {round(answer.confidence * 100)} %")
    if answer.claims:
        yield from ("", "## Why", "")
        yield from (f"- {_claim(claim)}" for claim in answer.claims)
    for title, texts in (
        ("What was done", answer.actions),
        ("Recommended", answer.recommendations),
        ("What is missing", answer.missing),
    ):
        if texts:
            yield from ("", f"## {title}", "", *(f"- {text}" for text in texts))
    if answer.timeline:
        yield from ("", "## Timeline (UTC)", "")
        yield from (f"- {utc(moment.at)}  {moment.text}" for moment in answer.timeline)


def _claim(claim: Claim) -> str:
    text = f"~~{claim.text}~~ (not borne out by its evidence)" if claim.is_struck else claim.text
    cites = ", ".join(f"“{cite.quote}” in {cite.evidence_id}" for cite in claim.cites)
    return f"{text} ({cites})" if cites else text


def _evidence(item: Evidence) -> Iterator[str]:
    if not item.media_type.startswith("text/"):
        return
    text = item.text[:MAX_EVIDENCE_CHARS]
    # Indented: whatever stands in it, it stays a block of code.
    yield from ("", f"## Evidence {item.id}: {item.title or item.tool}", "")
    yield from (f"    {line}" for line in text.splitlines())
    if len(item.text) > MAX_EVIDENCE_CHARS or item.is_truncated:
        yield from ("", "(cut)")
