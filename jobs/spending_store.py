"""Keeping what model calls have used: the in-memory twin and Redis keep the same promise.

The contract suite is tests/contracts/ledger.py.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import redis.asyncio as aioredis

from agents.domain import ThreadRef
from agents.models.port import Usage
from config.specs import BudgetsSpec
from jobs.reaching import reaching
from jobs.spending import (
    DAY_KEPT_S,
    NOTHING,
    RESERVATION_S,
    Account,
    Ceiling,
    Reached,
    Reservation,
    Scope,
    Spent,
    Unit,
    ceilings,
    day_of,
    over,
    reached,
)

PREFIX = "muster"
SETTLED = f"{PREFIX}:spending:settled"
SETTLED_KEPT_S = 3_600
"""How long a call is known to be counted; the client repeats itself within seconds."""
KEEP_S = 30 * 86_400
"""How long what a run or a thread used is kept after its last call, unless told otherwise."""


def run_spending_key(run_id: str) -> str:
    """Return the key of what a run used."""
    return f"{PREFIX}:spending:run:{run_id}"


def thread_spending_key(thread: ThreadRef) -> str:
    """Return the key of what a thread used."""
    place = f"{thread.platform}:{thread.channel}:{thread.id}"
    return f"{PREFIX}:spending:thread:{place}"


def channel_spending_key(thread: ThreadRef, day: str) -> str:
    """Return the key of what the thread's channel used on a day."""
    place = f"{thread.platform}:{thread.channel}"
    return f"{PREFIX}:spending:channel:{day}:{place}"


def day_spending_key(day: str) -> str:
    """Return the key of what was used on a day."""
    return f"{PREFIX}:spending:day:{day}"


def spending_keys(account: Account, day: str) -> dict[Scope, str]:
    """Return where each scope of the account is counted on that day."""
    return {
        Scope.RUN: run_spending_key(account.run_id),
        Scope.THREAD: thread_spending_key(account.thread),
        Scope.CHANNEL_DAY: channel_spending_key(account.thread, day),
        Scope.DAY: day_spending_key(day),
    }


class MemoryLedger:
    """The in-memory twin."""

    def __init__(self, budgets: BudgetsSpec) -> None:
        self._budgets = budgets
        self._spent: dict[str, Spent] = {}
        self._open: dict[str, tuple[Reservation, float]] = {}
        self._settled: set[str] = set()

    async def reserve(
        self, account: Account, usd: float | None, tokens: int, now: float
    ) -> Reservation | Reached:
        """See `Ledger.reserve`."""
        held = {
            scope: sum(
                (
                    one.amount
                    for one, expires_at in self._open.values()
                    if expires_at > now and key in spending_keys(one.account, one.day).values()
                ),
                NOTHING,
            )
            for scope, key in spending_keys(account, day_of(now)).items()
        }
        asked = Spent.of(usd, tokens)
        full = over(await self.spent(account, now), ceilings(self._budgets, account), asked, held)
        if full is not None:
            return full
        reservation = Reservation(uuid.uuid4().hex, account, day_of(now), asked)
        self._open[reservation.id] = (reservation, now + RESERVATION_S)
        return reservation

    async def renew(self, reservation: Reservation, now: float) -> None:
        """See `Ledger.renew`."""
        if reservation.id in self._open:
            self._open[reservation.id] = (reservation, now + RESERVATION_S)

    async def settle(self, reservation: Reservation, usage: Usage) -> None:
        """See `Ledger.settle`."""
        self._open.pop(reservation.id, None)
        if reservation.id in self._settled:
            return
        self._settled.add(reservation.id)
        used = Spent.of(usage.cost_usd, usage.tokens)
        for key in spending_keys(reservation.account, reservation.day).values():
            self._spent[key] = self._spent.get(key, NOTHING) + used

    async def spent(self, account: Account, now: float) -> Mapping[Scope, Spent]:
        """See `Ledger.spent`."""
        keys = spending_keys(account, day_of(now))
        return {scope: self._spent.get(key, NOTHING) for scope, key in keys.items()}


