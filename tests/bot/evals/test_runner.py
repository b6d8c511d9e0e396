"""What runs is what was asked for, and a report on less is refused."""

from __future__ import annotations

import pytest

from bot.evals.runner import RefusedError, Selection, select
from bot.evals.scenario import Scenario
from tests.bot.evals.cases import RUNBOOK, SCRIPTED, scenario

CASES = [
    scenario(name="a"),
    scenario(name="b", labels=["deploy"]),
    scenario(name="c", labels=["support"], requires="model"),
]
WITHOUT_MODEL = CASES[:2]


def refused(cases: list[Scenario], selection: Selection, *, has_model: bool = True) -> str:
    """Return why nothing runs."""
    thinkers = [RUNBOOK, SCRIPTED] if has_model else [RUNBOOK]
    with pytest.raises(RefusedError) as caught:
        select(cases, selection, thinkers)
    return str(caught.value)


def test_every_case_in_each_mode() -> None:
    """Runbooks and models are rows of one table; what needs a model is no part of the first."""
    work = select(CASES, Selection(), [RUNBOOK, SCRIPTED])

    assert [(thinker.mode, [one.name for one in cases]) for thinker, cases in work.rows] == [
        ("runbook", ["a", "b"]),
        ("model", ["a", "b", "c"]),
    ]
    assert work.notes == ("No part of the runbook row: 1 cases (c).",)


def test_labels_choose() -> None:
    """A case runs that has any of the labels."""
    ((_, cases),) = select(WITHOUT_MODEL, Selection(("deploy",)), [RUNBOOK]).rows

    assert [one.name for one in cases] == ["b"]


def test_without_a_model_the_runbook_row_is_said_to_be_all() -> None:
    """A row that is not there is not passed over in silence."""
    work = select(WITHOUT_MODEL, Selection(), [RUNBOOK])

    assert work.notes == ("No model is configured: the runbook row is all there is.",)


def test_no_case_is_no_report() -> None:
    """An empty folder and a label of nobody are refused."""
    assert "no scenario in the folder" in refused([], Selection())
    assert "No scenario has the label nosuch; labels: deploy," in refused(
        CASES, Selection(("nosuch",))
    )


def test_fewer_cases_than_asked_are_refused() -> None:
    """In all, and in each row."""
    assert "2 cases were found and at least 3" in refused(WITHOUT_MODEL, Selection(min_cases=3))
    assert "The runbook row would have 2 cases" in refused(CASES, Selection(min_cases=3))


def test_a_skipped_case_is_refused() -> None:
    """A case that needs a model is not left out silently when there is none."""
    assert "would be skipped" in refused(CASES, Selection(), has_model=False)
    assert "MUSTER_MODEL_NAME" in refused(CASES, Selection(mode="model"), has_model=False)


def test_the_runbook_alone_may_be_asked_for() -> None:
    """Then a case that needs a model is told as no part of it."""
    work = select(CASES, Selection(mode="runbook"), [RUNBOOK])

    assert len(work.rows) == 1
    assert work.notes == ("No part of the runbook row: 1 cases (c).",)


def test_a_case_may_be_about_runbooks_alone() -> None:
    """What only words decide is no case for a model, and that is said."""
    words = scenario(name="words", requires="runbook")

    work = select([*WITHOUT_MODEL, words], Selection(), [RUNBOOK, SCRIPTED])

    assert [len(cases) for _, cases in work.rows] == [3, 2]
    assert work.notes == ("No part of the model row: 1 cases (words).",)
