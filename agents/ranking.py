"""Ranks short texts by how well their words fit a query (BM25); no model, no index to keep."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from importlib import import_module

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
MIN_STEM_CHARS = 4
ENDINGS = (("ings", ""), ("ing", ""), ("ies", "y"), ("es", ""), ("ed", ""), ("s", ""))


def ranked(query: str, texts: Sequence[str], limit: int) -> list[tuple[int, float]]:
    """Return the places of the texts that share words with the query, best first, with scores."""
    wanted = list(dict.fromkeys(words(query)))
    corpus = [words(text) for text in texts]
    vocabulary = {word for text in corpus for word in text}
    wanted = [word for word in wanted if word in vocabulary]
    if not wanted:
        return []
    bm25s = import_module("bm25s")  # Slow to import, half-typed, and most never search.
    logging.getLogger("bm25s").setLevel(logging.WARNING)  # It tells every step it takes.

    index = bm25s.BM25()
    index.index(corpus, show_progress=False)
    scores = [float(score) for score in index.get_scores(wanted)]
    places = [place for place, score in enumerate(scores) if score > 0]
    places.sort(key=lambda place: (-scores[place], place))
    return [(place, scores[place]) for place in places[:limit]]


def words(text: str) -> list[str]:
    """Return the words of a text without their commonest English endings, in lower case."""
    return [_stem(word) for word in _WORD.findall(_CAMEL.sub(" ", text).lower())]


def _stem(word: str) -> str:
    for ending, instead in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= MIN_STEM_CHARS:
            return word.removesuffix(ending) + instead
    return word
