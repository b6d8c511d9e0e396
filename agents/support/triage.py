"""Sorts a ticket by its words: what works without a model, and a second opinion beside one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agents.findings import Category, QuotedReason, Triage, Urgency
from agents.wording import one_line

MAX_KEYWORD_CONFIDENCE = 0.8
"""Words alone are never surer than this: whoever writes the ticket chooses them."""
UNKNOWN_CONFIDENCE = 0.2
MAX_QUOTE_CHARS = 120
MAX_REASONS = 4
MAX_SUMMARY_CHARS = 160
STRONG, USUAL, WEAK = 3.0, 2.0, 1.0
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|\n")
"""A full stop inside an address or a number ends nothing."""


@dataclass(frozen=True, slots=True)
class Sign:
    """Words that speak for something as whole words, and how loud."""

    pattern: re.Pattern[str]
    weight: float


def _signs(weight: float, *patterns: str) -> tuple[Sign, ...]:
    return tuple(Sign(re.compile(rf"\b(?:{one})\b", re.IGNORECASE), weight) for one in patterns)


SIGNS: Mapping[Category, tuple[Sign, ...]] = {
    "billing": (
        *_signs(STRONG, r"refund(?:s|ed)?", r"charged twice", r"double charg\w+", r"overcharged"),
        *_signs(USUAL, r"invoices?", r"billing", r"charge[sd]?", r"receipts?", r"credit card"),
        *_signs(WEAK, r"payments?", r"paid", r"price", r"VAT", r"subscription", r"renewal"),
    ),
    "bug": (
        *_signs(STRONG, r"bug", r"crash(?:es|ed|ing)?", r"stack ?trace", r"exception", r"is down"),
        *_signs(
            USUAL,
            r"errors?",
            r"broken",
            r"(?:does not|doesn't|do not|don't|not|stopped) work(?:ing)?",
            r"fail(?:s|ed|ing|ures?)?",
            r"timeouts?",
            r"times? out",
            r"wrong (?:result|total|number|amount)s?",
        ),
        *_signs(WEAK, r"slow", r"stuck", r"missing", r"cannot", r"can't"),
    ),
    "feature": (
        *_signs(STRONG, r"feature request", r"please add", r"(?:could|can) you add", r"roadmap"),
        *_signs(
            USUAL,
            r"would be (?:great|nice|helpful|useful)",
            r"(?:I|we) wish",
            r"would love",
            r"it would help",
        ),
        *_signs(WEAK, r"feature", r"integrat\w+", r"suggest(?:ion)?s?"),
    ),
    "question": (
        *_signs(
            STRONG,
            r"how (?:do|can|would|should) (?:I|we|you)",
            r"how to",
            r"where (?:do|can) (?:I|we)",
            r"where is the",
            r"is it possible to",
        ),
        *_signs(USUAL, r"what (?:is|are|does)", r"(?:do|can) (?:you|I|we)", r"which plan"),
        *_signs(WEAK, r"question", r"wonder(?:ing)?", r"documentation"),
    ),
    "not_ours": (
        *_signs(
            STRONG,
            r"backlinks?",
            r"SEO",
            r"guest posts?",
            r"job application",
            r"press inquir\w+",
            r"my (?:résumé|resume|CV)",
            r"casino",
            r"crypto(?:currency)? investment",
        ),
        *_signs(USUAL, r"sponsored", r"wrong (?:company|address|recipient)", r"marketing services"),
    ),
}
"""What speaks for each category. A question about an invoice is both; the louder one counts."""

_OUTAGE = _signs(
    STRONG,
    r"(?:production|everything|(?:the|our|your) (?:whole )?(?:site|shop|service|system|store|"
    r"checkout|API)) (?:is|are|has been|went) (?:completely |totally |entirely )?(?:down|offline)",
    r"(?<!no )(?<!not an )(?:total |complete |major )?outage",
    r"down for (?:everyone|everybody|all)",
    r"(?:nobody|no one|none of our (?:users|customers)) can",
    r"all (?:of )?(?:our|my) (?:users|customers|orders) (?:are|get|see|fail)",
    r"(?:we are|we're) losing (?:money|orders|customers|sales)",
)
_HIGH = _signs(
    USUAL,
    r"urgent(?:ly)?",
    r"asap",
    r"as soon as possible",
    r"immediately",
    r"blocked",
    r"blocking us",
    r"data loss",
    r"lost (?:our|all|my) data",
    r"security (?:issue|incident|breach)",
    r"(?:cannot|can't|unable to) log ?in",
    r"deadline",
)
URGENCY_ORDER: Sequence[Urgency] = ("normal", "high", "outage")
URGENCY_WORDS: Mapping[Urgency, str] = {
    "outage": "they say that production is down",
    "high": "they say that it is urgent",
    "normal": "",
}
CATEGORY_WORDS: Mapping[Category, str] = {
    "billing": "it speaks of money",
    "bug": "it says that something does not work",
    "feature": "it asks for something new",
    "question": "it asks how something is done",
    "not_ours": "it is about something that is not ours",
}


def classify(text: str) -> Triage:
    """Return what the words of a ticket speak for, quoting them."""
    scores = {category: _score(text, signs) for category, signs in SIGNS.items()}
    order = sorted(scores, key=lambda category: -scores[category])
    best, second = order[0], order[1]
    urgency = urgency_of(text)
    if scores[best] == 0:
        best, confidence = ("bug" if urgency == "outage" else "question"), UNKNOWN_CONFIDENCE
    else:
        confidence = _confidence(scores[best], scores[second])
    if urgency == "outage" and best in ("question", "feature"):
        best = "bug"  # Who says that production is down does not ask how something is done.
    reasons = [
        QuotedReason(text=CATEGORY_WORDS[best], quote=quote)
        for quote in _quotes(text, SIGNS[best])[:MAX_REASONS]
    ]
    if urgency != "normal":
        signs = _OUTAGE if urgency == "outage" else _HIGH
        reasons += [
            QuotedReason(text=URGENCY_WORDS[urgency], quote=quote)
            for quote in _quotes(text, signs)[:1]
        ]
    return Triage(
        category=best,
        urgency=urgency,
        confidence=confidence,
        reasons=tuple(reasons),
        summary=one_line(text, MAX_SUMMARY_CHARS),
    )


def urgency_of(text: str) -> Urgency:
    """Return how urgent a ticket says it is."""
    if any(sign.pattern.search(text) for sign in _OUTAGE):
        return "outage"
    return "high" if any(sign.pattern.search(text) for sign in _HIGH) else "normal"


def _score(text: str, signs: Sequence[Sign]) -> float:
    return sum(sign.weight for sign in signs if sign.pattern.search(text))


def _confidence(best: float, second: float) -> float:
    """Return how far the best category leads, and how much was said for it at all."""
    lead = (best - second) / best
    said = min(1.0, best / STRONG)
    return round(MAX_KEYWORD_CONFIDENCE * (0.4 + 0.6 * lead) * said, 2)


def _quotes(text: str, signs: Sequence[Sign]) -> list[str]:
    """Return the words found, each with the rest of its sentence, once."""
    found: list[str] = []
    for sign in signs:
        match = sign.pattern.search(text)
        if match is None:
            continue
        quote = _around(text, match.start(), match.end())
        if quote not in found:
            found.append(quote)
    return found


def _around(text: str, start: int, end: int) -> str:
    """Return the sentence around a place, or as much of it as may be quoted."""
    left = max((found.end() for found in _SENTENCE_END.finditer(text, 0, start)), default=0)
    after = _SENTENCE_END.search(text, end)
    right = after.end() if after else len(text)
    if right - left > MAX_QUOTE_CHARS:
        left = max(left, start - (MAX_QUOTE_CHARS - (end - start)) // 2)
        right = min(right, left + MAX_QUOTE_CHARS)
    return text[left:right].strip()
