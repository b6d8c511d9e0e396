"""Drafts replies from templates that people wrote, and checks drafts before they may go out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agents.domain import JsonObject
from agents.findings import Article, CheckedReply, Reply, Routing, as_json
from agents.outcome import CallOutcome
from agents.wording import one_line

TEMPLATES = Path(__file__).parent / "replies"
DRAFT_CAP = 0.5
"""What nobody wrote before is never sent by itself, however sure the classification is."""
MAX_SUBJECT_CHARS = 120
CLOSINGS = frozenset(
    {
        "kind regards",
        "your support team",
        "if that does not answer it, just reply to this message.",
    }
)
_SENTENCE_END = re.compile(r"(?<=[.!?:]) ")
SUBJECTS = {
    "oncall": "Your outage",
    "pointer": "Your message",
    "billing": "Your question about billing",
    "bug": "Your report",
    "feature": "Your idea",
    "question": "Your question",
    "not_ours": "Your message",
}
ON_FILE, AS_GIVEN = "on file", "as given in the ticket"


def reply_draft(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Return the reply that the ticket's template makes of what is known."""
    routing = _routing(inputs)
    article = routing.articles[0] if routing.articles else None
    is_answer = routing.route == "answer" and article is not None
    name = routing.route if routing.route in ("oncall", "pointer") else routing.category
    text = (
        _environment()
        .get_template(f"{'answer' if is_answer else name}.txt.j2")
        .render(
            name=one_line(routing.name, MAX_SUBJECT_CHARS), article=article, urgency=routing.urgency
        )
    )
    subject = f"Re: {article.title}" if article and is_answer else SUBJECTS[name]
    return as_json(
        Reply(
            subject=one_line(subject, MAX_SUBJECT_CHARS),
            text=text.strip(),
            article=article.id if article and is_answer else "",
        )
    )


def reply_check(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Return the reply as it is proposed: where to, how sure, and what speaks against it."""
    routing = _routing(inputs)
    draft = inputs.get("draft")
    reply = Reply.model_validate(draft if isinstance(draft, dict) else reply_draft(inputs, calls))
    article = next((one for one in routing.articles if one.id == reply.article), None)
    is_quoted = article is not None and says_only(reply.text, article, routing.name)
    doubts = list(routing.doubts)
    if not is_quoted:
        doubts.append("the reply says more than a help article does")
    if not routing.to:
        doubts.append("there is no address to send it to")
    return as_json(
        CheckedReply(
            subject=_subject(reply, article, is_quoted=is_quoted),
            text=reply.text,
            to=routing.to,
            category=routing.category,
            confidence=routing.confidence if is_quoted else min(routing.confidence, DRAFT_CAP),
            is_quoted=is_quoted,
            fields=_fields(routing),
            doubts=tuple(doubts),
        )
    )


def says_only(text: str, article: Article, name: str) -> bool:
    """Say whether a reply is a greeting, sentences of the article, and a closing: nothing else."""
    frame = {*CLOSINGS, "hello,", _flat(f"Hello {name},"), _flat(f"Read more: {article.url}")}
    lines = [line for line in text.splitlines() if _flat(line) not in frame]
    said = _sentences("\n".join(lines))
    return bool(said) and said <= _sentences(article.text)


def _sentences(text: str) -> frozenset[str]:
    return frozenset(one for one in _SENTENCE_END.split(_flat(text)) if one)


def _subject(reply: Reply, article: Article | None, *, is_quoted: bool) -> str:
    if is_quoted and article is not None:
        return f"Re: {one_line(article.title, MAX_SUBJECT_CHARS)}"
    return one_line(reply.subject, MAX_SUBJECT_CHARS)


def _fields(routing: Routing) -> dict[str, str]:
    """Return what approvers see beside the text, and policies may decide on."""
    return {
        "urgency": routing.urgency,
        "plan": routing.plan or "unknown",
        "address": ON_FILE if routing.is_known else AS_GIVEN,
    }


def _routing(inputs: JsonObject) -> Routing:
    given = inputs.get("routing")
    return Routing.model_validate(given if isinstance(given, dict) else {"category": "question"})


def _flat(text: str) -> str:
    return " ".join(text.split()).casefold()


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - a plain text message, not a page
    )
