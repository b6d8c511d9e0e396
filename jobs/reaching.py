"""Says "not now" in our own words when Redis cannot be reached."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import redis.exceptions

from jobs.store import StoreUnavailableError

P = ParamSpec("P")
T = TypeVar("T")


def reaching(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Turn what redis-py raises for an unreachable server into StoreUnavailableError."""

    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
            raise StoreUnavailableError(
                f"Redis cannot be reached ({error}); try again in a moment"
            ) from error

    return wrapper
