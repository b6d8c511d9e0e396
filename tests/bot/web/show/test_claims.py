"""Evidence that claims share is said once."""

from __future__ import annotations

from agents.domain import Cite, Claim
from bot.web.show.claims import grouped

DEPLOY = Cite("ev-1", "deployed 9d81e02")
ERROR = Cite("ev-2", "KeyError")


def test_claims_with_the_same_words_stand_together() -> None:
    """Claims that rest on the same cites are one group, where the first of them stood."""
    groups = grouped(
        [Claim("it is new", (DEPLOY,)), Claim("it logs errors", (ERROR,)), Claim("b", (DEPLOY,))]
    )

    assert [group.text for group in groups] == ["it is new; b", "it logs errors"]
    assert groups[0].cites == (DEPLOY,)


def test_sentences_stay_sentences() -> None:
    """Claims that end in a full stop are joined as sentences."""
    (group,) = grouped([Claim("One.", (DEPLOY,)), Claim("Two.", (DEPLOY, DEPLOY))])

    assert group.text == "One. Two."


def test_struck_and_bare_claims_stand_alone() -> None:
    """What does not hold is never joined with what does; nor is what cites nothing."""
    claims = [Claim("a", (DEPLOY,)), Claim("b", (DEPLOY,), is_struck=True), Claim("c"), Claim("d")]

    groups = grouped(claims)

    assert [group.text for group in groups] == ["a", "b", "c", "d"]
    assert [group.is_struck for group in groups] == [False, True, False, False]
