"""What model calls may use of the budgets: the rules, the port to what was spent, the errors.

Money is counted in nanodollars, whole numbers that add up exactly in every store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from agents.domain import ThreadRef
from agents.models.port import Usage
from config.specs import BudgetSpec, BudgetsSpec

NANOS_PER_USD = 1_000_000_000
CENT = 0.01
RESERVATION_S = 60.0
"""How long the reservation of a dead worker counts; a living one renews it."""
DAY_KEPT_S = 8 * 86_400
"""How long the counters of a day are kept."""


class Scope(StrEnum):
    """What a budget is for; the narrowest is looked at first."""

    RUN = "run"
    THREAD = "thread"
    CHANNEL_DAY = "channel_day"
    DAY = "day"


SCOPE_WORDS: Mapping[Scope, str] = {
    Scope.RUN: "this run",
    Scope.THREAD: "this thread",
    Scope.CHANNEL_DAY: "this channel today",
    Scope.DAY: "all runs of today",
}


class Unit(StrEnum):
    """What a budget counts."""

    USD = "usd"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Account:
    """For whom a call is made; `grants` says how often people said "continue", by scope.

    Each grant gives this run the scope's budget once more.
    """

    run_id: str
    thread: ThreadRef
    grants: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spent:
    """Money and tokens that were used, are in use, or are asked for."""

    nanos: int = 0
    tokens: int = 0

    @classmethod
    def of(cls, usd: float | None, tokens: int) -> Spent:
        """Return the amount, fractions of a nanodollar rounded up; an unknown price counts 0."""
        # A price such as 0.1 is a little more than it says: that must not cost a nanodollar.
        return cls(math.ceil(round((usd or 0.0) * NANOS_PER_USD, 3)), tokens)

    @property
    def usd(self) -> float:
        """The money in dollars."""
        return self.nanos / NANOS_PER_USD

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.nanos + other.nanos, self.tokens + other.tokens)


NOTHING = Spent()


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that may be spent in one scope; None: as much as one likes."""

    nanos: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """A budget that has no room for a call: used, held by calls under way, asked for, allowed."""

    scope: Scope
    unit: Unit
    limit: float
    spent: float
    reserved: float
    asked: float

    @property
    def may_pass(self) -> bool:
        """Whether there may be room once the calls under way have said what they really used."""
        return self.reserved > 0 and self.spent + self.asked <= self.limit


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room held for one call until it is settled; `day` is the one it counts for."""

    id: str
    account: Account
    day: str
    amount: Spent


class BudgetReachedError(Exception):
    """A budget has no room for the next model call; people are asked whether to go on."""

    def __init__(self, reached: Reached) -> None:
        self.reached = reached
        self.scope = reached.scope
        self.limit = quantity(reached.unit, reached.limit)
        self.spent = quantity(reached.unit, reached.spent + reached.reserved)
        needed = quantity(reached.unit, reached.asked)
        super().__init__(
            f"the model budget of {SCOPE_WORDS[reached.scope]} is reached: {self.spent} of "
            f"{self.limit} are used, and the next call may need {needed}"
        )


class Ledger(Protocol):
    """What model calls have used, by run, thread, channel and day. Shared by all workers.

    Every method may raise StoreUnavailableError.
    """

    async def reserve(
        self, account: Account, usd: float | None, tokens: int, now: float
    ) -> Reservation | Reached:
        """Hold room for a call in all four scopes, or in none when a budget has too little.

        What is used and held together never goes beyond a ceiling. With an unknown price (None)
        only tokens are looked at. Not renewed for RESERVATION_S, the room is free again.
        """

    async def renew(self, reservation: Reservation, now: float) -> None:
        """Go on holding the room, if it is still held."""

    async def settle(self, reservation: Reservation, usage: Usage) -> None:
        """Give the room back and count what was really used, once, however late."""

    async def spent(self, account: Account, now: float) -> Mapping[Scope, Spent]:
        """Return what was used in each scope, without what calls under way hold."""


def ceilings(budgets: BudgetsSpec, account: Account) -> dict[Scope, Ceiling]:
    """Return what the account's run may see spent in each scope."""
    return {
        scope: _ceiling(getattr(budgets, scope.value), 1 + account.grants.get(scope.value, 0))
        for scope in Scope
    }


def _ceiling(budget: BudgetSpec, times: int) -> Ceiling:
    return Ceiling(
        None if budget.usd is None else round(budget.usd * NANOS_PER_USD) * times,
        None if budget.tokens is None else budget.tokens * times,
    )


def over(
    spent: Mapping[Scope, Spent],
    limits: Mapping[Scope, Ceiling],
    asked: Spent = NOTHING,
    reserved: Mapping[Scope, Spent] | None = None,
) -> Reached | None:
    """Return the first budget that has no room for what is asked, the narrowest scope first.

    Who asks for no money (a free model, an unknown price) is not held up for money.
    """
    held = reserved or {}
    for scope in Scope:
        used, in_use = spent.get(scope, NOTHING), held.get(scope, NOTHING)
        total, limit = used + in_use + asked, limits[scope]
        if asked.nanos and limit.nanos is not None and total.nanos > limit.nanos:
            return reached(scope, Unit.USD, limit, used, in_use, asked)
        if limit.tokens is not None and total.tokens > limit.tokens:
            return reached(scope, Unit.TOKENS, limit, used, in_use, asked)
    return None


def reached(
    scope: Scope, unit: Unit, limit: Ceiling, spent: Spent, reserved: Spent, asked: Spent
) -> Reached:
    """Return what to say of a budget without room, in its own unit."""
    if unit is Unit.TOKENS:
        return Reached(scope, unit, limit.tokens or 0, spent.tokens, reserved.tokens, asked.tokens)
    most = (limit.nanos or 0) / NANOS_PER_USD
    return Reached(scope, unit, most, spent.usd, reserved.usd, asked.usd)


def day_of(now: float) -> str:
    """Return the UTC date that a call counts for."""
    return datetime.fromtimestamp(now, UTC).date().isoformat()


def quantity(unit: Unit, amount: float) -> str:
    """Return an amount for people, such as `$1.20` or `12,000 tokens`."""
    if unit is Unit.TOKENS:
        return f"{amount:,.0f} tokens"
    return f"${amount:,.2f}" if amount >= CENT or not amount else f"${amount:.2g}"
