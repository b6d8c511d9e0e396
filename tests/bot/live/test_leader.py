"""One process leads; another takes over."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import psutil
import pytest
import redis.asyncio as aioredis

from bot.live import leader
from bot.live.leader import Election, MemoryElection, RedisElection, is_dead, lead, machine
from jobs.store import StoreUnavailableError
from tests.bot.waiting import wait_for


class ElectionContract:
    """Inherit and give `rivals`: a function that makes elections for the same seat."""

    async def test_one_of_two_leads(self, rivals: Callable[[], Election]) -> None:
        """The first one leads and keeps its token; the second gets a higher one after it."""
        first, second = rivals(), rivals()

        token = await first.acquire()

        assert token is not None
        assert await second.acquire() is None
        assert await first.acquire() == token
        await first.release()
        after = await second.acquire()
        assert after is not None
        assert after > token
        assert await first.acquire() is None

    async def test_release_of_another_changes_nothing(self, rivals: Callable[[], Election]) -> None:
        """Only the leader can stop leading."""
        first, second = rivals(), rivals()
        await first.acquire()

        await second.release()

        assert await second.acquire() is None


class TestMemoryElection(ElectionContract):
    """The twin."""

    @pytest.fixture
    def rivals(self) -> Callable[[], Election]:
        """Return a maker of elections for one seat."""
        seat: dict[str, Any] = {}
        return lambda: MemoryElection(seat)


class TestRedisElection(ElectionContract):
    """The real one, on a real server."""

    @pytest.fixture
    def rivals(self, redis_client: aioredis.Redis) -> Callable[[], Election]:
        """Return a maker of elections for one seat."""
        return lambda: RedisElection(redis_client)

    async def test_lease_runs_out(self, redis_client: aioredis.Redis) -> None:
        """A leader that is not heard of any more is replaced."""
        first, second = RedisElection(redis_client), RedisElection(redis_client)
        await first.acquire()
        assert 0 < await redis_client.pttl(leader.KEY) <= 10_000
        await redis_client.pexpire(leader.KEY, 1)

        async with asyncio.timeout(5):
            while await second.acquire() is None:  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.002)

    async def test_dead_process_of_this_machine_is_replaced_at_once(
        self, redis_client: aioredis.Redis
    ) -> None:
        """After a kill -9 nobody waits for the lease to run out."""
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
        await child.wait()
        holder = f"{machine()}|{child.pid}|x"
        await redis_client.set(leader.KEY, holder, px=60_000)

        assert await RedisElection(redis_client).acquire() is not None


def test_only_processes_of_this_machine_can_be_seen_dead() -> None:
    """Of another machine or container nothing is known; a living process is alive."""
    nobody = max(psutil.pids()) + 1_000_000_000
    assert not is_dead(f"elsewhere|{nobody}|x")
    assert not is_dead(f"{socket.gethostname()}|{nobody}|x")
    assert not is_dead(f"{machine()}|{os.getpid()}|x")
    assert is_dead(f"{machine()}|{nobody}|x")
    assert not is_dead("rubbish")


async def test_work_runs_while_leading_and_stops_when_the_lease_is_lost() -> None:
    """A leader that was replaced cancels its work; it starts again when it leads again."""
    seat: dict[str, Any] = {}
    began: list[int] = []
    ended: list[int] = []

    async def work(token: int) -> None:
        began.append(token)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(token)

    leading = asyncio.create_task(lead(MemoryElection(seat), work, look_s=0.001, renew_s=0.001))
    await wait_for(lambda: began == [1])
    seat["holder"], seat["token"] = "rival", 2
    await wait_for(lambda: ended == [1])
    seat["holder"] = None
    await wait_for(lambda: began == [1, 3])
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading

    assert ended == [1, 3]
    assert seat["holder"] is None


async def test_work_that_fails_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug or a lost store ends one turn, not the leading, and is reported."""
    turns: list[int] = []
    reported: list[str] = []
    monkeypatch.setattr(leader, "report_error", lambda error, **_: reported.append(str(error)))

    async def work(token: int) -> None:
        turns.append(token)
        raise ValueError("bug")

    leading = asyncio.create_task(lead(MemoryElection(), work, look_s=0.001, renew_s=0.001))
    await wait_for(lambda: len(turns) >= 3)
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading

    assert reported[:2] == ["bug", "bug"]


async def test_store_that_is_away_means_not_leading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a store nobody can know who leads, so the work waits."""
    election = MemoryElection()
    turns: list[int] = []
    answers: list[Any] = [StoreUnavailableError("away"), StoreUnavailableError("away")]
    acquire = election.acquire

    async def sometimes() -> int | None:
        if answers:
            raise answers.pop()
        return await acquire()

    async def work(token: int) -> None:
        turns.append(token)
        await asyncio.Event().wait()

    monkeypatch.setattr(election, "acquire", sometimes)
    leading = asyncio.create_task(lead(election, work, look_s=0.001, renew_s=0.001))
    await wait_for(lambda: turns == [1])
    leading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leading
