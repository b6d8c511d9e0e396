"""Says "not now" in our own words when Redis cannot be reached, or cannot write."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import redis.exceptions

from jobs.store import StoreUnavailableError

_NOT_NOW = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
)
_CANNOT_WRITE = ("MISCONF", "OOM", "READONLY", "NOREPLICAS")
"""How an answer begins when a full disk, full memory or a failover keeps it from writing."""

P = ParamSpec("P")
T = TypeVar("T")


def reaching(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Turn what redis-py raises for a server that is away or full into StoreUnavailableError."""

    @functools.wraps(function)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except _NOT_NOW as error:
            raise StoreUnavailableError(
                f"Redis cannot be reached or written to ({error}); try again in a moment"
            ) from error
        except redis.exceptions.ResponseError as error:
            if not str(error).startswith(_CANNOT_WRITE):
                raise
            raise StoreUnavailableError(
                f"Redis cannot write ({error}); give it room, then it goes on by itself"
            ) from error

    return wrapper
