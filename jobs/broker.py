"""Tickets, and everything that knows RQ: its keys, its formats and its base classes.

A ticket says which attempt of which step is due. It travels as an RQ job with a deterministic id,
JSON data and one allowed function, so RQ's own tools can list, count and stop it. What a ticket
means, whether it is still valid and what happens next is the run's business: a ticket may be
delivered twice, and whoever takes it must ask the store whether the step is queued at this attempt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import redis.asyncio as aioredis
import structlog
from redis import Redis
from rq.command import PUBSUB_CHANNEL_TEMPLATE
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.queue import Queue
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.suspension import WORKERS_SUSPENDED
from rq.utils import utcformat
from rq.worker import BaseWorker
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

log = structlog.get_logger(__name__)

AGENTS_QUEUE = "agents"
"""One queue per class of worker: a worker that listens on two loses jobs when it is killed."""
TICKET_FUNCTION = "jobs.worker.run_step"
"""The only function a ticket may name. It is stored with every ticket: never rename it."""
TICKET_TIMEOUT_S = 1000
"""What RQ's tools show. The run enforces the real limit of each step, which is below it."""
SUSPENDED_KEY = WORKERS_SUSPENDED
QUEUES_KEY = Queue.redis_queues_keys

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_JOB_ID = re.compile(r"(?P<run>[a-z0-9D_-]+)_S_(?P<step>[a-z0-9D_-]+)_A(?P<attempt>\d+)")
_CALLBACKS = ("success_callback_name", "failure_callback_name", "stopped_callback_name")
JOB_FIELDS = ("data", *_CALLBACKS)
"""The fields of a job that a worker reads before it decides to run it."""


class RefusedTicketError(ValueError):
    """A job in the queue that Muster did not write: it is removed, never run."""

    def __init__(self, job_id: str, reason: str) -> None:
        self.job_id = job_id
        self.reason = reason
        super().__init__(
            f"job {job_id!r} was refused: {reason}. Find out who else can write to this Redis."
        )


@dataclass(frozen=True, slots=True)
class Ticket:
    """One attempt at one step of one run.

    Ids consist of lower-case letters, digits, `_`, `-` and `.`; fan-out children have a dot
    (`check.0`).
    """

    run_id: str
    step_id: str
    attempt: int

    def __post_init__(self) -> None:
        """Refuse what no job id can carry."""
        for name in (self.run_id, self.step_id):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} cannot be part of a ticket: use lower-case letters, digits, "
                    "'_', '-' and '.', starting with a letter or digit"
                )
        if self.attempt < 0:
            raise ValueError(f"an attempt is 0 or more, not {self.attempt}")

    @property
    def job_id(self) -> str:
        """The id of the RQ job: `run-1_S_checkD0_A2` is attempt 2 of step `check.0` of `run-1`.

        Capitals never occur in ids, so they can separate: (S)tep, (A)ttempt and (D)ot.
        """
        run_id, step_id = self.run_id.replace(".", "D"), self.step_id.replace(".", "D")
        return f"{run_id}_S_{step_id}_A{self.attempt}"

    @classmethod
    def parse(cls, job_id: str) -> Self:
        """Return the ticket with this job id; raises ValueError if there is none."""
        found = _JOB_ID.fullmatch(job_id)
        if found is None:
            raise ValueError(f"{job_id!r} is not the id of a ticket")
        return cls(
            run_id=found["run"].replace("D", "."),
            step_id=found["step"].replace("D", "."),
            attempt=int(found["attempt"]),
        )


def job_key(job_id: str) -> str:
    """Return the key of the hash that holds a job."""
    return f"{Job.redis_job_namespace_prefix}{job_id}"


def queue_key(queue: str = AGENTS_QUEUE) -> str:
    """Return the key of the list of waiting job ids."""
    return f"{Queue.redis_queue_namespace_prefix}{queue}"


def intermediate_key(queue: str = AGENTS_QUEUE) -> str:
    """Return the key of the list of ids that were popped but not yet started."""
    return IntermediateQueue.get_intermediate_queue_key(queue_key(queue))


def started_key(queue: str = AGENTS_QUEUE) -> str:
    """Return the key of the sorted set of what runs: members are `<job id>:<worker name>`."""
    return str(StartedJobRegistry.key_template.format(queue))


def worker_key(name: str) -> str:
    """Return the key of a worker's hash; it expires when the worker's heartbeat stops."""
    return f"{BaseWorker.redis_worker_namespace_prefix}{name}"


def command_channel(worker_name: str) -> str:
    """Return the channel on which RQ sends commands to a worker."""
    return PUBSUB_CHANNEL_TEMPLATE % worker_name


