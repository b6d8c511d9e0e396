"""The gate in memory."""

from __future__ import annotations

import pytest

from agents.models.gate import Gate
from agents.models.memory_gate import BREAKER_FAILURES, BREAKER_PAUSE_S, MemoryGate
from tests.contracts.gate import FAILURES, PAUSE_S, Advance, GateContract


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0


class TestMemoryGate(GateContract):
    """The twin keeps the contract."""

    @pytest.fixture
    def clock(self) -> Clock:
        """Return the gate's clock."""
        return Clock()

    @pytest.fixture
    def gate(self, clock: Clock) -> Gate:
        """Return a gate that has seen no calls."""
        return MemoryGate(lambda: clock.now)

    @pytest.fixture
    def advance(self, clock: Clock) -> Advance:
        """Return what lets time go by."""

        async def later(seconds: float) -> None:
            clock.now += seconds

        return later


def test_breakers_open_as_promised() -> None:
    """The numbers that people are told are those of the code."""
    assert (BREAKER_FAILURES, BREAKER_PAUSE_S) == (FAILURES, PAUSE_S)
