"""The async worker against a real server: it runs tickets, obeys commands, and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio as aioredis
from rq.command import send_shutdown_command, send_stop_job_command
from rq.serializers import JSONSerializer
from rq.suspension import resume, suspend
from rq.worker import BaseWorker

from jobs.broker import (
    AGENTS_QUEUE,
    Ticket,
    TicketWorker,
    enqueue,
    intermediate_key,
    job_key,
    live_workers,
    queue_key,
    started_key,
    ticket_fields,
    worker_key,
)
from jobs.embedded import EmbeddedRedis
from jobs.redis_client import connect, connect_sync
from jobs.ticket_queue import Look, Suspects, TicketQueue, release_worker, suspects
from jobs.worker import AsyncWorker, RunTicket, StopReason, StopSignal

TICKET = Ticket("run-1", "look", 1)
LIMIT_S = 20.0
"""How long a test waits for what must happen; it never waits for time to pass."""


class Recorder:
    """Runs tickets for a test: notes them, and holds those it is told to hold."""

    def __init__(self, *, holds: bool = False) -> None:
        self.started: asyncio.Queue[Ticket] = asyncio.Queue()
        self.ran: list[Ticket] = []
        self.stopped: list[StopReason | None] = []
        self.gate = asyncio.Event()
        if not holds:
            self.gate.set()

    async def run(self, ticket: Ticket, stop: StopSignal) -> None:
        """Note the ticket, wait at the gate, and note why that was cut short."""
        self.started.put_nowait(ticket)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.stopped.append(stop.reason)
            raise
        self.ran.append(ticket)

    async def next(self) -> Ticket:
        """Return the next ticket that starts."""
        return await asyncio.wait_for(self.started.get(), LIMIT_S)


@asynccontextmanager
async def serving(url: str, run: RunTicket, **options: Any) -> AsyncIterator[AsyncWorker]:
    """Serve in the background and drain at the end."""
    worker = await asyncio.to_thread(
        lambda: AsyncWorker(url, options.pop("name", "w1"), run, has_signals=False, **options)
    )
    task = asyncio.create_task(worker.serve())
    try:
        yield worker
        worker.request_drain()
        await asyncio.wait_for(asyncio.shield(task), LIMIT_S)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(holds: Callable[[], Any]) -> None:
    """Wait until something holds; the condition may be a coroutine function."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            found = holds()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.01)


async def leftovers(client: aioredis.Redis) -> list[str]:
    """Return the keys that ended jobs should not leave (queues and workers are no jobs)."""
    keys = [str(key, "utf-8") async for key in client.scan_iter("*")]
    return [key for key in keys if not key.startswith(("rq:worker", "rq:queues"))]


async def test_tickets_run_and_leave_nothing(redis_url: str, redis_client: aioredis.Redis) -> None:
    """Every ticket runs once; afterwards no job, list or registry is left."""
    recorder = Recorder()
    tickets = [Ticket("run-1", f"s.{i}", 1) for i in range(100)]
    async with serving(redis_url, recorder.run, slots=8):
        await enqueue(redis_client, tickets, time.time())
        await until(lambda: len(recorder.ran) == len(tickets))

    assert sorted(recorder.ran, key=str) == sorted(tickets, key=str)
    assert await leftovers(redis_client) == []
    assert await redis_client.smembers("rq:workers") == set()


async def test_slots_bound_what_runs_at_once(redis_url: str, redis_client: aioredis.Redis) -> None:
    """A worker takes no more than it has slots for; the rest stays for others."""
    recorder = Recorder(holds=True)
    async with serving(redis_url, recorder.run, slots=3) as worker:
        await enqueue(redis_client, [Ticket("run-1", f"s{i}", 1) for i in range(5)], time.time())
        for _ in range(3):
            await recorder.next()

        assert len(worker.job_ids()) == 3
        assert await redis_client.llen(queue_key()) == 2
        recorder.gate.set()
        await until(lambda: len(recorder.ran) == 5)


