"""The store in Redis: every change of a run is one Lua script. Keys: docs/wire-formats.md."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from time import time
from typing import Any, cast

import redis.asyncio as aioredis
from pydantic import TypeAdapter

from agents.domain import Evidence, JsonObject, ThreadRef
from jobs import broker
from jobs.broker import Ticket
from jobs.commands import TimerKind
from jobs.consequences import consequences
from jobs.events import EVENT, Event
from jobs.reaching import reaching
from jobs.state import RUN, Run, Status
from jobs.store import (
    MAX_EVIDENCE,
    Change,
    ConflictError,
    DueTimer,
    EvidenceFullError,
    Lease,
    StoredEvent,
)

PREFIX = "muster"
FEED = f"{PREFIX}:feed"
LEASES = f"{PREFIX}:leases"
TIMERS = f"{PREFIX}:timers"
RUNS = f"{PREFIX}:runs"
ACTIVE = f"{PREFIX}:runs:active"
ENDED = f"{PREFIX}:runs:ended"
OPEN_APPROVALS = f"{PREFIX}:approvals:open"
APPROVALS = f"{PREFIX}:approvals"

LEASE_S = 15.0
FEED_LENGTH = 100_000
FEED_BATCH = 500
FEED_WAIT_MS = 1_000
TICKET_GRACE_S = 10.0
"""A queued step without a ticket for this long has lost it: a worker may just be taking it."""

RUNS_PER_READ = 500

EVIDENCE = TypeAdapter(Evidence)


def run_key(run_id: str) -> str:
    """Return the key of the run's hash: version, commit, run (JSON)."""
    return f"{PREFIX}:run:{run_id}"


def events_key(run_id: str) -> str:
    """Return the key of the run's event stream; entry `<seq>-0` holds event number seq."""
    return f"{PREFIX}:run:{run_id}:events"


def journal_key(run_id: str, step_id: str) -> str:
    """Return the key of a step's journal (a list of JSON)."""
    return f"{PREFIX}:run:{run_id}:journal:{step_id}"


def evidence_key(run_id: str) -> str:
    """Return the key of the run's evidence (a hash of JSON by id)."""
    return f"{PREFIX}:run:{run_id}:evidence"


def thread_runs_key(thread: ThreadRef) -> str:
    """Return the key of the runs of a thread (a sorted set of run ids by start)."""
    place = f"{thread.platform}:{thread.channel}:{thread.id}"
    return f"{PREFIX}:runs:thread:{place}"


def data_key(run_id: str, evidence_id: str) -> str:
    """Return the key of a file that was stored with evidence."""
    return f"{PREFIX}:run:{run_id}:data:{evidence_id}"


def lease_member(lease: Lease) -> str:
    """Return a lease as the member of the sorted set; the worker comes last."""
    return f"{lease.run_id}|{lease.step_id}|{lease.attempt}|{lease.worker}"


def parse_lease(member: bytes | str) -> Lease:
    """Return the lease that a member stands for."""
    text = member.decode() if isinstance(member, bytes) else member
    run_id, step_id, attempt, worker = text.split("|", 3)
    return Lease(run_id, step_id, int(attempt), worker)


def _script(client: aioredis.Redis, name: str) -> Any:
    text = files("jobs").joinpath("lua", f"{name}.lua").read_text()
    return client.register_script(text)


