"""Tickets: their ids, what they look like to RQ, and what is refused."""

from __future__ import annotations

import json
import time

import pytest
import redis.asyncio as aioredis
from hypothesis import given
from hypothesis import strategies as st
from rq.job import validate_job_id
from rq.queue import Queue
from rq.serializers import JSONSerializer

from jobs.broker import (
    AGENTS_QUEUE,
    RefusedTicketError,
    Ticket,
    TicketJob,
    enqueue,
    forget,
    queue_key,
    read_command,
    read_ticket,
    ticket_fields,
)
from jobs.redis_client import connect_sync
from jobs.worker import run_step

TICKET = Ticket("run-01jd", "check.0", 2)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,30}", fullmatch=True)


def fields_of(ticket: Ticket) -> dict[str, bytes | None]:
    """Return the fields that a worker would read of this ticket's job."""
    return {"data": ticket_fields(ticket, 0.0)[1]["data"].encode()}


@given(run_id=NAMES, step_id=NAMES, attempt=st.integers(0, 10_000))
def test_job_id_carries_the_whole_ticket(run_id: str, step_id: str, attempt: int) -> None:
    """An id is legal for RQ and reads back as the same ticket, whatever the names."""
    ticket = Ticket(run_id, step_id, attempt)

    assert Ticket.parse(ticket.job_id) == ticket
    validate_job_id(ticket.job_id)


@given(run_id=NAMES, step_id=NAMES, attempt=st.integers(0, 100))
def test_ticket_survives_the_queue(run_id: str, step_id: str, attempt: int) -> None:
    """What is written for a ticket reads back as that ticket."""
    ticket = Ticket(run_id, step_id, attempt)

    assert read_ticket(ticket.job_id, fields_of(ticket)) == ticket


@pytest.mark.parametrize("name", ["", "UPPER", "-x", "a:b", "a b", "é"])
def test_unfit_names_are_refused(name: str) -> None:
    """A name that no job id can carry is refused where the ticket is made."""
    with pytest.raises(ValueError, match="cannot be part of a ticket"):
        Ticket(name, "step", 1)


@pytest.mark.parametrize(
    "data",
    [
        b'["os.system",null,[],{"run_id":"run-01jd","step_id":"check.0","attempt":2}]',
        b'["jobs.worker.run_step",null,["x"],{"run_id":"run-01jd","step_id":"check.0","attempt":2}]',
        b'["jobs.worker.run_step",{"a":1},[],{"run_id":"run-01jd","step_id":"check.0","attempt":2}]',
        b'["jobs.worker.run_step",null,[],{"run_id":"other","step_id":"check.0","attempt":2}]',
        b'["jobs.worker.run_step",null,[],{"run_id":"run-01jd","step_id":"check.0"}]',
        b'["jobs.worker.run_step",null,[],5]',
        b"\x80\x04K\x01.",
        b"[]",
        b"",
    ],
)
def test_forged_data_is_refused(data: bytes) -> None:
    """Only what Muster wrote for this id is a ticket."""
    with pytest.raises(RefusedTicketError, match="refused"):
        read_ticket(TICKET.job_id, {"data": data})


@pytest.mark.parametrize("kind", ["success", "failure", "stopped"])
def test_callbacks_are_refused(kind: str) -> None:
    """A job that would call something afterwards is none of ours, to us and to RQ's own code."""
    name = f"{kind}_callback_name"
    with pytest.raises(RefusedTicketError, match=name):
        read_ticket(TICKET.job_id, {**fields_of(TICKET), name: b"os.system"})

    job = TicketJob(TICKET.job_id, connection=connect_sync("unix:///nowhere"))
    setattr(job, f"_{kind}_callback_name", "os.system")
    with pytest.raises(RefusedTicketError, match="callback"):
        getattr(job, f"{kind}_callback")


async def test_rq_reads_our_tickets(redis_url: str, redis_client: aioredis.Redis) -> None:
    """RQ's own classes find the queue, the job and its arguments."""
    await enqueue(redis_client, [TICKET], time.time())
    sync = connect_sync(redis_url)

    (queue,) = Queue.all(connection=sync, serializer=JSONSerializer)
    job = TicketJob.fetch(TICKET.job_id, connection=sync)

    assert (queue.name, queue.job_ids) == (AGENTS_QUEUE, [TICKET.job_id])
    assert job.is_queued
    assert job.func is run_step
    assert job.kwargs == {"run_id": "run-01jd", "step_id": "check.0", "attempt": 2}
    assert job.success_callback is None
    with pytest.raises(RuntimeError, match="muster worker"):
        job.perform()
    sync.close()


async def test_forged_job_has_no_function(redis_url: str, redis_client: aioredis.Redis) -> None:
    """The job class alone keeps RQ's code from importing what a forged job names."""
    key, fields, _ = ticket_fields(TICKET, time.time())
    fields["data"] = json.dumps(["os.system", None, ["true"], {}])
    await redis_client.hset(key, mapping=dict(fields.items()))
    sync = connect_sync(redis_url)

    job = TicketJob.fetch(TICKET.job_id, connection=sync)

    with pytest.raises(RefusedTicketError, match=r"os\.system"):
        job.perform()
    sync.close()


async def test_forgotten_ticket_leaves_nothing(redis_client: aioredis.Redis) -> None:
    """A ticket that is withdrawn is neither in the queue nor anywhere else."""
    other = Ticket("run-01jd", "other", 1)
    await enqueue(redis_client, [TICKET, other], time.time())

    await forget(redis_client, TICKET)

    assert await redis_client.lrange(queue_key(), 0, -1) == [other.job_id.encode()]
    assert sorted(await redis_client.keys("rq:job:*")) == [f"rq:job:{other.job_id}".encode()]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'"x"', b"\xff", None])
def test_strange_commands_are_empty(data: bytes | None) -> None:
    """Whatever somebody publishes to a worker, it stays up."""
    assert read_command({"data": data}) == ("", "")
