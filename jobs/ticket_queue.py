"""What a worker does to the queue: pop, take, finish, and find what others lost.

A ticket's id is always in at least one place that somebody looks at: the queue, the intermediate
list (popped, not yet started) or the started set (with the worker's name). Each move between them
is one atomic script. A ticket that is handed back although it runs is harmless: the store refuses
to start a step that is not queued at that attempt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import redis

from jobs.broker import (
    AGENTS_QUEUE,
    JOB_FIELDS,
    intermediate_key,
    job_key,
    live_workers,
    queue_key,
    started_key,
    timestamp,
    unregister_worker,
    worker_key,
)
from jobs.redis_client import connect, connect_blocking, connect_sync

POP_S = 2
"""How long one blocking pop waits on the server; short enough to notice a dead connection."""
POP_GUARD_S = 10.0
LOOK_LIMIT = 10_000
DEATH_LOOKS_APART_S = 0.3

# KEYS: queue, intermediate, started, worker.
# ARGV: worker name, now, limit, job prefix, popped id or '', names of the fields to return.
# A popped id that is no longer in the intermediate list was swept back: somebody else has it.
_TAKE = """
local ids = {}
if ARGV[5] ~= '' and redis.call('LREM', KEYS[2], 1, ARGV[5]) == 1 then ids[1] = ARGV[5] end
while #ids < tonumber(ARGV[3]) do
  local id = redis.call('LPOP', KEYS[1])
  if not id then break end
  ids[#ids + 1] = id
end
local taken = {}
for _, id in ipairs(ids) do
  local key = ARGV[4] .. id
  local fields = redis.pcall('HMGET', key, unpack(ARGV, 6))
  if not fields.err and fields[1] then
    redis.call('HSET', key, 'status', 'started', 'worker_name', ARGV[1],
               'started_at', ARGV[2], 'last_heartbeat', ARGV[2])
    redis.call('ZADD', KEYS[3], '+inf', id .. ':' .. ARGV[1])
    taken[#taken + 1] = {id, fields}
  end
end
if #taken > 0 then
  redis.call('HSET', KEYS[4], 'state', 'busy', 'current_job', taken[#taken][1])
end
return taken
"""

# KEYS: queue, intermediate, started. ARGV: job prefix, number of popped ids, ids, started members.
_RELEASE = """
local count = 0
local function push(id)
  local key = ARGV[1] .. id
  if redis.call('TYPE', key).ok ~= 'hash' then return end
  redis.call('HSET', key, 'status', 'queued')
  redis.call('HDEL', key, 'worker_name', 'started_at')
  redis.call('LPUSH', KEYS[1], id)
  count = count + 1
end
local popped = tonumber(ARGV[2])
for i = 3, #ARGV do
  local name = ARGV[i]
  if i < 3 + popped then
    if redis.call('LREM', KEYS[2], 1, name) == 1 then push(name) end
  elseif redis.call('ZREM', KEYS[3], name) == 1 then
    push(string.match(name, '^[^:]*'))
  end
end
return count
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A job that this worker holds now, with what it says about itself."""

    job_id: str
    fields: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Look:
    """What lay between queue and finish at one moment."""

    popped: frozenset[str] = frozenset()
    started: frozenset[tuple[str, str]] = frozenset()
    """Pairs of job id and worker name."""
    live_workers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Suspects:
    """Tickets that nobody seems to hold; who is a suspect in two looks is handed back."""

    popped: frozenset[str] = frozenset()
    started: frozenset[tuple[str, str]] = frozenset()

    def __and__(self, other: Suspects) -> Suspects:
        return Suspects(self.popped & other.popped, self.started & other.started)

    def __bool__(self) -> bool:
        return bool(self.popped or self.started)


def suspects(look: Look, me: str, mine: Collection[str]) -> Suspects:
    """Return what may be lost: popped and not started, held by the dead, or by us unknowingly.

    We hold a ticket unknowingly when the connection broke before the answer that gave it to us.
    """
    return Suspects(
        popped=look.popped,
        started=frozenset(
            (job_id, worker)
            for job_id, worker in look.started
            if worker not in look.live_workers or (worker == me and job_id not in mine)
        ),
    )


class TicketQueue:
    """One worker's view of one queue."""

    def __init__(self, url: str, worker_name: str, queue: str = AGENTS_QUEUE) -> None:
        self._name = worker_name
        self._queue = queue
        self._keys = [queue_key(queue), intermediate_key(queue), started_key(queue)]
        self._pop_name = f"{worker_name}:pop"
        self._client = connect(url, max_connections=4)
        # Taking is not repeated blindly either: the answer to the first try would be lost.
        self._pop_client = connect_blocking(url, name=self._pop_name)
        self._take = self._pop_client.register_script(_TAKE)
        self._release = self._client.register_script(_RELEASE)

    async def pop(self) -> bytes | None:
        """Wait for a ticket and move its id to the intermediate list; None if none came."""
        async with asyncio.timeout(POP_S + POP_GUARD_S):
            job_id = await self._pop_client.blmove(self._keys[0], self._keys[1], POP_S)
        return job_id.encode() if isinstance(job_id, str) else job_id

    async def take(self, popped: bytes | None, limit: int) -> list[Taken]:
        """Start the popped ticket and as many waiting ones as fit, `limit` in all."""
        async with asyncio.timeout(POP_GUARD_S):
            rows = await self._take(
                keys=[*self._keys, worker_key(self._name)],
                args=[
                    self._name,
                    timestamp(time.time()),
                    limit,
                    job_key(""),
                    popped or b"",
                    *JOB_FIELDS,
                ],
            )
        return [
            Taken(_text(job_id), dict(zip(JOB_FIELDS, fields, strict=True)))
            for job_id, fields in rows
        ]

    async def hand_back(self, popped: bytes) -> None:
        """Put a popped ticket back to the front of the queue."""
        await self._release(keys=self._keys, args=[job_key(""), 1, popped])

    async def finish(self, ended: Mapping[str, bool], current: str | None) -> None:
        """Remove ended jobs and all their traces; the values say whether they succeeded."""
        succeeded = sum(ended.values())
        key = worker_key(self._name)
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.delete(*(job_key(job_id) for job_id in ended))
            pipe.zrem(self._keys[2], *(f"{job_id}:{self._name}" for job_id in ended))
            if succeeded:
                pipe.hincrby(key, "successful_job_count", succeeded)
            if succeeded < len(ended):
                pipe.hincrby(key, "failed_job_count", len(ended) - succeeded)
            if current is None:
                pipe.hset(key, "state", "idle")
                pipe.hdel(key, "current_job")
            else:
                pipe.hset(key, "current_job", current)
            await pipe.execute()

    async def look(self) -> Look:
        """Read what lies between queue and finish, and who is alive."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.lrange(self._keys[1], 0, LOOK_LIMIT - 1)
            pipe.zrange(self._keys[2], 0, LOOK_LIMIT - 1)
            popped, members = await pipe.execute()
        started = frozenset(_member(_text(member)) for member in members)
        live = await live_workers(self._client, self._queue)
        return Look(frozenset(_text(job_id) for job_id in popped), started, frozenset(live))

    async def release(self, lost: Suspects) -> int:
        """Hand lost tickets back to the front of the queue; returns how many there were."""
        return int(await self._release(keys=self._keys, args=_release_args(lost)))

    async def unblock(self) -> None:
        """Make a waiting pop return with nothing. A pop that already has an id keeps it."""
        for client in await self._client.client_list():
            if client.get("name") == self._pop_name:
                await self._client.client_unblock(int(client["id"]))

    async def reconnect(self) -> None:
        """Drop the connection for pops after an error; the next pop opens a new one."""
        await self._pop_client.connection_pool.disconnect()

    async def close(self) -> None:
        """Close all connections."""
        await self._pop_client.aclose()
        await self._client.aclose()


def release_worker(url: str, worker_name: str, queue: str = AGENTS_QUEUE) -> int:
    """Hand back what a dead worker held, at once; returns how many tickets there were.

    For the one who saw the worker die. What it had popped but not started carries no name, so
    what stays in the intermediate list for a moment is handed back too.
    """
    keys = [queue_key(queue), intermediate_key(queue), started_key(queue)]
    client = connect_sync(url)
    try:
        before = _popped(client, keys[1])
        members = cast("list[bytes]", client.zrange(keys[2], 0, LOOK_LIMIT - 1))
        started = {_member(_text(member)) for member in members}
        lost = Suspects(started=frozenset(pair for pair in started if pair[1] == worker_name))
        script = client.register_script(_RELEASE)
        count = int(script(keys=keys, args=_release_args(lost)))
        unregister_worker(client, worker_name, queue)
        if before:
            time.sleep(DEATH_LOOKS_APART_S)
            stuck = Suspects(popped=before & _popped(client, keys[1]))
            count += int(script(keys=keys, args=_release_args(stuck)))
        return count
    finally:
        client.close()


def _popped(client: redis.Redis, key: str) -> frozenset[str]:
    """Return the ids in the intermediate list."""
    return frozenset(_text(job_id) for job_id in client.lrange(key, 0, LOOK_LIMIT - 1))


def _release_args(lost: Suspects) -> Sequence[str | int]:
    """Return the arguments of the release script."""
    members = [f"{job_id}:{worker}" for job_id, worker in sorted(lost.started)]
    return [job_key(""), len(lost.popped), *sorted(lost.popped), *members]


def _member(member: str) -> tuple[str, str]:
    """Split a member of the started set into job id and worker name."""
    job_id, _, worker = member.partition(":")
    return job_id, worker


def _text(value: bytes | str) -> str:
    """Return what redis-py read as text; what is not UTF-8 cannot be one of our ids."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