class RedisStore:
    """`jobs.store.Store` on one Redis or Valkey; any number of processes may share it."""

    def __init__(self, client: aioredis.Redis, *, lease_s: float = LEASE_S) -> None:
        self.client: Any = client  # redis-py types answers as unions of all it may say
        self._lease_s = lease_s
        self._commit = _script(client, "commit")
        self._renew = _script(client, "renew")
        self._expired = _script(client, "expired")
        self._expire_worker = _script(client, "expire_worker")
        self._append = _script(client, "append")
        self._put_evidence = _script(client, "evidence")

    @reaching
    async def commit(self, before: Run | None, after: Run, events: Sequence[Event]) -> None:
        """See `jobs.store.Store.commit`."""
        follow = consequences(before, after)
        now = events[-1].at if events else time()
        args: list[Any] = [
            after.id,
            before.version if before else 0,
            after.version,
            uuid.uuid4().hex,
            RUN.dump_json(after),
            _queued(after),
            len(events),
            *(EVENT.dump_json(event) for event in events),
            FEED_LENGTH,
            after.started_at,
            "1" if follow.is_active else "0",
            now if after.ended_at is None else after.ended_at,
            len(follow.leases_given_up),
            *(lease_member(lease) for lease in follow.leases_given_up),
            self._lease_s,
            len(follow.leases_taken),
            *(lease_member(lease) for lease in follow.leases_taken),
            len(follow.timers_cleared),
            *(_timer_member(after.id, *timer) for timer in follow.timers_cleared),
            len(follow.timers_set),
        ]
        for timer, due_at in follow.timers_set.items():
            args += [_timer_member(after.id, *timer), due_at]
        args += [len(follow.approvals_closed), *follow.approvals_closed]
        args.append(len(follow.approvals_opened))
        for approval_id, at in follow.approvals_opened.items():
            args += [approval_id, at]
        args.append(len(follow.tickets))
        for ticket in follow.tickets:
            args += _ticket_args(ticket, now)
        keys = [
            run_key(after.id),
            events_key(after.id),
            FEED,
            LEASES,
            TIMERS,
            RUNS,
            ACTIVE,
            OPEN_APPROVALS,
            APPROVALS,
            broker.queue_key(),
            broker.QUEUES_KEY,
            ENDED,
            thread_runs_key(after.goal.thread),
        ]
        if await self._commit(keys=keys, args=args) != b"ok":
            raise ConflictError(after.id)

    @reaching
    async def load(self, run_id: str) -> Run | None:
        """See `jobs.store.Store.load`."""
        stored = await self.client.hget(run_key(run_id), "run")
        return RUN.validate_json(stored) if stored else None

    @reaching
    async def events(self, run_id: str, after_seq: int = 0) -> list[StoredEvent]:
        """See `jobs.store.Store.events`."""
        entries = await self.client.xrange(events_key(run_id), min=f"({after_seq}-0")
        return [
            StoredEvent(run_id, int(key.split(b"-")[0]), EVENT.validate_json(fields[b"e"]))
            for key, fields in entries
        ]

    @reaching
    async def run_ids(self, limit: int = 100, *, active: bool = False) -> list[str]:
        """See `jobs.store.Store.run_ids`."""
        if not active:
            return [m.decode() for m in await self.client.zrevrange(RUNS, 0, limit - 1)]
        members = list(await self.client.smembers(ACTIVE))
        scores = await self.client.zmscore(RUNS, members) if members else []
        newest = sorted(zip(scores, members, strict=True), key=lambda p: -(p[0] or 0))
        return [member.decode() for _, member in newest[:limit]]

    @reaching
    async def runs_of_thread(self, thread: ThreadRef, limit: int = 20) -> list[str]:
        """See `jobs.store.Store.runs_of_thread`."""
        newest = await self.client.zrevrange(thread_runs_key(thread), 0, limit - 1)
        return [member.decode() for member in reversed(newest)]

    @reaching
    async def open_approvals(self) -> list[tuple[str, str]]:
        """See `jobs.store.Store.open_approvals`."""
        members = await self.client.zrange(OPEN_APPROVALS, 0, -1)
        if not members:
            return []
        runs = await self.client.hmget(APPROVALS, members)
        pairs = zip(runs, members, strict=True)
        return [(run.decode(), member.decode()) for run, member in pairs if run]

    @reaching
    async def run_of_approval(self, approval_id: str) -> str | None:
        """See `jobs.store.Store.run_of_approval`."""
        stored = await self.client.hget(APPROVALS, approval_id)
        return stored.decode() if stored else None

    async def changes(self, cursor: str) -> AsyncIterator[list[Change]]:
        """See `jobs.store.Store.changes`."""
        if cursor == "$":
            cursor = await self._last_change()
        while True:
            batch = await self._read_feed(cursor)
            if batch:
                cursor = batch[-1].cursor
            yield batch

    @reaching
    async def _last_change(self) -> str:
        newest = await self.client.xrevrange(FEED, count=1)
        return newest[0][0].decode() if newest else "0"

    @reaching
    async def _read_feed(self, cursor: str) -> list[Change]:
        answer = await self.client.xread({FEED: cursor}, count=FEED_BATCH, block=FEED_WAIT_MS)
        entries = answer[0][1] if answer else []
        return [
            Change(key.decode(), f[b"run"].decode(), int(f[b"first"]), int(f[b"last"]))
            for key, f in entries
        ]

    @reaching
    async def due_timers(self, now: float, limit: int = 100) -> list[DueTimer]:
        """See `jobs.store.Store.due_timers`."""
        due = await self.client.zrangebyscore(
            TIMERS, "-inf", now, start=0, num=limit, withscores=True
        )
        return [_parse_timer(member, score) for member, score in due]

    @reaching
    async def drop_timer(self, timer: DueTimer) -> None:
        """See `jobs.store.Store.drop_timer`."""
        await self.client.zrem(TIMERS, _timer_member(timer.run_id, timer.kind, timer.key))

    @reaching
    async def expired_leases(self, limit: int = 100) -> list[Lease]:
        """See `jobs.store.Store.expired_leases`."""
        return [parse_lease(m) for m in await self._expired(keys=[LEASES], args=[limit])]

    @reaching
    async def renew_leases(self, leases: Sequence[Lease]) -> list[Lease]:
        """See `jobs.store.Store.renew_leases`."""
        members = [lease_member(lease) for lease in leases]
        lost = await self._renew(keys=[LEASES], args=[self._lease_s, *members])
        return [parse_lease(member) for member in lost]

    @reaching
    async def expire_worker(self, worker: str) -> int:
        """See `jobs.store.Store.expire_worker`."""
        return int(await self._expire_worker(keys=[LEASES], args=[f"|{worker}"]))

    @reaching
    async def drop_lease(self, lease: Lease) -> None:
        """See `jobs.store.Store.drop_lease`."""
        await self.client.zrem(LEASES, lease_member(lease))

    @reaching
    async def append_journal(self, lease: Lease, entry: JsonObject) -> bool:
        """See `jobs.store.Store.append_journal`."""
        keys = [LEASES, journal_key(lease.run_id, lease.step_id)]
        return bool(await self._append(keys=keys, args=[lease_member(lease), json.dumps(entry)]))

    @reaching
    async def journal(self, run_id: str, step_id: str) -> list[JsonObject]:
        """See `jobs.store.Store.journal`."""
        entries = await self.client.lrange(journal_key(run_id, step_id), 0, -1)
        return [cast(JsonObject, json.loads(entry)) for entry in entries]

    @reaching
    async def put_evidence(
        self, evidence: Evidence, data: bytes | None = None, *, lease: Lease | None = None
    ) -> bool:
        """See `jobs.store.Store.put_evidence`."""
        keys = [
            LEASES,
            evidence_key(evidence.run_id),
            data_key(evidence.run_id, evidence.id),
        ]
        args: list[Any] = [
            lease_member(lease) if lease is not None else "",
            MAX_EVIDENCE,
            evidence.id,
            json.dumps(asdict(evidence)),
        ]
        outcome = await self._put_evidence(
            keys=keys, args=[*args, *([] if data is None else [data])]
        )
        if outcome == b"full":
            raise EvidenceFullError
        return bool(outcome == b"ok")

    @reaching
    async def evidence(self, run_id: str) -> Mapping[str, Evidence]:
        """See `jobs.store.Store.evidence`."""
        stored = await self.client.hgetall(evidence_key(run_id))
        return {key.decode(): EVIDENCE.validate_json(text) for key, text in stored.items()}

    @reaching
    async def evidence_data(self, run_id: str, evidence_id: str) -> bytes | None:
        """See `jobs.store.Store.evidence_data`."""
        return cast("bytes | None", await self.client.get(data_key(run_id, evidence_id)))

    @reaching
    async def requeue_lost_tickets(self) -> int:
        """See `jobs.store.Store.requeue_lost_tickets`.

        A ticket counts as there while it is in the queue or in the list of those that a worker
        is just taking. A second ticket for the same attempt does no harm: one start wins.
        """
        waiting = await self._queued_tickets()
        if not waiting:
            return 0
        present = set(await self.client.lrange(broker.queue_key(), 0, -1))
        present |= set(await self.client.lrange(broker.intermediate_key(), 0, -1))
        lost = [ticket for ticket in waiting if ticket.job_id.encode() not in present]
        if lost:
            await broker.enqueue(self.client, lost, time())
        return len(lost)

    async def _queued_tickets(self) -> list[Ticket]:
        """Return the tickets that should be there, from what each commit noted of them."""
        tickets: list[Ticket] = []
        latest = time() - TICKET_GRACE_S
        active = [member.decode() for member in await self.client.smembers(ACTIVE)]
        for start in range(0, len(active), RUNS_PER_READ):
            run_ids = active[start : start + RUNS_PER_READ]
            async with self.client.pipeline(transaction=False) as pipe:
                for run_id in run_ids:
                    pipe.hget(run_key(run_id), "queued")
                noted = await pipe.execute()
            for run_id, text in zip(run_ids, noted, strict=True):
                tickets += [
                    Ticket(run_id, step_id, attempt)
                    for step_id, attempt, queued_at in json.loads(text or b"[]")
                    if queued_at < latest
                ]
        return tickets

    @reaching
    async def forget_runs(self, before: float, limit: int = 100) -> int:
        """See `jobs.store.Store.forget_runs`."""
        members = await self.client.zrangebyscore(ENDED, "-inf", f"({before}", start=0, num=limit)
        for member in members:
            await self._forget(member.decode())
        return len(members)

    async def _forget(self, run_id: str) -> None:
        run = await self.load(run_id)
        evidence_ids = await self.client.hkeys(evidence_key(run_id))
        keys = [run_key(run_id), events_key(run_id), evidence_key(run_id)]
        keys += [data_key(run_id, evidence_id.decode()) for evidence_id in evidence_ids]
        keys += [journal_key(run_id, step_id) for step_id in run.steps] if run else []
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.delete(*keys)
            for index in (RUNS, ENDED):
                pipe.zrem(index, run_id)
            pipe.srem(ACTIVE, run_id)
            if run is not None:
                pipe.zrem(thread_runs_key(run.goal.thread), run_id)
            if run is not None and run.approvals:
                pipe.hdel(APPROVALS, *run.approvals)
                pipe.zrem(OPEN_APPROVALS, *run.approvals)
            await pipe.execute()


def _queued(run: Run) -> str:
    """Return the run's queued steps, so that a look for lost tickets need not read the run."""
    return json.dumps(
        [
            [key, state.attempt, state.queued_at or 0.0]
            for key, state in run.steps.items()
            if state.status is Status.QUEUED
        ]
    )


def _timer_member(run_id: str, kind: TimerKind, key: str) -> str:
    return f"{run_id}|{kind}|{key}"


def _parse_timer(member: bytes, due_at: float) -> DueTimer:
    run_id, kind, key = member.decode().split("|", 2)
    return DueTimer(run_id, TimerKind(kind), key, due_at)


def _ticket_args(ticket: Ticket, now: float) -> list[Any]:
    key, fields, _ = broker.ticket_fields(ticket, now)
    flat = [part for pair in fields.items() for part in pair]
    return [ticket.job_id, key, len(fields), *flat]
