"""Runs the processes of one machine: embedded Redis, bot, workers. Restarts what dies.

The processes know each other only through Redis, so each may be killed at any time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from config.settings import Settings
from jobs.embedded import EmbeddedRedis
from jobs.process import die_with

log = structlog.get_logger(__name__)

ROOT = Path(__file__).resolve().parents[2]
RESTART_PAUSE_S = 0.2
RESTART_PAUSE_CAP_S = 10.0
YOUNG_S = 5.0
STOP_MARGIN_S = 8.0
BAD_START = 2
"""The exit code of a process that says its settings are wrong: starting it again is no use."""


class StackError(Exception):
    """The stack cannot run; the message says what to do."""


@dataclass(slots=True)
class _Member:
    """One process that is kept alive."""

    name: str
    argv: Sequence[str]
    process: asyncio.subprocess.Process | None = None
    young_deaths: int = 0
    started_at: float = field(default=0.0)


class Stack:
    """Everything that `muster up` starts. Use as an async context manager around `run`."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        prepare: Callable[[str], Awaitable[None]] | None = None,
        log_file: Path | None = None,
    ) -> None:
        """`prepare` is awaited with Redis' address before the processes that need it start."""
        self._settings = settings
        self._prepare = prepare
        self._environ = environ
        self._log_file = log_file
        self._redis = None if settings.redis_url else EmbeddedRedis(settings.state_dir)
        self._members = (
            _Member("bot", (sys.executable, "-m", "bot", "serve")),
            _Member("workers", (sys.executable, "-m", "jobs")),
        )
        self._stopping = asyncio.Event()

    @property
    def redis_url(self) -> str:
        """The address of the Redis in use; of the embedded one once it runs."""
        if self._settings.redis_url:
            return self._settings.redis_url
        return self._redis.url if self._redis else ""

    async def __aenter__(self) -> Stack:
        """Start all of it; StateDirInUseError or RedisStartError say what is in the way."""
        if self._redis is not None:
            await asyncio.to_thread(self._redis.start)
        try:
            if self._prepare is not None:
                await self._prepare(self.redis_url)
            for member in self._members:
                await self._spawn(member)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop all of it: the workers drain, the bot ends its streams, Redis goes last."""
        await self._stop()

    async def run(self) -> None:
        """Keep every process alive until cancelled; StackError when one refuses to start."""
        tasks = [asyncio.create_task(self._keep(member)) for member in self._members]
        if self._redis is not None:
            tasks.append(asyncio.create_task(self._redis.watch()))
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _spawn(self, member: _Member) -> None:
        parent = os.getpid()
        # A group of its own: Ctrl-C reaches the terminal's group, and this process passes it on.
        output = open(self._log_file, "ab") if self._log_file else None  # noqa: ASYNC230, PTH123, SIM115
        try:
            member.process = await asyncio.create_subprocess_exec(
                *member.argv,
                cwd=ROOT,
                env={**self._environ, "MUSTER_REDIS_URL": self.redis_url, "PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=lambda: die_with(parent),
            )
        finally:
            if output is not None:
                output.close()
        member.started_at = time.monotonic()

    async def _keep(self, member: _Member) -> None:
        while not self._stopping.is_set():
            if member.process is None:
                await self._spawn(member)
                continue
            code = await member.process.wait()
            if self._stopping.is_set():
                return
            if code == BAD_START:
                raise StackError(f"The {member.name} process could not start; it said why above.")
            is_young = time.monotonic() - member.started_at < YOUNG_S
            member.young_deaths = member.young_deaths + 1 if is_young else 0
            log.error("process_died", process=member.name, exit_code=code)
            if member.young_deaths > 1:
                pause_s = RESTART_PAUSE_S * 2.0 ** min(member.young_deaths, 16)
                await asyncio.sleep(min(pause_s, RESTART_PAUSE_CAP_S))
            member.process = None

    async def _stop(self) -> None:
        self._stopping.set()
        await asyncio.gather(*(self._end(member) for member in self._members))
        if self._redis is not None:
            await asyncio.to_thread(self._redis.stop)

    async def _end(self, member: _Member) -> None:
        process = member.process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._settings.drain_s + STOP_MARGIN_S):
                await process.wait()
        except TimeoutError:
            log.warning("process_killed", process=member.name)
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
