"""What is remembered is found by its words, and weighs less with age and doubt."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agents.longterm import HALF_LIFE_S, Doubt, Fact, Past, search, weakest, weight

NOW = 1_700_000_000.0
FACT = Fact("fact-1", "checkout times out when payments is slow", "run-1/ev-a", "run-1", NOW, 0.8)
DOUBT = Doubt("d", "payments was fine", "run-2", NOW)
PAST = Past("run-7", "why is checkout slow?", "A deploy of payments", NOW, "Rolled back.", ("p95",))


def test_weight_decays_with_age_and_doubt() -> None:
    """Half after each half-life, half after each contradiction."""
    assert weight(FACT, NOW) == 0.8
    assert weight(FACT, NOW + HALF_LIFE_S) == 0.4
    assert weight(replace(FACT, doubts=(DOUBT, DOUBT)), NOW) == 0.2


@given(st.floats(0, 1e9), st.integers(0, 20))
def test_weight_never_exceeds_the_confidence(age_s: float, doubts: int) -> None:
    """Whatever its age, a fact from the future included."""
    fact = replace(FACT, doubts=(DOUBT,) * doubts)

    assert 0 <= weight(fact, NOW + age_s) <= fact.confidence
    assert weight(fact, NOW - age_s) <= fact.confidence


def test_search_says_source_and_age() -> None:
    """Facts and past answers come in one list, each with where it is from."""
    hits = search("checkout slow", [FACT], [PAST], NOW + 86_400, 5)

    assert {hit.id for hit in hits} == {"fact-1", "run-7"}
    lines = {hit.id: hit.line for hit in hits}
    assert "from run-1/ev-a" in lines["fact-1"]
    assert "24 h ago" in lines["fact-1"]
    assert "the answer to 'why is checkout slow?'" in lines["run-7"]


def test_contradicted_fact_comes_later_and_says_so() -> None:
    """Of two that fit equally the doubted one stands behind."""
    doubted = replace(FACT, id="fact-2", doubts=(DOUBT,))

    first, second = search("payments slow", [doubted, FACT], [], NOW, 5)

    assert (first.id, second.id) == ("fact-1", "fact-2")
    assert "contradicted 1 times, last: payments was fine" in second.line


def test_weakest_is_the_doubted_then_the_oldest() -> None:
    """That is what makes room."""
    older = replace(FACT, id="old", at=NOW - 1)

    assert weakest([FACT, older], NOW).id == "old"
    assert weakest([replace(FACT, doubts=(DOUBT,)), older], NOW).id == "fact-1"
