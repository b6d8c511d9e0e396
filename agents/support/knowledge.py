"""Finds the help article that a ticket asks for, by the words of its title."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import JsonValue

from agents.domain import JsonObject
from agents.findings import Article, Shelf, as_json
from agents.outcome import CallOutcome
from agents.ranking import words
from agents.wording import one_line

ARTICLES_CALL = "articles"
MAX_ARTICLES = 3
MAX_ARTICLE_CHARS = 2_000
MAX_ARTICLES_READ = 500
MAX_ERROR_CHARS = 200
MIN_SHARED_WORDS = 2
MIN_FIT = 0.6
"""Below it, an article is about something near, not about what was asked."""
COMMON = frozenset(
    words(
        "a an and are as at be can could do does for from get has have help how i in into is it "
        "its just me my need of on or our please so that the their them there they this to "
        "us use want was we what when where which who will with would you your"
    )
)


def fitting_articles(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Return the articles that answer the ticket, from the rows of the runbook's call."""
    outcome = calls.get(ARTICLES_CALL)
    error = outcome.error if outcome else ""
    return as_json(
        Shelf(
            articles=fitting(str(inputs.get("text") or ""), _articles(outcome)),
            missing=(f"help articles: {one_line(error, MAX_ERROR_CHARS)}",) if error else (),
        )
    )


def fitting(text: str, articles: Iterable[Article]) -> tuple[Article, ...]:
    """Return the articles whose titles the text speaks of, best first, with their fit."""
    said = content(text)
    found = [article.model_copy(update={"fit": _fit(said, article)}) for article in articles]
    good = [article for article in found if article.fit >= MIN_FIT]
    return tuple(sorted(good, key=lambda one: (-one.fit, one.id))[:MAX_ARTICLES])


def content(text: str) -> frozenset[str]:
    """Return the words of a text that carry its meaning."""
    return frozenset(words(text)) - COMMON


def _fit(said: frozenset[str], article: Article) -> float:
    title = content(article.title)
    shared = title & said
    if len(shared) < min(MIN_SHARED_WORDS, len(title)) or not title:
        return 0.0
    return round(len(shared) / len(title), 2)


def _articles(outcome: CallOutcome | None) -> list[Article]:
    rows: JsonValue = (outcome.output or {}).get("rows") if outcome else None
    return [
        Article(
            id=str(row.get("id", "")),
            title=str(row.get("title", "")),
            text=str(row.get("text", ""))[:MAX_ARTICLE_CHARS],
            url=str(row.get("url") or ""),
        )
        for row in (rows[:MAX_ARTICLES_READ] if isinstance(rows, list) else [])
        if isinstance(row, dict) and row.get("title") and row.get("text")
    ]
