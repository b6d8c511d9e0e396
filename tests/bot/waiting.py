"""Waiting in tests without saying how long it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE_S = 10.0


async def wait_for(claim: Callable[[], bool]) -> None:
    """Wait until the claim holds; a TimeoutError means that it never will."""
    async with asyncio.timeout(PATIENCE_S):
        while not claim():  # noqa: ASYNC110 - any value may be claimed, not only an event
            await asyncio.sleep(0.002)