async def test_failed_ticket_is_removed_like_any_other(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """An error stops at the worker, which counts it, cleans up and goes on."""
    recorder = Recorder()

    async def run(ticket: Ticket, stop: StopSignal) -> None:
        if ticket.step_id == "bad":
            raise RuntimeError("broken step")
        await recorder.run(ticket, stop)

    async with serving(redis_url, run):
        await enqueue(redis_client, [Ticket("run-1", "bad", 1), TICKET], time.time())
        assert await recorder.next() == TICKET
        await until(lambda: counted(redis_client, "failed_job_count", 1))
        await until(lambda: counted(redis_client, "successful_job_count", 1))

    assert await leftovers(redis_client) == []


async def counted(client: aioredis.Redis, field: str, count: int) -> bool:
    """Whether the worker's own statistics have come to this count."""
    value = await client.hget(worker_key("w1"), field)
    return int(value or 0) == count


@pytest.mark.parametrize(
    "forged",
    [
        {"data": json.dumps(["os.mkdir", None, ["forged"], {}])},
        {"failure_callback_name": "os.getpid"},
        {"data": "no ticket at all"},
    ],
)
async def test_forged_job_is_removed_and_never_runs(
    redis_url: str,
    redis_client: aioredis.Redis,
    forged: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A job that names something else is refused; the ticket behind it runs."""
    monkeypatch.chdir(tmp_path)
    recorder = Recorder()
    key, fields, list_key = ticket_fields(Ticket("run-1", "forged", 1), time.time())
    await redis_client.hset(key, mapping=dict((fields | forged).items()))
    await redis_client.rpush(list_key, Ticket("run-1", "forged", 1).job_id)
    await redis_client.rpush(list_key, b"\xff:rubbish", "no-such-job")
    await redis_client.set(job_key("no-such-job"), "a string, not a hash")
    async with serving(redis_url, recorder.run):
        await enqueue(redis_client, [TICKET], time.time())
        assert await recorder.next() == TICKET

    assert recorder.ran == [TICKET]
    assert not (tmp_path / "forged").exists()
    await redis_client.delete(job_key("no-such-job"))
    assert await leftovers(redis_client) == []


async def test_stop_command_cancels_one_ticket(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """RQ's stop command ends the ticket it names, which learns why; the others go on."""
    recorder = Recorder(holds=True)
    other = Ticket("run-1", "other", 1)
    async with serving(redis_url, recorder.run) as worker:
        await enqueue(redis_client, [TICKET, other], time.time())
        await recorder.next()
        await recorder.next()
        await until(lambda: is_listening(redis_client))

        await asyncio.to_thread(stop_with_rq, redis_url, TICKET.job_id)

        await until(lambda: worker.job_ids() == (other.job_id,))
        assert recorder.stopped == [StopReason.STOPPED]
        recorder.gate.set()


async def test_swallowed_stop_is_repeated(
    redis_url: str, redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ticket in which a library swallowed the cancellation is cancelled again."""
    monkeypatch.setattr("jobs.worker.CANCEL_GRACE_S", 0.02)
    recorder = Recorder(holds=True)

    async def run(ticket: Ticket, stop: StopSignal) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await recorder.run(ticket, stop)
        await recorder.run(ticket, stop)

    async with serving(redis_url, run) as worker:
        await enqueue(redis_client, [TICKET], time.time())
        await recorder.next()
        assert worker.stop_job(TICKET.job_id)
        await until(lambda: worker.job_ids() == ())

    assert recorder.stopped == [StopReason.STOPPED, StopReason.STOPPED]


def stop_with_rq(url: str, job_id: str) -> None:
    """Send the command as RQ's own tools do."""
    client = connect_sync(url)
    send_stop_job_command(client, job_id, serializer=JSONSerializer)
    client.close()


async def is_listening(client: aioredis.Redis) -> bool:
    """Whether the worker has subscribed to its commands."""
    return bool(await client.pubsub_channels("rq:pubsub:w1"))


async def test_strange_command_is_ignored(redis_url: str, redis_client: aioredis.Redis) -> None:
    """Rubbish on the command channel does not disturb the worker."""
    recorder = Recorder()
    async with serving(redis_url, recorder.run):
        await until(lambda: is_listening(redis_client))
        await redis_client.publish("rq:pubsub:w1", b"\xff not json")
        await redis_client.publish("rq:pubsub:w1", b'{"command": "kill-horse"}')
        await enqueue(redis_client, [TICKET], time.time())
        assert await recorder.next() == TICKET


async def test_drain_lets_running_tickets_finish(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """A draining worker takes nothing more, but what runs comes to its end."""
    recorder = Recorder(holds=True)
    late = Ticket("run-1", "late", 1)
    async with serving(redis_url, recorder.run) as worker:
        await enqueue(redis_client, [TICKET], time.time())
        await recorder.next()
        worker.request_drain()
        await enqueue(redis_client, [late], time.time())
        recorder.gate.set()

    assert recorder.ran == [TICKET]
    assert await redis_client.lrange(queue_key(), 0, -1) == [late.job_id.encode()]
    assert await redis_client.llen(intermediate_key()) == 0


async def test_drain_cancels_what_takes_too_long(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """When the time to drain is over, tickets are cancelled and learn that another goes on."""
    recorder = Recorder(holds=True)
    async with serving(redis_url, recorder.run, drain_s=0.05):
        await enqueue(redis_client, [TICKET], time.time())
        await recorder.next()

    assert recorder.stopped == [StopReason.DRAINED]
    assert await leftovers(redis_client) == []


async def test_shutdown_command_drains(redis_url: str, redis_client: aioredis.Redis) -> None:
    """RQ's shutdown command is the same as SIGTERM."""
    async with serving(redis_url, Recorder().run):
        await until(lambda: is_listening(redis_client))
        sync = connect_sync(redis_url)
        await asyncio.to_thread(send_shutdown_command, sync, "w1")
        await until(lambda: is_gone(redis_client))
        sync.close()


async def is_gone(client: aioredis.Redis) -> bool:
    """Whether the worker has signed off."""
    return not await client.smembers("rq:workers")


async def test_rq_info_shows_the_worker(redis_url: str, redis_client: aioredis.Redis) -> None:
    """RQ's command line lists the worker, its queue, its state and what executes."""
    recorder = Recorder(holds=True)
    async with serving(redis_url, recorder.run):
        await enqueue(redis_client, [TICKET], time.time())
        await recorder.next()

        said = await asyncio.to_thread(rq_info, redis_url)

        assert "queue agents 0, 1 executing, 0 finished, 0 failed" in said
        assert "worker w1 (" in said
        assert "busy agents" in said
        (worker,) = await asyncio.to_thread(all_workers, redis_url)
        assert worker.get_current_job_id() == TICKET.job_id
        recorder.gate.set()


def rq_info(url: str) -> str:
    """Run `rq info --raw`."""
    return subprocess.run(
        [sys.executable, "-m", "rq.cli", "info", "--url", url, "--raw"],
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    ).stdout


def all_workers(url: str) -> list[BaseWorker]:
    """Return the workers that RQ knows."""
    return BaseWorker.all(connection=connect_sync(url), serializer=JSONSerializer)


async def test_suspended_workers_take_nothing(redis_url: str, redis_client: aioredis.Redis) -> None:
    """`rq suspend` holds tickets back and `rq resume` lets them go."""
    recorder = Recorder()
    sync = connect_sync(redis_url)
    async with serving(redis_url, recorder.run, heartbeat_s=0.02) as worker:
        await asyncio.to_thread(suspend, sync)
        await until(lambda: worker._is_suspended)
        # The pop that was already waiting may still take one.
        first = Ticket("run-1", "first", 1)
        await enqueue(redis_client, [first], time.time())
        await recorder.next()
        await enqueue(redis_client, [TICKET], time.time())
        assert await redis_client.llen(queue_key()) == 1

        await asyncio.to_thread(resume, sync)

        assert await recorder.next() == TICKET
    sync.close()


async def test_blocked_loop_has_no_heartbeat(
    redis_url: str, redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that does not run renews nothing, however well its threads are."""
    beats: list[int] = []
    during: list[int] = []

    async def run(_ticket: Ticket, _stop: StopSignal) -> None:
        await until(lambda: beats)
        before = len(beats)
        time.sleep(0.5)  # noqa: ASYNC251 - a step that blocks the loop is what is tested
        during.append(len(beats) - before)

    def beat(_worker: AsyncWorker) -> bool:
        beats.append(1)
        return False

    monkeypatch.setattr(AsyncWorker, "beat", beat)
    async with serving(redis_url, run, heartbeat_s=0.01, lease_s=2):
        await enqueue(redis_client, [TICKET], time.time())
        await until(lambda: during)

    # One beat may have been on its way when the loop stopped.
    assert during[0] <= 1


async def test_expired_presence_is_written_again(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """A worker whose hash was lost appears again with its next heartbeat."""
    async with serving(redis_url, Recorder().run, heartbeat_s=0.02):
        await until(lambda: is_known(redis_client))
        await redis_client.delete(worker_key("w1"), "rq:workers", "rq:workers:agents")
        await until(lambda: is_known(redis_client))
        (worker,) = await asyncio.to_thread(all_workers, redis_url)
        assert worker.queue_names() == ["agents"]
        assert 0 < await redis_client.ttl(worker_key("w1")) <= 15


async def is_known(client: aioredis.Redis) -> bool:
    """Whether the worker is on RQ's list with its whole hash."""
    return bool(
        await client.sismember("rq:workers", worker_key("w1"))
        and await client.hget(worker_key("w1"), "queues")
    )


async def test_stuck_ticket_is_swept_back_and_runs(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """What a killed worker had popped but not started comes back after two looks."""
    recorder = Recorder()
    await enqueue(redis_client, [TICKET], time.time())
    await redis_client.lmove(queue_key(), intermediate_key())
    async with serving(redis_url, recorder.run, sweep_s=0.02):
        assert await recorder.next() == TICKET

    assert await leftovers(redis_client) == []


async def test_ticket_of_a_dead_worker_is_swept_back(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """What a worker without a heartbeat had started comes back; the store fences the rest."""
    recorder = Recorder()
    await enqueue(redis_client, [TICKET], time.time())
    await die_holding(redis_url, "dead")
    async with serving(redis_url, recorder.run, sweep_s=0.02):
        assert await recorder.next() == TICKET

    assert await leftovers(redis_client) == []


async def die_holding(url: str, name: str) -> None:
    """Take a ticket as a worker that is never heard of again."""
    queue = TicketQueue(url, name)
    popped = await queue.pop()
    assert len(await queue.take(popped, 1)) == 1
    await queue.close()
    client = connect(url)
    await client.delete(worker_key(name))
    await client.aclose()


async def test_dead_worker_is_released_at_once(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """Who saw a worker die hands back what it held, started or just popped, and its name."""
    popped = Ticket("run-1", "popped", 1)
    await enqueue(redis_client, [TICKET, popped], time.time())
    await die_holding(redis_url, "dead")
    await redis_client.lmove(queue_key(), intermediate_key())
    await redis_client.sadd("rq:workers", worker_key("dead"))

    count = await asyncio.to_thread(release_worker, redis_url, "dead")

    assert count == 2
    assert set(await redis_client.lrange(queue_key(), 0, -1)) == {
        TICKET.job_id.encode(),
        popped.job_id.encode(),
    }
    assert await redis_client.zcard(started_key()) == 0
    assert await is_gone(redis_client)


async def test_only_workers_with_a_heartbeat_are_live(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """A worker whose hash has expired is neither live nor on RQ's lists any more."""
    await redis_client.sadd("rq:workers", worker_key("dead"))
    await redis_client.sadd("rq:workers:agents", worker_key("dead"))
    async with serving(redis_url, Recorder().run):
        await until(lambda: is_known(redis_client))

        assert await live_workers(redis_client) == ["w1"]
        assert await redis_client.smembers("rq:workers") == {worker_key("w1").encode()}
    assert await live_workers(redis_client) == []


async def test_newborn_worker_is_live(redis_url: str, redis_client: aioredis.Redis) -> None:
    """A worker that registered itself and has no state yet is not taken off the lists."""
    with connect_sync(redis_url) as client:
        worker = TicketWorker("w1", client, 15, AGENTS_QUEUE)
        BaseWorker.register_birth(worker)  # type: ignore[no-untyped-call]

    assert await live_workers(redis_client) == ["w1"]
    assert await live_workers(redis_client) == ["w1"]


async def test_swept_ticket_is_not_taken_twice(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """A slow worker that pops and is overtaken by a sweep does not get the ticket."""
    await enqueue(redis_client, [TICKET], time.time())
    slow, quick = TicketQueue(redis_url, "slow"), TicketQueue(redis_url, "quick")
    popped = await slow.pop()
    await quick.release(Suspects(popped=frozenset({TICKET.job_id})))

    taken = await quick.take(await quick.pop(), 1)

    assert [job.job_id for job in taken] == [TICKET.job_id]
    assert await slow.take(popped, 1) == []
    await slow.close()
    await quick.close()


def test_suspects_are_what_nobody_holds() -> None:
    """Popped tickets, tickets of the dead, and tickets given to us in a lost answer."""
    look = Look(
        popped=frozenset({"p"}),
        started=frozenset({("a", "me"), ("b", "me"), ("c", "live"), ("d", "dead")}),
        live_workers=frozenset({"me", "live"}),
    )

    found = suspects(look, "me", {"a"})

    assert found == Suspects(frozenset({"p"}), frozenset({("b", "me"), ("d", "dead")}))


def test_one_look_is_not_enough() -> None:
    """Who is a suspect only now may just be on the way."""
    before = Suspects(frozenset({"p"}), frozenset({("d", "dead")}))
    now = Suspects(frozenset({"q"}), frozenset({("d", "dead")}))

    assert before & now == Suspects(frozenset(), frozenset({("d", "dead")}))
    assert not (before & Suspects())


async def test_worker_outlives_a_killed_server(tmp_path: Path) -> None:
    """A worker whose server is killed goes on when it is back, and loses no ticket."""
    recorder = Recorder()
    with EmbeddedRedis(tmp_path) as server:
        client = connect(server.url)
        async with serving(server.url, recorder.run, sweep_s=0.1, heartbeat_s=0.05):
            await enqueue(client, [TICKET], time.time())
            await recorder.next()
            watching = asyncio.create_task(server.watch())
            os.kill(server.pid, signal.SIGKILL)

            after = Ticket("run-1", "after", 1)
            await enqueue(client, [after], time.time())

            assert await recorder.next() == after
        watching.cancel()
        await client.aclose()
