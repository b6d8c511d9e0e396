"""The port to what is kept of incidents; its in-memory twin and Redis keep the same promise.

The contract suite is tests/contracts/incident_store.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Protocol

import redis.asyncio as aioredis
from pydantic import TypeAdapter

from agents.domain import ThreadRef
from agents.tools.alerts import AlertFacts, IncidentFacts
from jobs.incidents import (
    SERVICE_LABEL,
    AlertState,
    Arrival,
    Folded,
    Incident,
    Outcome,
    fold_all,
    group_key,
)
from jobs.reaching import reaching
from jobs.store import ConflictError

PREFIX = "muster"
INCIDENTS = f"{PREFIX}:incidents"
DUE = f"{PREFIX}:incidents:unstarted"
FEED = f"{PREFIX}:incidents:feed"
FEED_LENGTH = 10_000
FEED_BATCH = 500
FEED_WAIT_S = 1.0
INDEX_PAGE = 500
KEEP_S = 90 * 86_400
"""Resolved incidents are kept so long unless told otherwise; what groups them, at least so long."""
GONE, FOR_EVER = -2, -1
"""What Redis answers when asked how long a key has to live."""
START_WINDOW_S = 60.0
MAX_CONFLICTS = 100
CONFLICT_PAUSE_S = 0.01
MAX_BATCH = 500
MAX_RELATED = 100
"""Incidents looked through for the alerts of a service."""
SUMMARY_ANNOTATIONS = ("summary", "description", "message")

INCIDENT = TypeAdapter(Incident)
STATE = TypeAdapter(AlertState)


@dataclass(frozen=True, slots=True)
class IncidentChanges:
    """A part of the feed: the incidents that changed up to the cursor, each once."""

    cursor: str
    incident_ids: tuple[str, ...]


class IncidentStore(Protocol):
    """What is kept of incidents. Every method may raise StoreUnavailableError.

    It is also the `agents.tools.alerts.AlertBook` that tools read.
    """

    async def accept(self, arrivals: Sequence[Arrival], now: float) -> tuple[Outcome, ...]:
        """Fold the alerts into their incidents and keep the result, in one atomic step.

        What must follow (a thread, a run, a signal) is kept in the same step, see `due`.
        """

    async def update(self, before: Incident, after: Incident) -> Incident:
        """Keep a changed incident; ConflictError when it is no longer as in `before`."""

    async def get(self, incident_id: str) -> Incident | None:
        """Return the incident with its first alerts, or None."""

    async def due(self, limit: int = 100, skip: int = 0) -> tuple[Incident, ...]:
        """Return incidents for which something is still to be done, oldest first.

        `skip` leaves out so many of the oldest.
        """

    async def open_threads(self) -> set[ThreadRef]:
        """Return the threads of all incidents that are not resolved."""

    async def claim_start(self, place: str, run_id: str, now: float, most: int) -> bool:
        """Whether the run may start: no more than `most` a minute do in one place.

        A run that was allowed to stays so.
        """

    def changes(self, cursor: str) -> AsyncIterator[IncidentChanges]:
        """Yield what changed after the cursor ("0" all that is kept, "$" from now on).

        Yields an empty part at least once a second, so that the caller can look around.
        """

    async def related(self, service: str, since: float) -> list[AlertFacts]:
        """Return the alerts of a service that fired since then or still fire, newest first."""

    async def incident(self, incident_id: str) -> IncidentFacts | None:
        """Return the incident as tools know it, None when there is none of that id."""

    async def open_incidents(self) -> list[IncidentFacts]:
        """Return the newest incidents that are not resolved, as tools know them, newest first."""

    async def list(self, limit: int = 50) -> Sequence[Incident]:
        """Return incidents, newest first."""


class MemoryIncidentStore:
    """The in-memory twin."""

    def __init__(self) -> None:
        self._incidents: dict[str, Incident] = {}
        self._groups: dict[str, tuple[str, ...]] = {}
        self._starts: dict[str, dict[str, float]] = {}
        self._feed: list[str] = []
        self._news = asyncio.Condition()

    async def accept(self, arrivals: Sequence[Arrival], now: float) -> tuple[Outcome, ...]:
        """See `IncidentStore.accept`."""
        keys = {group_key(arrival.alert, arrival.route) for arrival in arrivals}
        known = {key: [self._incidents[i] for i in self._groups.get(key, ())] for key in keys}
        folded = fold_all(known, arrivals, now)
        self._groups.update(folded.groups)
        await self._keep(folded.incidents.values())
        return folded.outcomes

    async def update(self, before: Incident, after: Incident) -> Incident:
        """See `IncidentStore.update`."""
        if self._incidents[before.id].version != before.version:
            raise ConflictError(before.id)
        await self._keep([after])
        return self._incidents[after.id]

    async def get(self, incident_id: str) -> Incident | None:
        """See `IncidentStore.get`."""
        known = self._incidents.get(incident_id)
        return replace(known, alerts=_first(known)) if known else None

    async def due(self, limit: int = 100, skip: int = 0) -> tuple[Incident, ...]:
        """See `IncidentStore.due`."""
        due = [incident for incident in self._incidents.values() if incident.is_due]
        return tuple(
            replace(incident, alerts=_first(incident)) for incident in due[skip : skip + limit]
        )

    async def open_threads(self) -> set[ThreadRef]:
        """See `IncidentStore.open_threads`."""
        return _threads(self._incidents.values())

    async def claim_start(self, place: str, run_id: str, now: float, most: int) -> bool:
        """See `IncidentStore.claim_start`."""
        starts = self._starts.setdefault(place, {})
        for old in [key for key, at in starts.items() if at <= now - START_WINDOW_S]:
            del starts[old]
        if run_id not in starts and len(starts) >= most:
            return False
        starts.setdefault(run_id, now)
        return True

    async def changes(self, cursor: str) -> AsyncIterator[IncidentChanges]:
        """See `IncidentStore.changes`."""
        at = len(self._feed) if cursor == "$" else int(cursor)
        while True:
            async with self._news:
                if len(self._feed) <= at:
                    # Not wait_for: until Python 3.12 it swallows a cancellation with the news.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(FEED_WAIT_S):
                            await self._news.wait()
                ids, at = self._feed[at:], len(self._feed)
            yield IncidentChanges(str(at), tuple(dict.fromkeys(ids)))

    async def related(self, service: str, since: float) -> list[AlertFacts]:
        """See `IncidentStore.related`."""
        return related_facts(self._incidents.values(), service, since)

    async def incident(self, incident_id: str) -> IncidentFacts | None:
        """See `IncidentStore.incident`."""
        return incident_facts(self._incidents.get(incident_id))

    async def open_incidents(self) -> list[IncidentFacts]:
        """See `IncidentStore.open_incidents`."""
        return open_facts(await self.list(MAX_RELATED))

    async def list(self, limit: int = 50) -> Sequence[Incident]:
        """See `IncidentStore.list`."""
        newest = sorted(self._incidents.values(), key=lambda i: i.opened_at, reverse=True)
        return [replace(incident, alerts=_first(incident)) for incident in newest[:limit]]

    async def _keep(self, incidents: Iterable[Incident]) -> None:
        for after in incidents:
            before = self._incidents.get(after.id)
            alerts = {**before.alerts, **after.alerts} if before else after.alerts
            version = before.version + 1 if before else 1
            self._incidents[after.id] = replace(after, alerts=alerts, version=version)
            self._feed.append(after.id)
        async with self._news:
            self._news.notify_all()


def _threads(incidents: Iterable[Incident | None]) -> set[ThreadRef]:
    return {
        incident.thread
        for incident in incidents
        if incident is not None and incident.thread is not None and not incident.is_resolved
    }


def _first(incident: Incident) -> Mapping[str, AlertState]:
    return {key: incident.alerts[key] for key in incident.shown if key in incident.alerts}


def incident_facts(incident: Incident | None) -> IncidentFacts | None:
    """Return what tools may know of an incident."""
    if incident is None:
        return None
    return IncidentFacts(
        incident.id, incident.title, incident.opened_at, incident.resolved_at, incident.service
    )


def open_facts(incidents: Iterable[Incident]) -> list[IncidentFacts]:
    """Return what tools may know of the incidents that are not resolved."""
    facts = [incident_facts(one) for one in incidents if not one.is_resolved]
    return [one for one in facts if one is not None]


def related_facts(incidents: Iterable[Incident], service: str, since: float) -> list[AlertFacts]:
    """Return what tools may know of a service's alerts, newest first."""
    facts = [
        _alert_facts(state, incident)
        for incident in incidents
        for state in incident.alerts.values()
        if (state.alert.service or incident.service) == service
        and (state.alert.is_firing or state.starts_at >= since)
    ]
    return sorted(facts, key=lambda fact: fact.started_at, reverse=True)


