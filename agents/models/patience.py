"""How long to wait before a model is tried again."""

from __future__ import annotations

from collections.abc import Callable

FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 8.0
MAX_RETRY_AFTER_S = 20.0
"""A provider that asks for more patience is left for the next model."""


def pause_s(retry: int, retry_after_s: float | None, random: Callable[[], float]) -> float | None:
    """Return the pause before the given retry (from 0); None: do not wait for this model.

    Grows with each retry and lies anywhere between half and the whole of it, so that calls that
    failed together do not come back together; never shorter than the provider asks.
    """
    whole_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0**retry)
    jittered_s = whole_s * (0.5 + 0.5 * random())
    if retry_after_s is None:
        return jittered_s
    if retry_after_s > MAX_RETRY_AFTER_S:
        return None
    return retry_after_s + jittered_s * 0.5