class RedisLedger:
    """`jobs.spending.Ledger` on one Redis or Valkey; any number of processes may share it."""

    def __init__(
        self, client: aioredis.Redis, budgets: BudgetsSpec, *, keep_s: float = KEEP_S
    ) -> None:
        self.client: Any = client  # redis-py types answers as unions of all it may say
        self._budgets = budgets
        keep = math.ceil(keep_s)
        self._keep_s = {
            Scope.RUN: keep,
            Scope.THREAD: keep,
            Scope.CHANNEL_DAY: DAY_KEPT_S,
            Scope.DAY: DAY_KEPT_S,
        }
        self._reserve = _script(client, "spending_reserve")
        self._renew = _script(client, "spending_renew")
        self._settle = _script(client, "spending_settle")

    @reaching
    async def reserve(
        self, account: Account, usd: float | None, tokens: int, now: float
    ) -> Reservation | Reached:
        """See `Ledger.reserve`."""
        asked = Spent.of(usd, tokens)
        reservation = Reservation(uuid.uuid4().hex, account, day_of(now), asked)
        limits = ceilings(self._budgets, account)
        args: list[Any] = [reservation.id, now, now + RESERVATION_S, asked.nanos, asked.tokens]
        for scope in Scope:
            args += [_or_empty(limits[scope].nanos), _or_empty(limits[scope].tokens)]
            args.append(self._keep_s[scope])
        answer = await self._reserve(keys=_keys(reservation), args=args)
        return _reached(answer, limits, asked) if answer else reservation

    @reaching
    async def renew(self, reservation: Reservation, now: float) -> None:
        """See `Ledger.renew`."""
        held = f"{now + RESERVATION_S} {reservation.amount.nanos} {reservation.amount.tokens}"
        await self._renew(keys=_keys(reservation), args=[reservation.id, held])

    @reaching
    async def settle(self, reservation: Reservation, usage: Usage) -> None:
        """See `Ledger.settle`."""
        used = Spent.of(usage.cost_usd, usage.tokens)
        args: list[Any] = [reservation.id, used.nanos, used.tokens, SETTLED_KEPT_S]
        args += [self._keep_s[scope] for scope in Scope]
        await self._settle(keys=[SETTLED, *_keys(reservation)], args=args)

    @reaching
    async def spent(self, account: Account, now: float) -> Mapping[Scope, Spent]:
        """See `Ledger.spent`."""
        keys = spending_keys(account, day_of(now))
        async with self.client.pipeline(transaction=False) as pipe:
            for scope in Scope:
                pipe.hmget(keys[scope], "usd", "tokens")
            found = await pipe.execute()
        return {
            scope: Spent(int(nanos or 0), int(tokens or 0))
            for scope, (nanos, tokens) in zip(Scope, found, strict=True)
        }


def _keys(reservation: Reservation) -> list[str]:
    keys = spending_keys(reservation.account, reservation.day)
    return [keys[scope] for scope in Scope]


def _or_empty(limit: int | None) -> int | str:
    return "" if limit is None else limit


def _reached(answer: list[Any], limits: Mapping[Scope, Ceiling], asked: Spent) -> Reached:
    """Return what the script found: the scope's number, the unit, what is used and held in it."""
    scope, unit = tuple(Scope)[int(answer[0]) - 1], Unit(answer[1].decode())
    used, held = int(answer[2]), int(answer[3])
    if unit is Unit.USD:
        return reached(scope, unit, limits[scope], Spent(nanos=used), Spent(nanos=held), asked)
    return reached(scope, unit, limits[scope], Spent(tokens=used), Spent(tokens=held), asked)


def _script(client: aioredis.Redis, name: str) -> Any:
    return client.register_script(files("jobs").joinpath("lua", f"{name}.lua").read_text())