def timestamp(now: float) -> str:
    """Return a time the way RQ stores it."""
    return str(utcformat(datetime.fromtimestamp(now, tz=UTC)))


def ticket_fields(
    ticket: Ticket, now: float, queue: str = AGENTS_QUEUE
) -> tuple[str, dict[str, str], str]:
    """Return what enqueues a ticket: the job's key, its hash, and the list to push its id to.

    The caller HSETs the hash, RPUSHes `ticket.job_id` and SADDs the list's key to QUEUES_KEY, in
    one atomic step with the event that queued the step. `now` is in Unix seconds.
    """
    stamp = timestamp(now)
    kwargs = {"run_id": ticket.run_id, "step_id": ticket.step_id, "attempt": ticket.attempt}
    fields = {
        "data": json.dumps([TICKET_FUNCTION, None, [], kwargs], separators=(",", ":")),
        "created_at": stamp,
        "enqueued_at": stamp,
        "origin": queue,
        "description": f"{ticket.run_id} {ticket.step_id} #{ticket.attempt}",
        "status": "queued",
        "timeout": str(TICKET_TIMEOUT_S),
        "result_ttl": "0",
        "failure_ttl": "0",
    }
    return job_key(ticket.job_id), fields, queue_key(queue)


async def enqueue(
    client: aioredis.Redis, tickets: Sequence[Ticket], now: float, queue: str = AGENTS_QUEUE
) -> None:
    """Push tickets outside a commit: to repair a queue that lost them."""
    async with client.pipeline(transaction=True) as pipe:
        for ticket in tickets:
            key, fields, list_key = ticket_fields(ticket, now, queue)
            pipe.hset(key, items=[part for pair in fields.items() for part in pair])
            pipe.rpush(list_key, ticket.job_id)
        pipe.sadd(QUEUES_KEY, queue_key(queue))
        await pipe.execute()


async def forget(client: aioredis.Redis, ticket: Ticket, queue: str = AGENTS_QUEUE) -> None:
    """Remove a ticket that waits: its step was stopped or is queued at another attempt.

    A worker that took it meanwhile learns from the store that it is not valid any more.
    """
    async with client.pipeline(transaction=True) as pipe:
        pipe.lrem(queue_key(queue), 0, ticket.job_id)
        pipe.lrem(intermediate_key(queue), 0, ticket.job_id)
        pipe.delete(job_key(ticket.job_id))
        await pipe.execute()