def _alert_facts(state: AlertState, incident: Incident) -> AlertFacts:
    alert = state.alert
    ended_at = None if alert.is_firing else (alert.ends_at or state.last_at)
    summaries = (alert.annotations.get(name, "") for name in SUMMARY_ANNOTATIONS)
    return AlertFacts(
        fingerprint=alert.fingerprint,
        title=alert.title,
        service=alert.labels.get(SERVICE_LABEL, incident.service),
        severity=alert.severity,
        started_at=state.starts_at,
        ended_at=ended_at,
        summary=next(filter(None, summaries), ""),
        labels=dict(alert.labels),
        incident_id=incident.id,
    )


def incident_key(incident_id: str) -> str:
    """Return the key of the incident's hash: version, commit, incident (JSON)."""
    return f"{PREFIX}:incident:{incident_id}"


def alerts_key(incident_id: str) -> str:
    """Return the key of the incident's alerts (a hash of JSON by alert)."""
    return f"{PREFIX}:incident:{incident_id}:alerts"


def group_list_key(group: str) -> str:
    """Return the key of the list (JSON) of a group's incidents that alerts may still join."""
    return f"{PREFIX}:incidents:group:{hashlib.sha256(group.encode()).hexdigest()[:24]}"


def starts_key(place: str) -> str:
    """Return the key of the runs that were started in a place within the last minute."""
    return f"{PREFIX}:incidents:starts:{place}"


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Alerts that wait for the next commit, and where their outcome goes."""

    arrivals: tuple[Arrival, ...]
    now: float
    outcomes: asyncio.Future[tuple[Outcome, ...]]


class RedisIncidentStore:
    """`IncidentStore` on one Redis or Valkey; any number of processes may share it.

    Deliveries that come while a commit is under way share the next one: the disk is asked to
    keep many alerts at once, and deliveries of one process never get into each other's way.
    """

    def __init__(self, client: aioredis.Redis, keep_s: int = KEEP_S) -> None:
        self.client: Any = client  # redis-py types answers as unions of all it may say
        self._keep_s = keep_s
        self._commit_script: Any = _script(client, "incident_commit")
        self._claim_script: Any = _script(client, "incident_claim")
        self._waiting: list[_Waiting] = []
        self._flushing: asyncio.Task[None] | None = None

    async def accept(self, arrivals: Sequence[Arrival], now: float) -> tuple[Outcome, ...]:
        """See `IncidentStore.accept`."""
        outcomes: asyncio.Future[tuple[Outcome, ...]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(tuple(arrivals), now, outcomes))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await outcomes

    async def _flush(self) -> None:
        while self._waiting:
            batch = [self._waiting.pop(0)]
            size = len(batch[0].arrivals)
            while self._waiting and size + len(self._waiting[0].arrivals) <= MAX_BATCH:
                batch.append(self._waiting.pop(0))
                size += len(batch[-1].arrivals)
            arrivals = [arrival for waiting in batch for arrival in waiting.arrivals]
            try:
                outcomes = await self._accept(arrivals, max(waiting.now for waiting in batch))
            except Exception as error:  # whoever waits gets it, whatever it is
                for waiting in batch:
                    if not waiting.outcomes.done():
                        waiting.outcomes.set_exception(error)
                continue
            at = 0
            for waiting in batch:
                part = outcomes[at : at + len(waiting.arrivals)]
                at += len(waiting.arrivals)
                if not waiting.outcomes.done():
                    waiting.outcomes.set_result(part)

    @reaching
    async def _accept(self, arrivals: Sequence[Arrival], now: float) -> tuple[Outcome, ...]:
        for _ in range(MAX_CONFLICTS):
            groups, known = await self._candidates(arrivals)
            folded = fold_all(known, arrivals, now)
            if await self._commit(folded, groups, known):
                return folded.outcomes
            await asyncio.sleep(random.uniform(0, CONFLICT_PAUSE_S))  # noqa: S311 - jitter
        raise ConflictError("incidents")

    async def _candidates(
        self, arrivals: Sequence[Arrival]
    ) -> tuple[dict[str, bytes], dict[str, list[Incident]]]:
        """Return the raw list of each group, and its incidents with the alerts that are meant."""
        wanted: dict[str, list[str]] = {}
        for arrival in arrivals:
            key = group_key(arrival.alert, arrival.route)
            wanted.setdefault(key, []).append(arrival.alert.key)
        stored = await self.client.mget([group_list_key(key) for key in wanted])
        groups = {key: raw or b"" for key, raw in zip(wanted, stored, strict=True)}
        pairs = [
            (key, incident_id)
            for key, raw in groups.items()
            for incident_id in (json.loads(raw) if raw else ())
        ]
        known: dict[str, list[Incident]] = {key: [] for key in wanted}
        if not pairs:
            return groups, known
        async with self.client.pipeline(transaction=False) as pipe:
            for key, incident_id in pairs:
                pipe.hmget(incident_key(incident_id), "incident", "version")
                pipe.hmget(alerts_key(incident_id), wanted[key])
            answers = await pipe.execute()
        for (key, _), head, states in zip(pairs, answers[::2], answers[1::2], strict=True):
            incident = _parse(head, zip(wanted[key], states, strict=True))
            if incident is not None:
                known[key].append(incident)
        return groups, known

    async def _commit(
        self,
        folded: Folded,
        groups: Mapping[str, bytes],
        known: Mapping[str, Sequence[Incident]],
    ) -> bool:
        before = {incident.id: incident for found in known.values() for incident in found}
        changed = list(folded.incidents.values())
        keys = [INCIDENTS, DUE, FEED]
        args: list[Any] = [uuid.uuid4().hex, FEED_LENGTH, self._keep_s, max(self._keep_s, KEEP_S)]
        args += [len(changed), len(folded.groups)]
        args += [before[i.id].version if i.id in before else 0 for i in changed]
        args += [groups[key] for key in folded.groups]
        for incident in changed:
            keys += [incident_key(incident.id), alerts_key(incident.id)]
            args += _args(before.get(incident.id), incident)
        for key, ids in folded.groups.items():
            keys.append(group_list_key(key))
            args.append(json.dumps(ids))
        return bool(await self._commit_script(keys=keys, args=args) == b"ok")

    @reaching
    async def update(self, before: Incident, after: Incident) -> Incident:
        """See `IncidentStore.update`."""
        folded = Folded({after.id: after}, {}, ())
        if not await self._commit(folded, {}, {before.group_key: [before]}):
            raise ConflictError(before.id)
        return replace(after, version=before.version + 1)

    @reaching
    async def get(self, incident_id: str) -> Incident | None:
        """See `IncidentStore.get`."""
        found = await self._read([incident_id])
        return found[0] if found else None

    @reaching
    async def due(self, limit: int = 100, skip: int = 0) -> tuple[Incident, ...]:
        """See `IncidentStore.due`."""
        return tuple(await self._read(await self.client.zrange(DUE, skip, skip + limit - 1)))

    @reaching
    async def open_threads(self) -> set[ThreadRef]:
        """See `IncidentStore.open_threads`; forgets ids whose time is over on the way."""
        threads: set[ThreadRef] = set()
        start = 0
        while page := await self.client.zrange(INCIDENTS, start, start + INDEX_PAGE - 1):
            names = [member.decode() for member in page]
            async with self.client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.ttl(incident_key(name))
                # Resolved incidents have a time to live: telling so saves reading them.
                lives = list(zip(names, await pipe.execute(), strict=True))
            gone = [name for name, left_s in lives if left_s == GONE]
            await self._drop(gone)
            start += len(names) - len(gone)
            threads |= await self._threads_of([n for n, left_s in lives if left_s == FOR_EVER])
        return threads

    async def _threads_of(self, ids: Sequence[str]) -> set[ThreadRef]:
        async with self.client.pipeline(transaction=False) as pipe:
            for name in ids:
                pipe.hmget(incident_key(name), "incident", "version")
            heads = await pipe.execute() if ids else []
        return _threads(_parse(head, ()) for head in heads)

    async def _drop(self, gone: Sequence[str]) -> None:
        """Forget ids of incidents whose time is over."""
        if gone:
            await self.client.zrem(INCIDENTS, *gone)
            await self.client.zrem(DUE, *gone)

    @reaching
    async def claim_start(self, place: str, run_id: str, now: float, most: int) -> bool:
        """See `IncidentStore.claim_start`."""
        args = [run_id, now, START_WINDOW_S, most]
        return bool(await self._claim_script(keys=[starts_key(place)], args=args))

    async def changes(self, cursor: str) -> AsyncIterator[IncidentChanges]:
        """See `IncidentStore.changes`."""
        if cursor == "$":
            cursor = await self._last_change()
        while True:
            part = await self._read_feed(cursor)
            cursor = part.cursor
            yield part

    @reaching
    async def _last_change(self) -> str:
        newest = await self.client.xrevrange(FEED, count=1)
        return newest[0][0].decode() if newest else "0"

    @reaching
    async def _read_feed(self, cursor: str) -> IncidentChanges:
        # Reading waits shorter than the connection's own timeout, so it is never sent twice.
        answer = await self.client.xread(
            {FEED: cursor}, count=FEED_BATCH, block=int(FEED_WAIT_S * 1_000)
        )
        entries = answer[0][1] if answer else []
        ids = dict.fromkeys(fields[b"incident"].decode() for _, fields in entries)
        return IncidentChanges(entries[-1][0].decode() if entries else cursor, tuple(ids))

    @reaching
    async def related(self, service: str, since: float) -> list[AlertFacts]:
        """See `IncidentStore.related`."""
        newest = await self.client.zrevrange(INCIDENTS, 0, MAX_RELATED - 1)
        return related_facts(await self._read(newest), service, since)

    @reaching
    async def incident(self, incident_id: str) -> IncidentFacts | None:
        """See `IncidentStore.incident`."""
        head = await self.client.hmget(incident_key(incident_id), "incident", "version")
        return incident_facts(_parse(head, ()))

    async def open_incidents(self) -> list[IncidentFacts]:
        """See `IncidentStore.open_incidents`."""
        return open_facts(await self.list(MAX_RELATED))

    async def list(self, limit: int = 50) -> Sequence[Incident]:
        """See `IncidentStore.list`."""
        return await self._list(limit)

    @reaching
    async def _list(self, limit: int) -> Sequence[Incident]:
        return await self._read(await self.client.zrevrange(INCIDENTS, 0, limit - 1))

    async def _read(self, ids: Sequence[str | bytes]) -> Sequence[Incident]:
        """Return the incidents with their first alerts; forget ids whose time is over."""
        if not ids:
            return []
        names = [name.decode() if isinstance(name, bytes) else name for name in ids]
        async with self.client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(incident_key(name), "incident", "version")
            heads = [_parse(head, ()) for head in await pipe.execute()]
        gone = [name for name, head in zip(names, heads, strict=True) if head is None]
        await self._drop(gone)
        found = [head for head in heads if head is not None]
        async with self.client.pipeline(transaction=False) as pipe:
            for head in found:
                pipe.hmget(alerts_key(head.id), head.shown or ("",))
            stored = await pipe.execute() if found else []
        return [
            replace(head, alerts=_states(zip(head.shown or ("",), states, strict=True)))
            for head, states in zip(found, stored, strict=True)
        ]


def _script(client: aioredis.Redis, name: str) -> Any:
    return client.register_script(files("jobs").joinpath("lua", f"{name}.lua").read_text())


def _args(before: Incident | None, incident: Incident) -> list[Any]:
    """Return what the script needs of one changed incident: its head and the alerts that moved."""
    old: Mapping[str, AlertState] = before.alerts if before else {}
    moved = [(k, state) for k, state in incident.alerts.items() if old.get(k) is not state]
    flat = [part for key, state in moved for part in (key, STATE.dump_json(state))]
    return [
        incident.id,
        (before.version if before else 0) + 1,
        incident.opened_at,
        int(incident.is_due),
        int(incident.is_resolved),
        INCIDENT.dump_json(replace(incident, alerts={})),
        len(moved),
        *flat,
    ]


def _parse(
    head: Sequence[bytes | None], states: Iterable[tuple[str, bytes | None]]
) -> Incident | None:
    if head[0] is None or head[1] is None:
        return None
    incident = INCIDENT.validate_json(head[0])
    return replace(incident, version=int(head[1]), alerts=_states(states))


def _states(pairs: Iterable[tuple[str, bytes | None]]) -> Mapping[str, AlertState]:
    return {key: STATE.validate_json(raw) for key, raw in pairs if raw is not None}
