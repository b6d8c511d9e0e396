"""What every ledger of model spending promises."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.domain import ThreadRef
from agents.models.port import Usage
from config.specs import BudgetSpec, BudgetsSpec
from jobs.spending import (
    DAY_KEPT_S,
    RESERVATION_S,
    Account,
    Ledger,
    Reached,
    Reservation,
    Scope,
    Spent,
    Unit,
)

NOW = 1_700_000_000.0
THREAD = ThreadRef("console", "incidents", "t-1")
ACCOUNT = Account("run-1", THREAD)
BUDGETS = BudgetsSpec(
    run=BudgetSpec(usd=1.0, tokens=1_000),
    thread=BudgetSpec(usd=2.0, tokens=2_000),
    channel_day=BudgetSpec(usd=3.0, tokens=3_000),
    day=BudgetSpec(usd=4.0, tokens=4_000),
)
"""The budgets of the ledger that the contract is given."""
CASES = itertools.count(1)


def usage(usd: float | None, tokens: int) -> Usage:
    """Return what a call used."""
    return Usage(input_tokens=tokens, cost_usd=usd)


async def held(ledger: Ledger, account: Account, usd: float | None, tokens: int) -> Reservation:
    """Return a reservation that is expected to be given."""
    found = await ledger.reserve(account, usd, tokens, NOW)
    assert isinstance(found, Reservation)
    return found


async def spend(ledger: Ledger, account: Account, usd: float | None, tokens: int) -> None:
    """Make a call that uses just what was reserved for it."""
    await ledger.settle(await held(ledger, account, usd, tokens), usage(usd, tokens))


class LedgerContract:
    """Held to both twins."""

    @pytest.fixture
    def ledger(self) -> Ledger:
        """Return an empty ledger with BUDGETS."""
        raise NotImplementedError

    async def test_usage_counts_in_every_scope(self, ledger: Ledger) -> None:
        """What a call used is added to its run, thread, channel and day."""
        await spend(ledger, ACCOUNT, 0.25, 100)
        await spend(ledger, ACCOUNT, 0.5, 50)

        assert await ledger.spent(ACCOUNT, NOW) == {scope: Spent.of(0.75, 150) for scope in Scope}

    async def test_what_is_really_used_counts(self, ledger: Ledger) -> None:
        """A reservation is only an estimate; settling replaces it."""
        reservation = await held(ledger, ACCOUNT, 0.9, 900)
        await ledger.settle(reservation, usage(0.1, 100))

        assert (await ledger.spent(ACCOUNT, NOW))[Scope.RUN] == Spent.of(0.1, 100)
        await held(ledger, ACCOUNT, 0.9, 900)

    async def test_others_spend_in_their_own_run(self, ledger: Ledger) -> None:
        """A run counts for itself; its thread, channel and day are shared."""
        await spend(ledger, ACCOUNT, 0.5, 10)

        other = await ledger.spent(replace(ACCOUNT, run_id="run-2"), NOW)
        elsewhere = await ledger.spent(
            Account("run-3", replace(THREAD, channel="support", id="t-9")), NOW
        )

        assert [scope for scope in Scope if other[scope].tokens] == [
            Scope.THREAD,
            Scope.CHANNEL_DAY,
            Scope.DAY,
        ]
        assert [scope for scope in Scope if elsewhere[scope].tokens] == [Scope.DAY]

    async def test_a_new_day_starts_from_nothing(self, ledger: Ledger) -> None:
        """Channel and day count by the date; run and thread go on."""
        await spend(ledger, ACCOUNT, 0.5, 10)

        tomorrow = await ledger.spent(ACCOUNT, NOW + 86_400)

        assert [scope for scope in Scope if tomorrow[scope].tokens] == [Scope.RUN, Scope.THREAD]

    async def test_reached_budget_is_told(self, ledger: Ledger) -> None:
        """A call without room is refused with the scope, the limit and what is used."""
        await spend(ledger, ACCOUNT, 0.75, 10)

        found = await ledger.reserve(ACCOUNT, 0.5, 10, NOW)

        assert found == Reached(Scope.RUN, Unit.USD, 1.0, 0.75, 0.0, 0.5)
        assert not found.may_pass

    async def test_budget_may_be_used_up_exactly(self, ledger: Ledger) -> None:
        """The last dollar may be spent; what goes beyond may not."""
        await spend(ledger, ACCOUNT, 1.0, 10)

        assert isinstance(await ledger.reserve(ACCOUNT, 0.000001, 1, NOW), Reached)

    async def test_tokens_have_budgets_too(self, ledger: Ledger) -> None:
        """Tokens are limited like money."""
        await spend(ledger, ACCOUNT, 0.01, 900)

        found = await ledger.reserve(ACCOUNT, 0.01, 101, NOW)

        assert found == Reached(Scope.RUN, Unit.TOKENS, 1_000, 900, 0, 101)

    async def test_wider_scopes_hold_back_too(self, ledger: Ledger) -> None:
        """Several runs that are each within budget reach that of their thread."""
        for number in range(2):
            await spend(ledger, replace(ACCOUNT, run_id=f"run-{number}"), 1.0, 10)

        found = await ledger.reserve(replace(ACCOUNT, run_id="run-9"), 0.5, 10, NOW)

        assert isinstance(found, Reached)
        assert found.scope is Scope.THREAD

    async def test_calls_under_way_count(self, ledger: Ledger) -> None:
        """What others hold is not free, but it may become so."""
        await held(ledger, ACCOUNT, 0.75, 10)

        found = await ledger.reserve(ACCOUNT, 0.5, 10, NOW)

        assert found == Reached(Scope.RUN, Unit.USD, 1.0, 0.0, 0.75, 0.5)
        assert found.may_pass

    async def test_refused_call_holds_nothing(self, ledger: Ledger) -> None:
        """A call that one scope refuses takes no room in the others."""
        await spend(ledger, ACCOUNT, 1.0, 10)
        for _ in range(9):
            await ledger.reserve(ACCOUNT, 1.0, 100, NOW)

        await held(ledger, replace(ACCOUNT, run_id="run-2"), 1.0, 100)

    async def test_unknown_price_is_held_to_tokens_only(self, ledger: Ledger) -> None:
        """Nobody can say what it costs, so money does not hold it up; its tokens count."""
        await spend(ledger, ACCOUNT, 1.0, 10)
        await spend(ledger, ACCOUNT, None, 10)

        assert (await ledger.spent(ACCOUNT, NOW))[Scope.RUN] == Spent.of(1.0, 20)
        assert isinstance(await ledger.reserve(ACCOUNT, None, 1_000, NOW), Reached)

    async def test_grant_gives_the_budget_once_more(self, ledger: Ledger) -> None:
        """Each time a person says continue, this run gets the scope's budget again."""
        await spend(ledger, ACCOUNT, 1.0, 10)
        granted = replace(ACCOUNT, grants={"run": 1})

        await spend(ledger, granted, 1.0, 10)

        assert isinstance(await ledger.reserve(ACCOUNT, 0.1, 1, NOW), Reached)
        found = await ledger.reserve(granted, 0.1, 1, NOW)
        assert isinstance(found, Reached)
        assert (found.scope, found.limit) == (Scope.RUN, 2.0)

    async def test_reservation_of_a_dead_worker_runs_out(self, ledger: Ledger) -> None:
        """Room that nobody renews is free again after a while."""
        await held(ledger, ACCOUNT, 1.0, 10)

        soon = await ledger.reserve(ACCOUNT, 1.0, 10, NOW + RESERVATION_S - 1)
        later = await ledger.reserve(ACCOUNT, 1.0, 10, NOW + RESERVATION_S + 1)

        assert isinstance(soon, Reached)
        assert isinstance(later, Reservation)

    async def test_renewed_reservation_stays(self, ledger: Ledger) -> None:
        """A long call keeps its room."""
        reservation = await held(ledger, ACCOUNT, 1.0, 10)
        await ledger.renew(reservation, NOW + RESERVATION_S / 2)

        found = await ledger.reserve(ACCOUNT, 1.0, 10, NOW + RESERVATION_S + 1)

        assert isinstance(found, Reached)

    async def test_late_usage_still_counts(self, ledger: Ledger) -> None:
        """A call that outlived its reservation was paid for all the same."""
        reservation = await held(ledger, ACCOUNT, 0.5, 10)
        await ledger.reserve(ACCOUNT, 0.1, 1, NOW + RESERVATION_S + 1)

        await ledger.settle(reservation, usage(0.5, 10))

        assert (await ledger.spent(ACCOUNT, NOW))[Scope.RUN] == Spent.of(0.5, 10)

    async def test_settled_call_holds_nothing(self, ledger: Ledger) -> None:
        """Renewing too late does not bring a reservation back."""
        reservation = await held(ledger, ACCOUNT, 1.0, 10)
        await ledger.settle(reservation, usage(0.0, 0))
        await ledger.renew(reservation, NOW)

        await held(ledger, ACCOUNT, 1.0, 10)

    async def test_settling_twice_counts_once(self, ledger: Ledger) -> None:
        """A client that repeats itself does not make the call dearer."""
        reservation = await held(ledger, ACCOUNT, 0.5, 10)
        await ledger.settle(reservation, usage(0.5, 10))
        await ledger.settle(reservation, usage(0.5, 10))

        assert (await ledger.spent(ACCOUNT, NOW))[Scope.RUN] == Spent.of(0.5, 10)

    async def test_call_over_midnight_counts_for_its_day(self, ledger: Ledger) -> None:
        """What was reserved yesterday is settled yesterday."""
        reservation = await held(ledger, ACCOUNT, 0.5, 10)
        await ledger.reserve(ACCOUNT, 0.1, 1, NOW + 86_400)

        await ledger.settle(reservation, usage(0.5, 10))

        assert (await ledger.spent(ACCOUNT, NOW))[Scope.DAY] == Spent.of(0.5, 10)
        assert (await ledger.spent(ACCOUNT, NOW + DAY_KEPT_S))[Scope.DAY] == Spent()

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        calls=st.lists(
            st.tuples(
                st.integers(0, 3),
                st.one_of(st.none(), st.floats(0, 1.5, allow_nan=False)),
                st.integers(1, 600),
                st.floats(0, 1),
            ),
            max_size=30,
        ),
    )
    async def test_parallel_calls_never_overshoot(
        self, ledger: Ledger, calls: list[tuple[int, float | None, int, float]]
    ) -> None:
        """Whatever calls are made at once, no ceiling is passed, and the counters are their sum."""
        # One ledger serves all examples, so each has a thread and a day of its own.
        case = next(CASES)
        now = NOW + 86_400 * case
        thread = ThreadRef("console", f"c-{case}", f"t-{case}")

        async def call(run: int, usd: float | None, tokens: int, share: float) -> list[Spent]:
            account = Account(f"run-{case}-{run}", thread)
            found = await ledger.reserve(account, usd, tokens, now)
            if isinstance(found, Reached):
                return []
            await asyncio.sleep(0)
            used = usage(None if usd is None else usd * share, int(tokens * share))
            await ledger.settle(found, used)
            return [Spent.of(used.cost_usd, used.tokens)]

        outcomes = await asyncio.gather(*(call(*one) for one in calls))

        made = [spent for outcome in outcomes for spent in outcome]
        found = await ledger.spent(Account(f"run-{case}-0", thread), now)
        assert found[Scope.THREAD] == sum(made, Spent())
        for scope in Scope:
            budget = getattr(BUDGETS, scope.value)
            assert found[scope].usd <= budget.usd
            assert found[scope].tokens <= budget.tokens
