"""Which workflow a typed goal fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.matching import Match, NoMatch, match, mentioned, stem
from config.catalogue import load_catalogue
from config.specs import InputSpec
from tests.bot.samples import CATALOGUE, INCIDENT

SERVICES = ("checkout", "payments")


def matched(text: str) -> Match | NoMatch:
    """Match against the sample workflows."""
    return match(text, CATALOGUE.workflows, SERVICES)


@pytest.mark.parametrize(
    ("text", "service"),
    [
        ("why is checkout failing?", "checkout"),
        ("Why is CHECKOUT failing", "checkout"),
        ("payments is slow", "payments"),
        ("what's wrong with payments, it is slow", "payments"),
        ("checkout keeps throwing errors since lunch", "checkout"),
        ("is payments down?", "payments"),
        ("incident service=checkout", "checkout"),
        ("incident checkout", "checkout"),
    ],
)
def test_goal_about_a_service_picks_the_incident_workflow(text: str, service: str) -> None:
    """Keywords, examples and the service's name lead to the workflow, and the reason is said."""
    found = matched(text)

    assert isinstance(found, Match)
    assert found.workflow.name == "incident"
    assert found.inputs == {"service": service}
    assert "because" in found.why


@pytest.mark.parametrize("text", ["hello", "", "checkout", "order the cake", "?!", "the of and"])
def test_goal_that_fits_nothing_lists_what_can_be_done(text: str) -> None:
    """No workflow is guessed; the answer names what there is."""
    found = matched(text)

    assert isinstance(found, NoMatch)
    assert "Incident response" in found.sentence
    assert "why is checkout failing?" in found.choices


def test_missing_input_is_asked_for_with_what_it_may_be() -> None:
    """The workflow fits, but it is not said which service is meant."""
    found = matched("why is everything failing and broken?")

    assert isinstance(found, NoMatch)
    assert "service" in found.sentence
    assert "checkout, payments" in found.sentence


def test_misspelt_service_is_recognised_as_such() -> None:
    """A typo gets the name that was probably meant, not a wrong run."""
    found = matched("why is chekout failing?")

    assert isinstance(found, NoMatch)
    assert "did you mean checkout" in found.sentence


def test_first_service_mentioned_is_the_one() -> None:
    """Of several names the first counts, and the reason shows it."""
    found = matched("why is payments failing since checkout is slow")

    assert isinstance(found, Match)
    assert found.inputs == {"service": "payments"}
    assert "service is payments" in found.why


def test_inputs_have_types_and_defaults() -> None:
    """`name=value` is converted; without it the default is used; nonsense is refused."""
    given_days, default, wrong = map(
        matched, ("weekly report days=3", "weekly report", "weekly report days=many")
    )

    assert isinstance(given_days, Match)
    assert given_days.inputs == {"days": 3}
    assert isinstance(default, Match)
    assert default.inputs == {"days": 7}
    assert isinstance(wrong, NoMatch)
    assert "not a whole number" in wrong.sentence


def test_equally_good_workflows_are_offered() -> None:
    """A tie is a question to the person, with a goal for each."""
    twin = INCIDENT.model_copy(update={"name": "triage", "title": "Triage"})

    found = match("why is checkout failing?", {"incident": INCIDENT, "triage": twin}, SERVICES)

    assert isinstance(found, NoMatch)
    assert "Incident response (incident) or Triage (triage)" in found.sentence
    assert found.choices == (
        "incident: why is checkout failing?",
        "triage: why is checkout failing?",
    )
    chosen = match(found.choices[1], {"incident": INCIDENT, "triage": twin}, SERVICES)
    assert isinstance(chosen, Match)
    assert chosen.workflow.name == "triage"


@pytest.mark.parametrize(
    "text", ["why is checkout failing?", "checkout is slow", "what is wrong with checkout?"]
)
def test_shipped_workflow_is_found_by_its_questions(text: str) -> None:
    """What a fresh installation is asked first works with the catalogue that is shipped."""
    found = match(text, load_catalogue(None).workflows, SERVICES)

    assert isinstance(found, Match)
    assert found.workflow.name == "incident"
    assert found.inputs == {"service": "checkout"}


def test_without_services_the_sentence_says_where_to_add_them() -> None:
    """A fresh installation knows no service yet."""
    found = match("why is it failing and slow?", CATALOGUE.workflows, ())

    assert isinstance(found, NoMatch)
    assert "services.yaml" in found.sentence


def test_words_from_a_list_are_recognised_in_the_text() -> None:
    """`one_of` may be words of the workflow's own."""
    spec = InputSpec(one_of=("staging", "production"))
    workflow = INCIDENT.model_copy(update={"inputs": {"environment": spec}})

    found = match("why is staging failing and slow", {"incident": workflow}, ())

    assert isinstance(found, Match)
    assert found.inputs == {"environment": "staging"}


def test_names_are_whole_words_and_may_be_spoken() -> None:
    """`cart` is not in `cartoon`; `check-out` may be typed as two words."""
    assert mentioned("the cartoon", ["cart"]) == []
    assert mentioned("is check out ok", ["check-out"]) == ["check-out"]
    assert mentioned("cart-service first, then cart", ["cart", "cart-service"]) == [
        "cart-service",
        "cart",
    ]


@pytest.mark.parametrize("word", ["failing", "failed", "fails", "failure", "failures", "fail"])
def test_forms_of_a_word_have_one_stem(word: str) -> None:
    """People do not type keywords in their dictionary form."""
    assert stem(word) == "fail"


@given(st.text(max_size=200))
def test_any_text_gets_an_answer(text: str) -> None:
    """Whatever is typed, the answer is a workflow or a sentence."""
    found = matched(text)

    assert found.why if isinstance(found, Match) else found.sentence
