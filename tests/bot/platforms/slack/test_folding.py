"""Which steps a card has room for."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.platforms.slack.folding import fold, tally
from bot.views import StepView
from jobs.state import Status
from tests.bot.platforms.slack.anything import steps

BASE = StepView("a", "A", "Analyst", Status.SUCCEEDED)


def group(name: str, count: int, status: Status = Status.SUCCEEDED) -> list[StepView]:
    """Return a step with others below it."""
    below = [
        replace(BASE, id=f"{name}.{number}", parent=name, depth=1, status=status)
        for number in range(count)
    ]
    return [replace(BASE, id=name, status=status), *below]


def test_nothing_folds_without_need() -> None:
    """While there is room, each step has its line."""
    all_ = group("a", 3)

    assert [line.step for line in fold(all_, 4).lines] == all_


def test_groups_that_went_well_fold_first() -> None:
    """What is going on stays in sight."""
    folded = fold([*group("old", 5), *group("new", 5, Status.RUNNING)], 8)

    assert [line.step.id for line in folded.lines] == [
        "old",
        "new",
        *(f"new.{n}" for n in range(5)),
    ]
    assert tally(folded.lines[0].folded) == "5 of 5 done"
    assert not folded.left_out


def test_failures_stay_when_the_rest_goes() -> None:
    """Without groups the least telling is left out, and counted."""
    flat = [replace(BASE, id=f"s{n}") for n in range(30)]
    flat[17] = replace(flat[17], status=Status.FAILED)
    folded = fold(flat, 5)

    assert "s17" in {line.step.id for line in folded.lines}
    assert (len(folded.lines), len(folded.left_out)) == (4, 26)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(steps(), st.integers(2, 45))
def test_every_step_is_somewhere(all_: tuple[StepView, ...], limit: int) -> None:
    """Each step has a line, is below one, or is counted; once."""
    folded = fold(all_, limit)
    below = [step.id for line in folded.lines for step in (line.step, *line.folded)]

    assert sorted([*below, *(step.id for step in folded.left_out)]) == sorted(s.id for s in all_)
    assert len(folded.lines) + bool(folded.left_out) <= limit
