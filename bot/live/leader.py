"""One process at a time does what must not be done twice at once; another takes over if it dies.

Everything a leader does is idempotent as well: two leaders for a moment do no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import psutil
import redis.asyncio as aioredis
import structlog

from jobs.observe import report_error
from jobs.reaching import reaching
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

LEASE_S = 10.0
RENEW_S = 3.0
LOOK_S = 1.0
KEY = "muster:leader"
FENCE_KEY = "muster:leader:fence"

_ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return tonumber(redis.call('GET', KEYS[2]))
end
if holder and holder ~= ARGV[3] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('INCR', KEYS[2])
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""


class Election(Protocol):
    """Who leads. May raise StoreUnavailableError."""

    async def acquire(self) -> int | None:
        """Become or stay the leader: the fencing token, or None while another one leads.

        The token grows with every change of leader, so that what an old one does can be told.
        """

    async def release(self) -> None:
        """Stop leading, so that another need not wait."""


class MemoryElection:
    """The in-memory twin; elections that share a `seat` compete for it."""

    def __init__(self, seat: dict[str, Any] | None = None) -> None:
        self._seat = seat if seat is not None else {}
        self._name = uuid.uuid4().hex

    async def acquire(self) -> int | None:
        """See `Election.acquire`."""
        if self._seat.get("holder") not in (None, self._name):
            return None
        if self._seat.get("holder") is None:
            self._seat["holder"] = self._name
            self._seat["token"] = int(self._seat.get("token", 0)) + 1
        return int(self._seat["token"])

    async def release(self) -> None:
        """See `Election.release`."""
        if self._seat.get("holder") == self._name:
            self._seat["holder"] = None


class RedisElection:
    """A lease in Redis. The lease of a process of this machine that is dead is taken at once."""

    def __init__(self, client: aioredis.Redis, *, lease_s: float = LEASE_S) -> None:
        self._client: Any = client
        self._lease_ms = int(lease_s * 1_000)
        self._name = f"{machine()}|{os.getpid()}|{uuid.uuid4().hex}"
        self._acquire: Any = client.register_script(_ACQUIRE)
        self._release: Any = client.register_script(_RELEASE)

    @reaching
    async def acquire(self) -> int | None:
        """See `Election.acquire`."""
        answer = await self._ask("")
        if isinstance(answer, bytes) and is_dead(answer.decode()):
            answer = await self._ask(answer.decode())
        return None if isinstance(answer, bytes) else int(answer)

    async def _ask(self, dead_holder: str) -> int | bytes:
        args = [self._name, self._lease_ms, dead_holder]
        answer: int | bytes = await self._acquire(keys=[KEY, FENCE_KEY], args=args)
        return answer

    @reaching
    async def release(self) -> None:
        """See `Election.release`."""
        await self._release(keys=[KEY], args=[self._name])


@cache
def machine() -> str:
    """Return what the processes whose ids this one can look up have in common.

    Containers may share a host's name, and each counts its processes for itself: the boot and the
    namespace of process ids tell them apart.
    """
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return "/".join(parts)


def is_dead(holder: str) -> bool:
    """Whether the holder was a process of this machine that no longer runs."""
    where, _, rest = holder.partition("|")
    pid = rest.partition("|")[0]
    return where == machine() and pid.isdigit() and not psutil.pid_exists(int(pid))


async def lead(
    election: Election,
    work: Callable[[int], Awaitable[None]],
    *,
    look_s: float = LOOK_S,
    renew_s: float = RENEW_S,
) -> None:
    """Run `work(token)` whenever this process leads; runs until cancelled.

    The work is cancelled when the lease is lost, and started again when it fails.
    """
    while True:
        token = await _acquire(election)
        if token is None:
            await asyncio.sleep(look_s)
            continue
        log.info("leading", token=token)
        working = asyncio.ensure_future(work(token))
        try:
            while await _acquire(election) == token:
                done, _ = await asyncio.wait({working}, timeout=renew_s)
                if done:
                    break
            else:
                log.warning("leadership_lost", token=token)
        finally:
            try:
                await _end(working, token)
            finally:
                with contextlib.suppress(StoreUnavailableError):
                    await election.release()
        await asyncio.sleep(look_s)


async def _acquire(election: Election) -> int | None:
    try:
        return await election.acquire()
    except StoreUnavailableError:
        return None


async def _end(working: asyncio.Future[None], token: int) -> None:
    """Cancel the work and wait for it; say once why it failed if it did."""
    working.cancel()
    try:
        await working
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise
    except Exception as error:
        log.exception("leader_work_failed", token=token)
        report_error(error)
