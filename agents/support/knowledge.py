"""Finds the help article that a ticket asks for, by the words of its title."""

from __future__ import annotations

from collections.abc import Iterable

from agents.findings import Article
from agents.ranking import words

MAX_ARTICLES = 3
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
