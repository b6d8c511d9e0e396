"""The rules of budgets, as plain values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.domain import ThreadRef
from config.specs import BudgetSpec, BudgetsSpec
from jobs.spending import (
    Account,
    BudgetReachedError,
    Ceiling,
    Reached,
    Scope,
    Spent,
    Unit,
    ceilings,
    day_of,
    over,
    quantity,
)

THREAD = ThreadRef("console", "incidents", "t-1")
OPEN = {scope: Ceiling() for scope in Scope}


def test_budgets_become_ceilings() -> None:
    """Money is counted in whole nanodollars; what has no limit stays without."""
    budgets = BudgetsSpec(run=BudgetSpec(usd=0.1), day=BudgetSpec(tokens=5))

    found = ceilings(budgets, Account("run-1", THREAD))

    assert found[Scope.RUN] == Ceiling(100_000_000, None)
    assert found[Scope.DAY] == Ceiling(None, 5)


def test_grants_count_by_scope() -> None:
    """A person who said continue twice for the thread did not say so for the run."""
    budgets = BudgetsSpec(run=BudgetSpec(usd=1), thread=BudgetSpec(usd=1))

    found = ceilings(budgets, Account("run-1", THREAD, {"thread": 2}))

    assert (found[Scope.RUN].nanos, found[Scope.THREAD].nanos) == (1_000_000_000, 3_000_000_000)


def test_narrowest_budget_is_told_first() -> None:
    """When several are reached, the run's is what a person can do something about."""
    limits = {scope: Ceiling(tokens=1) for scope in Scope}

    found = over({}, limits, Spent(tokens=2))

    assert found == Reached(Scope.RUN, Unit.TOKENS, 1, 0, 0, 2)


def test_free_calls_are_not_held_up_for_money() -> None:
    """A model that costs nothing may go on where the money is spent."""
    limits = {**OPEN, Scope.RUN: Ceiling(nanos=1)}

    assert over({Scope.RUN: Spent(nanos=5)}, limits, Spent(tokens=100)) is None


def test_room_held_by_others_may_come_back() -> None:
    """Whether waiting can help depends on what is really spent."""
    limits = {**OPEN, Scope.RUN: Ceiling(tokens=10)}
    asked = Spent(tokens=6)

    waits = over({}, limits, asked, {Scope.RUN: Spent(tokens=5)})
    spent = over({Scope.RUN: Spent(tokens=5)}, limits, asked, {Scope.RUN: Spent(tokens=1)})

    assert waits is not None
    assert waits.may_pass
    assert spent is not None
    assert not spent.may_pass


@given(
    spent=st.integers(0, 100),
    held=st.integers(0, 100),
    asked=st.integers(0, 100),
    limit=st.integers(1, 100),
)
def test_a_budget_is_reached_when_the_sum_is_beyond_it(
    spent: int, held: int, asked: int, limit: int
) -> None:
    """Used, held and asked together decide, for tokens and for money alike."""
    is_over = spent + held + asked > limit

    for scope in Scope:
        tokens = over(
            {scope: Spent(tokens=spent)},
            {**OPEN, scope: Ceiling(tokens=limit)},
            Spent(tokens=asked),
            {scope: Spent(tokens=held)},
        )
        money = over(
            {scope: Spent(nanos=spent)},
            {**OPEN, scope: Ceiling(nanos=limit)},
            Spent(nanos=asked),
            {scope: Spent(nanos=held)},
        )
        assert (tokens is not None) == is_over
        assert (money is not None) == (is_over and asked > 0)


@pytest.mark.parametrize(
    ("usd", "nanos"),
    [(None, 0), (0.0, 0), (0.1, 100_000_000), (2.0, 2_000_000_000), (1e-10, 1), (3e-7, 300)],
)
def test_money_is_rounded_up_to_nanodollars(usd: float | None, nanos: int) -> None:
    """No call is free because it is cheap, and none dearer because of binary fractions."""
    assert Spent.of(usd, 7) == Spent(nanos, 7)


def test_days_are_those_of_utc() -> None:
    """A day begins at midnight UTC, wherever the worker stands."""
    assert day_of(1_700_006_399.9) == "2023-11-14"
    assert day_of(1_700_006_400.0) == "2023-11-15"


@pytest.mark.parametrize(
    ("unit", "amount", "text"),
    [
        (Unit.USD, 1.2, "$1.20"),
        (Unit.USD, 0, "$0.00"),
        (Unit.USD, 0.00034, "$0.00034"),
        (Unit.TOKENS, 12_000, "12,000 tokens"),
    ],
)
def test_amounts_are_written_for_people(unit: Unit, amount: float, text: str) -> None:
    """Money has a sign and its cents, tokens have their word."""
    assert quantity(unit, amount) == text


def test_error_says_what_a_person_needs() -> None:
    """Which budget, how much of it is used, and how much more is asked for."""
    error = BudgetReachedError(Reached(Scope.THREAD, Unit.USD, 10.0, 9.5, 0.25, 0.5))

    assert (error.scope, error.limit, error.spent) == (Scope.THREAD, "$10.00", "$9.75")
    assert str(error) == (
        "the model budget of this thread is reached: $9.75 of $10.00 are used, "
        "and the next call may need $0.50"
    )
