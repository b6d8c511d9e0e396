"""The warm parent with real processes: it forks, replaces, buries and sees everybody out."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis.asyncio as aioredis
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from jobs.broker import Ticket, enqueue, started_key
from jobs.parent import (
    RESTART_PAUSE_CAP_S,
    TOKEN_BYTES,
    _Parent,
    restart_pause_s,
    worker_name,
)
from jobs.redis_client import connect_sync

LIMIT_S = 30.0
FAMILY = """
import asyncio, os, signal, sys, time
import structlog
from jobs import parent
from jobs.ticket_queue import release_worker
from jobs.worker import AsyncWorker

url, count, blocked_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
is_slow = sys.argv[4] == "True"
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
parent.SECOND_SIGNAL_S = 0.0
parent.PULSE_S = 0.05
parent.TICK_S = 0.05

def say(*words):
    # One write a line: several processes talk at once.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def run(ticket, stop):
    say("started", ticket.step_id, os.getpid())
    if ticket.step_id.startswith("block"):
        time.sleep(600)
    if ticket.step_id.startswith("hold"):
        await asyncio.sleep(600)
    if ticket.step_id.startswith("short"):
        await asyncio.sleep(0.3)
    say("ended", ticket.step_id)

async def make_worker(name):
    worker = AsyncWorker(url, name, run, slots=4, drain_s=60, heartbeat_s=0.1)
    say("worker", name, os.getpid())
    while is_slow and signal.SIGTERM not in signal.sigpending():
        time.sleep(0.01)
    await worker.serve()

def on_death(name):
    say("death", name, release_worker(url, name))

code = parent.run_parent(
    count, make_worker, lambda: say("warm", os.getpid()), on_death, blocked_s=blocked_s, stop_s=60
)
say("code", code)
"""


class Family:
    """A parent in a process of its own, and what it and its children say."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[list[str]] = []

    def hear(self, *words: str) -> list[str]:
        """Wait for a line that begins with these words; returns the whole line."""
        for line in self.said:
            if line[: len(words)] == list(words):
                self.said.remove(line)
                return line
        assert self.process.stdout is not None
        for text in self.process.stdout:
            line = text.split()
            if line[: len(words)] == list(words):
                return line
            self.said.append(line)
        pytest.fail(f"nobody said {' '.join(words)!r}, only {self.said}")

    def worker(self) -> tuple[str, int]:
        """Wait for the next worker; returns its name and pid."""
        _, name, pid = self.hear("worker")
        return name, int(pid)


@contextmanager
def family(
    url: str, count: int = 1, blocked_s: float = 60.0, *, is_slow: bool = False
) -> Iterator[Family]:
    """Start a parent with so many workers, and leave no process behind.

    Slow workers are still starting when the signal to leave comes.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", FAMILY, url, str(count), str(blocked_s), str(is_slow)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    # Nothing here waits on a clock; this only ends a test that would hang.
    watchdog = threading.Timer(LIMIT_S, process.kill)
    watchdog.start()
    try:
        yield Family(process)
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


async def send(client: aioredis.Redis, *steps: str) -> None:
    """Enqueue one ticket per step."""
    await enqueue(client, [Ticket("run-1", step, 1) for step in steps], time.time())


def test_parent_warms_once_and_names_its_workers(redis_url: str) -> None:
    """The parent itself warms, before it forks; names tell host, parent, seat and generation.

    What stands between host and pid is of this parent alone: pids repeat in containers.
    """
    with family(redis_url, count=2) as home:
        assert int(home.hear("warm")[1]) == home.process.pid
        names = {home.worker()[0], home.worker()[0]}
        host = os.uname().nodename

        (token,) = {name.removeprefix(f"{host}-").split("-")[0] for name in names}
        assert len(bytes.fromhex(token)) == TOKEN_BYTES
        assert names == {worker_name(host, token, home.process.pid, seat, 1) for seat in (0, 1)}


def test_parents_with_the_same_host_and_pid_name_their_workers_differently() -> None:
    """Two containers may look alike; their workers must not hold each other's leases."""

    async def idle(_name: str) -> None:
        return None

    parents = [_Parent(1, idle, None, blocked_s=1.0, stop_s=1.0) for _ in range(2)]

    assert parents[0]._token != parents[1]._token


