"""A claim stands only if its cites stand in the evidence."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.claims import STRUCK_CAP, check, holds
from agents.domain import Answer, Cite, Claim, Evidence

TEXT = "checkout error_ratio: rose from 0.0012 to 0.412 at 21:30:05Z\nsecond  line"
EVIDENCE = {"e1": Evidence("e1", "r", "s", "metrics.onset", "t", TEXT, 0.0)}


@pytest.mark.parametrize(
    ("quote", "is_held"),
    [
        ("rose from 0.0012 to 0.412", True),
        ("21:30:05Z second line", True),
        ("0.41", True),
        ("0.4", True),
        ("41 %", True),
        ("41.2%", True),
        ("0.0012", True),
        ("0.42", False),
        ("40 %", False),
        ("rose to 0.5", False),
        ("", False),
        ("   ", False),
        ("9" * 5_000, False),
        ("1e999", False),
    ],
)
def test_cite_holds_only_if_it_stands_there(quote: str, is_held: bool) -> None:
    """Words must stand there up to white space, numbers up to their rounding."""
    assert holds(Cite("e1", quote), EVIDENCE) is is_held


def test_cite_of_unknown_evidence_does_not_hold() -> None:
    """An id that was made up proves nothing."""
    assert not holds(Cite("e2", "second line"), EVIDENCE)


def test_false_claim_is_struck_and_caps_the_confidence() -> None:
    """One cite that does not hold strikes its claim and lowers the confidence."""
    answer = Answer(
        headline="h",
        claims=(
            Claim("good", (Cite("e1", "second line"),)),
            Claim("bad", (Cite("e1", "second line"), Cite("e1", "third line"))),
            Claim("plain"),
        ),
        confidence=0.9,
    )

    checked = check(answer, EVIDENCE)

    assert [claim.is_struck for claim in checked.claims] == [False, True, False]
    assert checked.confidence == STRUCK_CAP


def test_confidence_stays_when_all_holds() -> None:
    """Nothing struck, nothing capped."""
    answer = Answer("h", claims=(Claim("good", (Cite("e1", "0.412"),)),), confidence=0.9)

    assert check(answer, EVIDENCE) == answer


@pytest.mark.parametrize(("given_", "kept"), [(math.nan, None), (7.0, 1.0), (-1.0, 0.0)])
def test_confidence_is_made_sane(given_: float, kept: float | None) -> None:
    """A confidence that is no share is brought into range or dropped."""
    assert check(Answer("h", confidence=given_), {}).confidence == kept


@given(
    st.lists(
        st.lists(st.tuples(st.text(max_size=5), st.text(max_size=40)), max_size=3), max_size=4
    ),
    st.text(max_size=200),
    st.none() | st.floats(),
)
def test_rubbish_never_raises(
    cites: list[list[tuple[str, str]]], text: str, confidence: float | None
) -> None:
    """Whatever a model writes, the check gives an answer with a sane confidence."""
    evidence = {"e": Evidence("e", "r", "s", "t", "t", text, 0.0)}
    claims = tuple(Claim("c", tuple(Cite(*one) for one in many)) for many in cites)

    checked = check(Answer("h", claims=claims, confidence=confidence), evidence)

    assert checked.confidence is None or 0.0 <= checked.confidence <= 1.0


@given(st.text(min_size=1, max_size=60))
def test_any_words_of_the_evidence_hold(words: str) -> None:
    """Quoting the whole evidence always holds, unless it is blank."""
    evidence = {"e": Evidence("e", "r", "s", "t", "t", words, 0.0)}

    assert holds(Cite("e", words), evidence) or not words.split()