def read_command(message: Mapping[str, Any]) -> tuple[str, str]:
    """Return the command in a message to a worker and the job it is about ('' if none).

    The command is '' if the message is none that RQ would send.
    """
    try:
        payload = json.loads(message["data"])
        return str(payload["command"]), str(payload.get("job_id", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""


def read_ticket(job_id: str, fields: Mapping[str, bytes | None]) -> Ticket:
    """Return the ticket that a job carries, from the JOB_FIELDS of its hash.

    Everything else is refused: another function, callbacks, arguments that do not belong to the
    id. Raises RefusedTicketError.
    """
    named = [name for name in _CALLBACKS if fields.get(name)]
    if named:
        raise RefusedTicketError(job_id, f"it has a {named[0]}")
    try:
        function, instance, args, kwargs = json.loads(fields.get("data") or b"")
        if function != TICKET_FUNCTION:
            raise RefusedTicketError(job_id, f"it names the function {function!r}")
        if instance is not None or args or set(kwargs) != {"run_id", "step_id", "attempt"}:
            raise RefusedTicketError(job_id, "its arguments are not those of a ticket")
        ticket = Ticket.parse(job_id)
    except RefusedTicketError:
        raise
    except (ValueError, TypeError) as error:
        raise RefusedTicketError(job_id, f"its data is not a ticket's ({error})") from error
    if kwargs != {
        "run_id": ticket.run_id,
        "step_id": ticket.step_id,
        "attempt": ticket.attempt,
    }:
        raise RefusedTicketError(job_id, "its arguments do not belong to its id")
    return ticket


class TicketJob(Job):
    """An RQ job that can name one function and no callbacks, whoever wrote it.

    RQ imports whatever a job names. This class stops it, also for RQ's own workers and tools when
    they are told to use it (`--job-class jobs.broker.TicketJob`).
    """

    def __init__(
        self,
        id: str | None = None,  # noqa: A002 - RQ passes it by this name
        connection: Redis | None = None,
        serializer: Any = None,
    ) -> None:
        super().__init__(id, connection, JSONSerializer)

    @property
    def func(self) -> Any:
        """Return the allowed function, or refuse the job."""
        if self.func_name != TICKET_FUNCTION or self.instance is not None:
            raise RefusedTicketError(self.id, f"it names the function {self.func_name!r}")
        return super().func

    @property
    def success_callback(self) -> Any:
        """Refuse: tickets have no callbacks."""
        return self._refuse_callback(self._success_callback_name)

    @property
    def failure_callback(self) -> Any:
        """Refuse: tickets have no callbacks."""
        return self._refuse_callback(self._failure_callback_name)

    @property
    def stopped_callback(self) -> Any:
        """Refuse: tickets have no callbacks."""
        return self._refuse_callback(self._stopped_callback_name)

    def _refuse_callback(self, name: str | None) -> None:
        """Raise if the job names a callback."""
        if name:
            raise RefusedTicketError(self.id, f"it names the callback {name!r}")


class TicketWorker(BaseWorker):
    """RQ's worker without its work loop: how a worker appears in `rq info` and hears commands.

    The presence of a worker is its hash, which lives as long as it sends heartbeats. All methods
    block; call them from a thread or before the loop starts.
    """

    job_class = TicketJob

    def __init__(self, name: str, connection: Redis, presence_ttl_s: int, queue: str) -> None:
        self.presence_ttl_s = presence_ttl_s
        super().__init__(
            [queue],
            name=name,
            connection=connection,
            worker_ttl=presence_ttl_s,
            job_class=TicketJob,
            serializer=JSONSerializer,
        )

    def _set_connection(self, connection: Redis) -> Redis:
        """Keep our timeouts: RQ would raise the socket timeout to that of its blocking pop."""
        return connection

    def get_heartbeat_ttl(self, job: Job) -> int:
        """Return how long a heartbeat counts; RQ adds a minute, in which nobody takes over."""
        return self.presence_ttl_s

    def register_birth(self) -> None:
        """Appear. A namesake is dead: it had our host, our parent's pid, index and generation."""
        self.connection.delete(self.key)
        super().register_birth()  # type: ignore[no-untyped-call]
        self.set_state("idle")
        with self.connection.pipeline() as pipe:
            pipe.expire(self.key, self.presence_ttl_s)
            pipe.sadd(QUEUES_KEY, *(queue.key for queue in self.queues))
            pipe.execute()

    def beat(self) -> bool:
        """Send one heartbeat; returns whether `rq suspend` has suspended the workers.

        A server that was restarted or slow may have let the hash expire: it is written anew.
        """
        with self.connection.pipeline() as pipe:
            self.heartbeat(self.presence_ttl_s, pipeline=pipe)
            pipe.exists(SUSPENDED_KEY)
            results = pipe.execute()
        if results[0]:
            with self.connection.pipeline() as pipe:
                pipe.hset(self.key, mapping={**self.serialize(), "state": self.get_state()})
                pipe.sadd(self.redis_workers_keys, self.key)
                for queue in self.queues:
                    pipe.sadd(WORKERS_BY_QUEUE_KEY % queue.name, self.key)
                pipe.expire(self.key, self.presence_ttl_s)
                pipe.execute()
        return bool(results[-1])


async def live_workers(client: aioredis.Redis, queue: str = AGENTS_QUEUE) -> list[str]:
    """Return the names of the workers that send heartbeats, and take the others off RQ's lists.

    RQ's own workers clean up after the dead now and then; ours do it with this.
    """
    listed = WORKERS_BY_QUEUE_KEY % queue
    keys = sorted(_text(key) for key in await client.smembers(listed))
    async with client.pipeline(transaction=False) as pipe:
        for key in keys:
            # Right after its birth a worker has no state yet, and its place must not be taken.
            pipe.hmget(key, "birth", "state", "death")
        found = await pipe.execute()
    live = [
        key
        for key, (birth, state, death) in zip(keys, found, strict=True)
        if (birth or state) and not death
    ]
    if dead := set(keys).difference(live):
        async with client.pipeline(transaction=True) as pipe:
            pipe.srem(listed, *dead)
            pipe.srem(BaseWorker.redis_workers_keys, *dead)
            await pipe.execute()
    return [key.removeprefix(BaseWorker.redis_worker_namespace_prefix) for key in live]


def unregister_worker(client: Redis, name: str, queue: str = AGENTS_QUEUE) -> None:
    """Take a dead worker off RQ's lists."""
    with client.pipeline() as pipe:
        pipe.srem(BaseWorker.redis_workers_keys, worker_key(name))
        pipe.srem(WORKERS_BY_QUEUE_KEY % queue, worker_key(name))
        pipe.delete(worker_key(name))
        pipe.execute()


def _text(value: bytes | str) -> str:
    """Return what redis-py read as text."""
    return value.decode() if isinstance(value, bytes) else value
