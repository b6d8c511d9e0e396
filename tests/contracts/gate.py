"""What every gate promises: breakers that open and close, places that are never too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from agents.models.gate import Gate, ProviderFullError

FAILURES = 5
PAUSE_S = 30.0
Advance = Callable[[float], Awaitable[None]]


async def fail(gate: Gate, model: str = "m", times: int = FAILURES) -> None:
    """Note failed calls."""
    for _ in range(times):
        await gate.note(model, is_success=False)


class GateContract:
    """Held to both twins."""

    @pytest.fixture
    def gate(self) -> Gate:
        """Return a gate that has seen no calls."""
        raise NotImplementedError

    @pytest.fixture
    def advance(self) -> Advance:
        """Return what lets so many seconds go by for the gate's breakers."""
        raise NotImplementedError

    async def test_a_new_model_may_be_tried(self, gate: Gate) -> None:
        """Nobody is suspected of anything."""
        assert await gate.may_try("m")
        assert await gate.may_try("m")

    async def test_failures_in_a_row_open_the_breaker(self, gate: Gate) -> None:
        """The fifth failure is one too many; other models are not concerned."""
        await fail(gate, times=FAILURES - 1)
        assert await gate.may_try("m")

        await fail(gate, times=1)

        assert not await gate.may_try("m")
        assert await gate.may_try("other")

    async def test_a_success_forgets_the_failures(self, gate: Gate) -> None:
        """Only failures without a success in between count."""
        await fail(gate, times=FAILURES - 1)
        await gate.note("m", is_success=True)
        await fail(gate, times=FAILURES - 1)

        assert await gate.may_try("m")

    async def test_one_call_may_try_after_the_pause(self, gate: Gate, advance: Advance) -> None:
        """Half open: one call goes through, all others wait for what it finds."""
        await fail(gate)
        await advance(PAUSE_S - 1)
        assert not await gate.may_try("m")

        await advance(2)

        assert [await gate.may_try("m") for _ in range(3)] == [True, False, False]

    async def test_trial_that_succeeds_closes_the_breaker(
        self, gate: Gate, advance: Advance
    ) -> None:
        """The model is back, and a single failure does not open it again."""
        await fail(gate)
        await advance(PAUSE_S + 1)
        await gate.may_try("m")
        await gate.note("m", is_success=True)
        await fail(gate, times=1)

        assert [await gate.may_try("m") for _ in range(3)] == [True, True, True]

    async def test_trial_that_fails_opens_it_again(self, gate: Gate, advance: Advance) -> None:
        """The model is still away: the next trial is a whole pause later."""
        await fail(gate)
        await advance(PAUSE_S + 1)
        await gate.may_try("m")
        await fail(gate, times=1)
        await advance(PAUSE_S - 1)
        assert not await gate.may_try("m")

        await advance(2)

        assert await gate.may_try("m")

    async def test_trial_of_a_dead_worker_is_made_up_for(
        self, gate: Gate, advance: Advance
    ) -> None:
        """A trial that nobody hears of does not keep the breaker open for ever."""
        await fail(gate)
        await advance(PAUSE_S + 1)
        assert await gate.may_try("m")
        await advance(PAUSE_S + 1)

        assert await gate.may_try("m")

    async def test_places_are_limited(self, gate: Gate) -> None:
        """No more calls than there are places; each provider has its own."""
        async with gate.place("p", 2, 0.0), gate.place("p", 2, 0.0):
            with pytest.raises(ProviderFullError):
                async with gate.place("p", 2, 0.0):
                    pass
            async with gate.place("other", 2, 0.0):
                pass

    async def test_places_are_given_back(self, gate: Gate) -> None:
        """However a call ends, its place is free for the next."""
        for _ in range(3):
            with pytest.raises(ValueError, match="boom"):
                async with gate.place("p", 1, 0.0):
                    raise ValueError("boom")

        async with gate.place("p", 1, 0.0):
            pass

    async def test_who_waits_gets_the_place(self, gate: Gate) -> None:
        """A call that finds all places taken goes on as soon as one is free."""
        order: list[str] = []

        async def second() -> None:
            async with gate.place("p", 1, 60.0):
                order.append("second")

        async with gate.place("p", 1, 0.0):
            waiting = asyncio.create_task(second())
            await asyncio.sleep(0.01)
            order.append("first")
        await waiting

        assert order == ["first", "second"]

    async def test_who_gives_up_waiting_takes_nothing(self, gate: Gate) -> None:
        """A call that is cancelled while it waits leaves the place to others."""

        async def wait() -> None:
            async with gate.place("p", 1, 60.0):
                pass

        async with gate.place("p", 1, 0.0):
            waiting = asyncio.create_task(wait())
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

        async with gate.place("p", 1, 0.0):
            pass

    async def test_many_at_once_are_never_too_many(self, gate: Gate) -> None:
        """Whoever comes when, the limit holds and everybody has a turn."""
        inside, most, served = 0, 0, 0

        async def call() -> None:
            nonlocal inside, most, served
            async with gate.place("p", 3, 60.0):
                inside += 1
                most = max(most, inside)
                await asyncio.sleep(0)
                inside -= 1
                served += 1

        await asyncio.gather(*(call() for _ in range(12)))

        assert (most <= 3, served) == (True, 12)
