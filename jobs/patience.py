"""Waiting that loses nothing: for a store that is away, for work that must not be cut in two."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

from jobs.store import ConflictError, StoreUnavailableError

log = structlog.get_logger(__name__)

STORE_RETRY_S = 1.0

T = TypeVar("T")


async def patiently(action: Callable[[], Awaitable[T]]) -> T:
    """Return what the action gives, trying again for as long as the store is away or contended."""
    while True:
        try:
            return await action()
        except (StoreUnavailableError, ConflictError) as error:
            log.warning("store_unavailable", reason=str(error) or type(error).__name__)
            await asyncio.sleep(STORE_RETRY_S)


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Finish the work even when cancelled meanwhile; the cancellation goes on after it.

    Only a second cancellation ends the work itself: whoever sends it will not wait any longer.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            if not task.done():
                await asyncio.wait({task})
        finally:
            task.cancel()
        if not task.cancelled():
            task.exception()  # Looked at, so that nobody reports it as forgotten.
        raise
