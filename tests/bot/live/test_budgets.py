"""How often cards may change."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.live.budgets import CONSOLE, DISCORD, PACES, SLACK, Budget, Urgency, gap_s, pace_of


def test_gap_grows_with_the_age_of_the_run_and_the_number_of_cards() -> None:
    """A young run is fresh; many cards share what there is."""
    assert [gap_s(SLACK, age, 1) for age in (10, 300, 900)] == [2.5, 5.0, 10.0]
    assert gap_s(SLACK, 10, 10) == 15.0
    assert gap_s(CONSOLE, 10, 1) == 0.1
    assert gap_s(CONSOLE, 10, 50) == 0.5


def test_unknown_platform_is_treated_like_the_strictest() -> None:
    """Nobody's limit is broken by a platform that is not in the table."""
    assert pace_of("console") is CONSOLE
    assert pace_of("new-thing") is SLACK


def test_console_never_waits() -> None:
    """The console has no shared budget."""
    budget = Budget.full(CONSOLE, 0)

    assert budget.spend(0).wait_s(0, Urgency.DETAIL) == 0


def test_last_tokens_are_kept_for_what_matters() -> None:
    """When the budget is nearly used up, details wait and final frames do not."""
    budget = Budget.full(DISCORD, 0)
    for _ in range(3):
        assert budget.wait_s(0, Urgency.DETAIL) == 0
        budget = budget.spend(0)

    assert budget.wait_s(0, Urgency.DETAIL) > 0
    assert budget.wait_s(0, Urgency.FINAL) == 0
    assert budget.spend(0).wait_s(0, Urgency.FINAL) > 0


def test_refusal_freezes_and_slows() -> None:
    """After the platform complained nothing is sent for as long as it says, then less often."""
    budget = Budget.full(SLACK, 0).freeze(0, 10)

    assert budget.wait_s(5, Urgency.FINAL) >= 5.5
    assert budget.factor(60) == 2.0
    assert budget.factor(10.5 + 301) == 1.0
    assert budget.wait_s(60, Urgency.FINAL) == 0


@given(
    st.sampled_from(sorted(PACES)),
    st.lists(st.tuples(st.floats(0, 5), st.sampled_from(Urgency)), max_size=60),
)
def test_no_more_is_spent_than_is_earned(name: str, asks: list[tuple[float, Urgency]]) -> None:
    """Whoever waits as long as the budget says never sends more than its rate and burst."""
    pace = PACES[name]
    now, sent, budget = 0.0, 0, Budget.full(pace, 0)
    for pause, urgency in asks:
        now += pause
        now += budget.wait_s(now, urgency)
        budget = budget.spend(now)
        sent += 1

    if pace.rate_per_s:
        assert sent <= pace.burst + pace.rate_per_s * now + 1e-6
