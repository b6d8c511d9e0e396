"""Connections to Redis or Valkey: bounded pools, retries that outlast a restart, safe pops.

Every command may be sent twice: redis-py sends it again when an answer does not come in time.
So what changes state must be idempotent. The blocking variant never sends anything twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import redis
import redis.asyncio as aioredis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

MAX_CONNECTIONS = 32
POOL_WAIT_S = 20.0
"""How long a caller waits for a free connection before it is told that there is none."""
SOCKET_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 5.0
HEALTH_CHECK_S = 30
RETRIES = 7
"""With the back-off below about 4 s in all; the embedded server restarts in less than one."""
BACKOFF_BASE_S = 0.05
BACKOFF_CAP_S = 1.0

_ERRORS = (redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError)


class _Cancellable(AbstractConnection):
    """Passes on a cancellation that comes while a command is being sent.

    redis-py sends by `asyncio.wait_for`, which swallows one on Python 3.11 when the sending is
    over in the same moment: a follower of a feed would follow it for ever.
    """

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        """Send a command; CancelledError when the task was cancelled in the meantime."""
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        await super().send_packed_command(command, check_health)
        if task and task.cancelling() > before:
            await self.disconnect(nowait=True)  # nobody will read the answer
            raise asyncio.CancelledError


class _Tcp(_Cancellable, aioredis.Connection):
    """A TCP connection."""


class _Tls(_Cancellable, aioredis.SSLConnection):
    """A TCP connection with TLS."""


class _Unix(_Cancellable, aioredis.UnixDomainSocketConnection):
    """A connection over a unix socket."""


_CANCELLABLE: dict[type[AbstractConnection], type[AbstractConnection]] = {
    aioredis.Connection: _Tcp,
    aioredis.SSLConnection: _Tls,
    aioredis.UnixDomainSocketConnection: _Unix,
}


def connect(url: str, *, max_connections: int = MAX_CONNECTIONS) -> aioredis.Redis:
    """Return a client for ordinary commands, for use inside one event loop.

    `redis://`, `rediss://` and `unix://` addresses work. Nothing is sent before the first command.
    """
    pool = aioredis.BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=POOL_WAIT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        retry=AsyncRetry(_backoff(), RETRIES, _ERRORS),
        **_COMMON,
        **_keepalive(url),
    )
    pool.connection_class = _CANCELLABLE.get(pool.connection_class, pool.connection_class)
    return aioredis.Redis.from_pool(pool)


def connect_blocking(url: str, *, name: str = "") -> aioredis.Redis:
    """Return a client with one connection for commands that block: pops and subscriptions.

    It waits as long as the server does and never repeats a command, because a blocking pop that
    is sent twice pops twice. The caller handles connection errors; `name` shows in CLIENT LIST.
    """
    pool = aioredis.ConnectionPool.from_url(
        url,
        max_connections=1,
        socket_timeout=None,
        retry=AsyncRetry(NoBackoff(), 0),
        client_name=name or None,
        **_COMMON,
        **_keepalive(url),
    )
    return aioredis.Redis.from_pool(pool)


def connect_sync(url: str, *, max_connections: int = 4) -> redis.Redis:
    """Return a client for threads and start-up code, with the same retries as `connect`."""
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=POOL_WAIT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(_backoff(), RETRIES, _ERRORS),
        **_COMMON,
        **_keepalive(url),
    )
    return redis.Redis.from_pool(pool)


def _backoff() -> ExponentialBackoff:
    """Return the pause between attempts: 0.05 s doubling up to 1 s."""
    return ExponentialBackoff(cap=BACKOFF_CAP_S, base=BACKOFF_BASE_S)


def _keepalive(url: str) -> dict[str, Any]:
    """Return the options that only a TCP connection knows."""
    return {} if url.startswith("unix:") else {"socket_keepalive": True}


_COMMON: dict[str, Any] = {
    "decode_responses": False,
    "socket_connect_timeout": CONNECT_TIMEOUT_S,
    "health_check_interval": HEALTH_CHECK_S,
}
