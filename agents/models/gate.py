"""The port to what all workers share about models: circuit breakers and places at providers."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class ProviderFullError(Exception):
    """No place at the provider became free in time; the next model may have one."""


class Gate(Protocol):
    """Shared by every worker of an installation; `jobs.model_gate` keeps it in Redis."""

    async def may_try(self, model: str) -> bool:
        """Return whether the model's breaker lets a call through.

        An open breaker lets one call through after its pause (half open), and only one.
        """

    async def note(self, model: str, *, is_success: bool) -> None:
        """Count the outcome of a call; a success closes the breaker."""

    def place(self, provider: str, limit: int, wait_s: float) -> AbstractAsyncContextManager[None]:
        """Hold one of the provider's `limit` places; ProviderFullError after `wait_s`.

        A place whose holder died becomes free by itself.
        """
