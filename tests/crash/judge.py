"""What is left in Redis and outside when a story has ended, and what is wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import redis

from bot.live import outbox, progress_store
from bot.platforms.console.store import load_view
from bot.views import AnswerView, IncidentView, RunView
from jobs import incident_store, redis_store
from jobs.events import EVENT, ApprovalDecided, CallFinished, Event, RunEnded
from jobs.run import replay
from jobs.state import RUN, ApprovalStatus, CallStatus, Run
from tests.crash.tales import Tale
from tests.crash.world import World

UNKEYED = "service.restart"
"""Its command does not honour the key: nobody knows what became of a call that was cut off."""
SHARED_RQ_KEYS = frozenset({"rq:queues", "rq:workers", "rq:workers:agents"})


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, as far as it must not depend on crashes."""

    status: str
    steps: Mapping[str, str]
    finding: str
    headline: str
    model_calls: int = 0
    """How many are counted in what the run has spent."""


class Evidence:
    """Reads what a story left behind."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis: Any = client  # redis-py types answers as unions of all it may say

    def runs(self) -> list[Run]:
        """Return every run."""
        ids = [member.decode() for member in self._redis.zrange(redis_store.RUNS, 0, -1)]
        stored = [self._redis.hget(redis_store.run_key(run_id), "run") for run_id in ids]
        return [RUN.validate_json(raw) for raw in stored if raw]

    def events(self, run_id: str) -> list[Event]:
        """Return the run's event log."""
        entries = self._redis.xrange(redis_store.events_key(run_id))
        return [EVENT.validate_json(fields[b"e"]) for _, fields in entries]

    def waits_for_decision(self) -> bool:
        """Whether an approval is open."""
        return bool(self._redis.zcard(redis_store.OPEN_APPROVALS))

    def problems(self, world: World, expected: Ending | None, *, workers: int = 1) -> list[str]:
        """Return a sentence for everything that is not as it should be after the story.

        `workers` is how many are alive.
        """
        runs = self.runs()
        if len(runs) != 1:
            return [f"there are {len(runs)} runs instead of one"]
        run = runs[0]
        return [
            *self._of_run(run, world.tale, expected),
            *_of_effects(world),
            *self._of_incident(run),
            *self._of_console(run),
            *self._leftovers(workers),
        ]

    def _of_run(self, run: Run, tale: Tale, expected: Ending | None) -> Iterator[str]:
        if not run.is_over:
            steps = {key: f"{s.status} {s.error}" for key, s in run.steps.items()}
            yield f"the run has not ended: {steps}"
            return
        happened = self.events(run.id)
        if replay(run.id, happened) != run:
            yield "the event log does not lead to the stored run"
        if expected is not None and ending(run) != expected:
            yield f"it ended differently: {ending(run)} instead of {expected}"
        approved = [a for a in run.approvals.values() if a.status is ApprovalStatus.APPROVED]
        if not len(approved) == len(run.approvals) == tale.approvals:
            yield f"{len(approved)} of {len(run.approvals)} were approved, not {tale.approvals}"
        counts = Counter(type(event) for event in happened)
        writes = len(tale.effects)
        for kind, most in (
            (ApprovalDecided, tale.approvals),
            (CallFinished, writes),
            (RunEnded, 1),
        ):
            if counts[kind] > most:
                yield f"{kind.__name__} happened {counts[kind]} times"
        asked = [run.calls[q.call_key].tool for q in run.questions.values() if q.call_key]
        if set(asked) - {UNKEYED}:
            yield f"a person was asked about {asked}, which may be repeated with its key"
        if len(run.questions) - len(asked) != tale.questions:
            yield f"{len(run.questions) - len(asked)} questions were asked, not {tale.questions}"
        if run.spent.calls != tale.model_calls:
            yield f"{run.spent.calls} model calls are counted, not {tale.model_calls}"
        unfinished = [c.key for c in run.calls.values() if c.status is not CallStatus.SUCCEEDED]
        if unfinished:
            yield f"these calls have not succeeded: {unfinished}"

    def _of_incident(self, run: Run) -> Iterator[str]:
        ids = self._redis.zrange(incident_store.INCIDENTS, 0, -1)
        if len(ids) != 1:
            yield f"there are {len(ids)} incidents instead of one"
            return
        raw = self._redis.hget(incident_store.incident_key(ids[0].decode()), "incident")
        incident = incident_store.INCIDENT.validate_json(raw)
        if incident.run_ids != (run.id,):
            yield f"the incident has the runs {incident.run_ids}, and not {run.id}"
        if not incident.is_resolved:
            yield "the incident is not resolved"
        if self._redis.zcard(incident_store.DUE):
            yield "something is still due for the incident"

    def _of_console(self, run: Run) -> Iterator[str]:
        threads = self._redis.keys("muster:console:thread:*:messages")
        views = [
            load_view(self._redis.hget(f"muster:console:message:{message.decode()}", "view"))
            for thread in threads
            for message in self._redis.lrange(thread, 0, -1)
        ]
        shown = dict(Counter(type(view) for view in views))
        if shown != {IncidentView: 1, RunView: 1, AnswerView: 1}:
            names = {kind.__name__: count for kind, count in shown.items()}
            yield f"the console shows {names} instead of one incident, one card, one answer"
        opened = [
            key for key in self._redis.keys("muster:console:thread:*") if key.count(b":") == 3
        ]
        if len(opened) != 1:
            yield f"there are {len(opened)} threads instead of one"
        for view in views:
            if isinstance(view, RunView) and view.status != run.status:
                yield f"the card says {view.status}, but the run is {run.status}"
            if isinstance(view, IncidentView) and view.resolved_at is None:
                yield "the incident's card does not say that it is resolved"

    def _leftovers(self, alive: int) -> Iterator[str]:
        for key, what in (
            (redis_store.OPEN_APPROVALS, "open approvals"),
            (redis_store.LEASES, "leases"),
            (redis_store.TIMERS, "timers"),
            (redis_store.ACTIVE, "active runs"),
            (outbox.DUE, "posts in the outbox"),
            (outbox.ITEMS, "posts in the outbox"),
            (outbox.DEAD, "posts laid aside"),
            (progress_store.OPEN, "cards that are not up to date"),
        ):
            if self._redis.exists(key):
                yield f"there are {what} left"
        workers = self._redis.smembers("rq:workers")
        known = {*SHARED_RQ_KEYS, *(name.decode() for name in workers)}
        left = sorted(key.decode() for key in self._redis.keys("rq:*") if key.decode() not in known)
        if left:
            yield f"there are RQ keys left: {left}"
        if len(workers) != alive:
            yield f"{len(workers)} workers are listed, and {alive} alive"


def ending(run: Run) -> Ending:
    """Return how the run ended."""
    return Ending(
        status=run.status.value,
        steps={key: state.status.value for key, state in run.steps.items()},
        finding=run.answer.finding.value if run.answer else "",
        headline=run.answer.headline if run.answer else "",
        model_calls=run.spent.calls,
    )


def _of_effects(world: World) -> Iterator[str]:
    effects = world.effects()
    if tuple(effects) != world.tale.effects:
        yield f"what was really done is {effects}, and not {world.tale.effects}"
