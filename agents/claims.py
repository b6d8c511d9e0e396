"""Checks that what an answer claims really stands in the evidence it cites.

The rule: a cite holds when its words stand in the evidence (white space aside), or, when it is
a number, when the evidence has a number that rounds to it at the precision it is written with.
A claim with a cite that does not hold is struck. The confidence is then capped by the share of
cited claims that held, and by `STRUCK_CAP`: an answer that cited something false is never sure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from agents.domain import Answer, Cite, Claim, Evidence

STRUCK_CAP = 0.5
MAX_QUOTE_CHARS = 4_000
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?(?![\w])"
)
_QUOTED_NUMBER = re.compile(r"([-+]?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][-+]?[0-9]{1,3})?)\s*(%?)")
_PERCENT = Decimal(100)


def check(answer: Answer, evidence: Mapping[str, Evidence]) -> Answer:
    """Return the answer with unsupported claims struck and its confidence capped."""
    claims = tuple(_checked(claim, evidence) for claim in answer.claims)
    return replace(answer, claims=claims, confidence=_capped(answer.confidence, claims))


def holds(cite: Cite, evidence: Mapping[str, Evidence]) -> bool:
    """Return whether the cited words or number stand in the cited evidence."""
    source = evidence.get(cite.evidence_id)
    quote = _flat(cite.quote)
    if source is None or not quote or len(quote) > MAX_QUOTE_CHARS:
        return False
    number = _QUOTED_NUMBER.fullmatch(quote)
    if number:
        return _has_number(source.text, number[1], is_percent=bool(number[2]))
    return quote in _flat(source.text)


def _checked(claim: Claim, evidence: Mapping[str, Evidence]) -> Claim:
    is_held = all(holds(cite, evidence) for cite in claim.cites)
    return replace(claim, is_struck=claim.is_struck or not is_held)


def _capped(confidence: float | None, claims: tuple[Claim, ...]) -> float | None:
    if confidence is None or not math.isfinite(confidence):
        return None
    confidence = min(1.0, max(0.0, confidence))
    judged = [claim for claim in claims if claim.cites or claim.is_struck]
    struck = sum(claim.is_struck for claim in judged)
    if not struck:
        return confidence
    return min(confidence, STRUCK_CAP, (len(judged) - struck) / len(judged))


def _flat(text: str) -> str:
    return " ".join(text.split())


def _has_number(text: str, written: str, *, is_percent: bool) -> bool:
    """Say whether a number of the text rounds to the written one; `%` also matches a ratio."""
    try:
        value = Decimal(written)
        half = Decimal(1).scaleb(_exponent(value)) / 2
        for match in _NUMBER.finditer(text):
            found = Decimal(match[0])
            if abs(found - value) <= half:
                return True
            if is_percent and abs(found * _PERCENT - value) <= half:
                return True
    except (InvalidOperation, OverflowError, ValueError):
        return False
    return False


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
