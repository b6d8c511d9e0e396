"""The in-memory twin of `jobs.redis_store`, for tests and for thinking: same contract, no I/O."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from time import time
from typing import TypeVar

from agents.domain import Evidence, JsonObject, ThreadRef
from jobs.broker import Ticket
from jobs.consequences import consequences
from jobs.events import EVENT, Event
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

K = TypeVar("K")
V = TypeVar("V")

LEASE_S = 15.0
FEED_WAIT_S = 1.0


class MemoryStore:
    """A store whose queue, leases and timers can be looked at. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time) -> None:
        self.clock = clock
        self.queue: list[Ticket] = []
        self.leases: dict[Lease, float] = {}
        self._runs: dict[str, bytes] = {}
        self._versions: dict[str, int] = {}
        self._order: list[str] = []
        self._threads: dict[str, ThreadRef] = {}
        self._active: set[str] = set()
        self._events: dict[str, list[bytes]] = defaultdict(list)
        self._feed: list[tuple[str, int, int]] = []
        self._news = asyncio.Condition()
        self._timers: dict[tuple[str, object, str], DueTimer] = {}
        self._open: dict[str, tuple[float, str]] = {}
        self._approvals: dict[str, str] = {}
        self._journals: dict[tuple[str, str], list[JsonObject]] = defaultdict(list)
        self._evidence: dict[str, dict[str, Evidence]] = defaultdict(dict)
        self._data: dict[tuple[str, str], bytes] = {}

    async def commit(self, before: Run | None, after: Run, events: Sequence[Event]) -> None:
        """See `jobs.store.Store.commit`."""
        stored = self._versions.get(after.id, 0)
        encoded = [EVENT.dump_json(event) for event in events]
        if stored == after.version and self._events[after.id][-len(encoded) :] == encoded:
            return
        if stored != (before.version if before else 0):
            raise ConflictError(after.id)
        follow = consequences(before, after)
        if before is None:
            self._order.append(after.id)
            self._threads[after.id] = after.goal.thread
        self._runs[after.id] = RUN.dump_json(after)
        self._versions[after.id] = after.version
        self._events[after.id] += encoded
        (self._active.add if follow.is_active else self._active.discard)(after.id)
        for lease in follow.leases_given_up:
            self.leases.pop(lease, None)
        for lease in follow.leases_taken:
            self.leases[lease] = self.clock() + LEASE_S
        for kind, key in follow.timers_cleared:
            self._timers.pop((after.id, kind, key), None)
        for (kind, key), due_at in follow.timers_set.items():
            self._timers[(after.id, kind, key)] = DueTimer(after.id, kind, key, due_at)
        for approval_id in follow.approvals_closed:
            self._open.pop(approval_id, None)
        for approval_id, at in follow.approvals_opened.items():
            self._open[approval_id] = (at, after.id)
            self._approvals[approval_id] = after.id
        self.queue += follow.tickets
        self._feed.append((after.id, after.version - len(encoded) + 1, after.version))
        async with self._news:
            self._news.notify_all()

    async def load(self, run_id: str) -> Run | None:
        """See `jobs.store.Store.load`."""
        stored = self._runs.get(run_id)
        return RUN.validate_json(stored) if stored else None

    async def events(self, run_id: str, after_seq: int = 0) -> list[StoredEvent]:
        """See `jobs.store.Store.events`."""
        stored = self._events.get(run_id, [])[after_seq:]
        return [
            StoredEvent(run_id, after_seq + n, EVENT.validate_json(text))
            for n, text in enumerate(stored, start=1)
        ]

    async def run_ids(self, limit: int = 100, *, active: bool = False) -> list[str]:
        """See `jobs.store.Store.run_ids`."""
        newest = (r for r in reversed(self._order) if not active or r in self._active)
        return list(itertools.islice(newest, limit))

    async def runs_of_thread(self, thread: ThreadRef, limit: int = 20) -> list[str]:
        """See `jobs.store.Store.runs_of_thread`."""
        newest = (r for r in reversed(self._order) if self._threads[r] == thread)
        return list(itertools.islice(newest, limit))[::-1]

    async def open_approvals(self) -> list[tuple[str, str]]:
        """See `jobs.store.Store.open_approvals`."""
        by_age = sorted(self._open.items(), key=lambda item: item[1][0])
        return [(run_id, approval_id) for approval_id, (_, run_id) in by_age]

    async def run_of_approval(self, approval_id: str) -> str | None:
        """See `jobs.store.Store.run_of_approval`."""
        return self._approvals.get(approval_id)

    async def changes(self, cursor: str) -> AsyncIterator[list[Change]]:
        """See `jobs.store.Store.changes`."""
        place = len(self._feed) if cursor == "$" else int(cursor)
        while True:
            if place >= len(self._feed):
                await self._wait_for_news()
            batch = [
                Change(str(place + n), *entry)
                for n, entry in enumerate(self._feed[place:], start=1)
            ]
            place += len(batch)
            yield batch

    async def _wait_for_news(self) -> None:
        async with self._news:
            # Not wait_for: until Python 3.12 it swallows a cancellation that comes with the news.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FEED_WAIT_S):
                    await self._news.wait()

    async def due_timers(self, now: float, limit: int = 100) -> list[DueTimer]:
        """See `jobs.store.Store.due_timers`."""
        due = [timer for timer in self._timers.values() if timer.due_at <= now]
        return sorted(due, key=lambda timer: timer.due_at)[:limit]

    async def drop_timer(self, timer: DueTimer) -> None:
        """See `jobs.store.Store.drop_timer`."""
        self._timers.pop((timer.run_id, timer.kind, timer.key), None)

    async def expired_leases(self, limit: int = 100) -> list[Lease]:
        """See `jobs.store.Store.expired_leases`."""
        now = self.clock()
        return [lease for lease, until in self.leases.items() if until <= now][:limit]

    async def renew_leases(self, leases: Sequence[Lease]) -> list[Lease]:
        """See `jobs.store.Store.renew_leases`."""
        lost = [lease for lease in leases if lease not in self.leases]
        until = self.clock() + LEASE_S
        self.leases.update({lease: until for lease in leases if lease in self.leases})
        return lost

    async def expire_worker(self, worker: str) -> int:
        """See `jobs.store.Store.expire_worker`."""
        held = [lease for lease in self.leases if lease.worker == worker]
        self.leases.update(dict.fromkeys(held, 0.0))
        return len(held)

    async def drop_lease(self, lease: Lease) -> None:
        """See `jobs.store.Store.drop_lease`."""
        self.leases.pop(lease, None)

    async def append_journal(self, lease: Lease, entry: JsonObject) -> bool:
        """See `jobs.store.Store.append_journal`."""
        if lease not in self.leases:
            return False
        self._journals[(lease.run_id, lease.step_id)].append(entry)
        return True

    async def journal(self, run_id: str, step_id: str) -> list[JsonObject]:
        """See `jobs.store.Store.journal`."""
        return list(self._journals[(run_id, step_id)])

    async def put_evidence(
        self, evidence: Evidence, data: bytes | None = None, *, lease: Lease | None = None
    ) -> bool:
        """See `jobs.store.Store.put_evidence`."""
        if lease is not None and lease not in self.leases:
            return False
        known = self._evidence[evidence.run_id]
        if evidence.id not in known and len(known) >= MAX_EVIDENCE:
            raise EvidenceFullError
        known[evidence.id] = evidence
        if data is not None:
            self._data[(evidence.run_id, evidence.id)] = data
        return True

    async def evidence(self, run_id: str) -> Mapping[str, Evidence]:
        """See `jobs.store.Store.evidence`."""
        return dict(self._evidence[run_id])

    async def evidence_data(self, run_id: str, evidence_id: str) -> bytes | None:
        """See `jobs.store.Store.evidence_data`."""
        return self._data.get((run_id, evidence_id))

    async def requeue_lost_tickets(self) -> int:
        """See `jobs.store.Store.requeue_lost_tickets`."""
        lost: list[Ticket] = []
        for run_id in sorted(self._active):
            run = await self.load(run_id)
            if run is None:
                continue
            waiting = [
                Ticket(run_id, key, state.attempt)
                for key, state in run.steps.items()
                if state.status is Status.QUEUED
            ]
            lost += [ticket for ticket in waiting if ticket not in self.queue]
        self.queue += lost
        return len(lost)

    async def forget_runs(self, before: float, limit: int = 100) -> int:
        """See `jobs.store.Store.forget_runs`."""
        ended = [
            (run.ended_at, run_id)
            for run_id in self._order
            if (run := await self.load(run_id)) is not None and run.ended_at is not None
        ]
        old = [run_id for ended_at, run_id in sorted(ended) if ended_at < before][:limit]
        for run_id in old:
            self._forget(run_id)
        return len(old)

    def _forget(self, run_id: str) -> None:
        self._order.remove(run_id)
        self._active.discard(run_id)
        for by_run in (
            self._runs,
            self._versions,
            self._events,
            self._evidence,
            self._threads,
        ):
            by_run.pop(run_id, None)
        _drop(self._journals, lambda key: key[0] == run_id)
        _drop(self._data, lambda key: key[0] == run_id)
        _drop(self._timers, lambda key: key[0] == run_id)
        _drop(self._approvals, lambda key: self._approvals[key] == run_id)
        _drop(self._open, lambda key: self._open[key][1] == run_id)

    def lose_queue(self) -> None:
        """Forget every ticket, as a broker that lost its list would."""
        self.queue.clear()

    def held(self, run_id: str, step_id: str) -> Lease | None:
        """Return the lease on the step, if there is one."""
        for lease in self.leases:
            if (lease.run_id, lease.step_id) == (run_id, step_id):
                return replace(lease)
        return None


def _drop(mapping: dict[K, V], is_unwanted: Callable[[K], bool]) -> None:
    for key in [key for key in mapping if is_unwanted(key)]:
        del mapping[key]