async def test_killed_worker_is_replaced_and_buried(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """After kill -9 a successor starts, the death is told, and the ticket runs again."""
    with family(redis_url) as home:
        name, pid = home.worker()
        await send(redis_client, "hold")
        assert home.hear("started", "hold")[2] == str(pid)

        os.kill(pid, signal.SIGKILL)

        successor, successor_pid = home.worker()
        assert home.hear("death")[1:] == [name, "1"]
        assert home.hear("started", "hold")[2] == str(successor_pid)
        assert successor.endswith("-0-2")


async def test_sigterm_drains_and_exits_cleanly(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """Running tickets come to their end, then everybody leaves and signs off."""
    with family(redis_url, count=2) as home:
        home.worker()
        await send(redis_client, "short.0", "short.1")
        home.hear("started", "short.0")
        home.hear("started", "short.1")

        home.process.send_signal(signal.SIGTERM)

        home.hear("ended", "short.0")
        home.hear("ended", "short.1")
        assert home.hear("code")[1] == "0"
        assert await redis_client.smembers("rq:workers") == set()
        assert await redis_client.zcard(started_key()) == 0
        assert not [line for line in home.said if line[0] == "death"]


async def test_sigterm_reaches_a_worker_that_is_still_starting(
    redis_url: str, redis_client: aioredis.Redis
) -> None:
    """A worker that has no handler yet is not killed: it leaves as soon as it can, signed off."""
    with family(redis_url, is_slow=True) as home:
        home.worker()

        home.process.send_signal(signal.SIGTERM)

        assert home.hear("code")[1] == "0"
        assert await redis_client.smembers("rq:workers") == set()
        assert not [line for line in home.said if line[0] == "death"]


async def test_second_signal_kills(redis_url: str, redis_client: aioredis.Redis) -> None:
    """Who asks twice does not wait for what runs; the tickets are handed back."""
    with family(redis_url) as home:
        _, pid = home.worker()
        await send(redis_client, "hold")
        home.hear("started", "hold")

        home.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_until_all_pop, redis_url, 0)
        home.process.send_signal(signal.SIGTERM)

        assert home.hear("death")[2] == "1"
        assert home.hear("code")[1] == "0"
        assert not psutil.pid_exists(pid)


def wait_until_all_pop(url: str, count: int) -> None:
    """Wait until exactly so many workers wait for tickets."""
    client = connect_sync(url)
    while sum("b" in row["flags"] for row in client.client_list()) != count:
        time.sleep(0.01)
    client.close()


async def test_blocked_worker_is_killed(redis_url: str, redis_client: aioredis.Redis) -> None:
    """A loop that hangs in a call is ended from outside, and its seat is taken again."""
    with family(redis_url, blocked_s=1.0) as home:
        name, _ = home.worker()
        await send(redis_client, "block")
        home.hear("started", "block")

        assert home.hear("death")[1] == name
        home.worker()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere orphans notice a little later")
def test_no_worker_outlives_its_parent(redis_url: str) -> None:
    """After kill -9 of the parent the kernel ends the workers."""
    with family(redis_url, count=2) as home:
        pids = [home.worker()[1], home.worker()[1]]
        children = [psutil.Process(pid) for pid in pids]

        home.process.kill()

        gone, alive = psutil.wait_procs(children, timeout=LIMIT_S)
        assert (len(gone), alive) == (2, [])


async def test_rq_lists_the_workers(redis_url: str, redis_client: aioredis.Redis) -> None:
    """RQ knows every worker by the name its parent gave it."""
    with family(redis_url, count=2) as home:
        names = {home.worker()[0], home.worker()[0]}
        await send(redis_client, "a", "b")
        home.hear("ended", "a")
        home.hear("ended", "b")
        await asyncio.to_thread(wait_until_all_pop, redis_url, len(names))

        known = await asyncio.to_thread(
            lambda: BaseWorker.all(connection=connect_sync(redis_url), serializer=JSONSerializer)
        )

        assert {worker.name for worker in known} == names
        assert {worker.hostname for worker in known} == {os.uname().nodename}


def test_restart_is_immediate_unless_deaths_repeat() -> None:
    """One death costs no time; a worker that cannot live does not eat the machine."""
    pauses = [restart_pause_s(deaths) for deaths in range(40)]

    assert pauses[:2] == [0.0, 0.0]
    assert pauses[2] > 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == RESTART_PAUSE_CAP_S
