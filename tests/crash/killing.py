"""Kills this very process at its n-th write to Redis: right before the write, or right after.

It stands between redis-py's clients and the server, so the product knows nothing of it. What
only reads is not counted: a crash before or after it is a crash between two writes.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import signal
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import redis
import redis.asyncio as aioredis
import redis.asyncio.client
import redis.client

READS = frozenset(
    {
        *("AUTH", "CLIENT", "CONFIG", "HELLO", "INFO", "PING", "SCRIPT", "SELECT", "TIME"),
        *("EXISTS", "GET", "MGET", "SCAN", "TTL", "TYPE", "SUBSCRIBE", "UNSUBSCRIBE"),
        *("HGET", "HGETALL", "HMGET", "HVALS", "LINDEX", "LLEN", "LRANGE", "SMEMBERS"),
        *("XINFO", "XLEN", "XRANGE", "XREAD", "XREVRANGE"),
        *("ZCARD", "ZMSCORE", "ZRANGE", "ZRANGEBYSCORE", "ZREVRANGE", "ZSCORE"),
    }
)
READING_SCRIPTS = ("expired",)
LABEL_BYTES = 240
_HEAD = struct.Struct("qq")


@dataclass(slots=True)
class Tally:
    """How many writes a process has sent; shared with the process that watches it."""

    _memory: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 4096))

    @property
    def writes(self) -> int:
        """How many writes were counted."""
        return int(_HEAD.unpack_from(self._memory)[0])

    @property
    def is_killed(self) -> bool:
        """Whether the process reached its point and killed itself."""
        return bool(_HEAD.unpack_from(self._memory)[1])

    @property
    def label(self) -> str:
        """What the last write was."""
        at = _HEAD.size
        return self._memory[at : at + LABEL_BYTES].rstrip(b"\0").decode(errors="replace")

    def count(self, label: str) -> int:
        """Count one more write and return its number."""
        number = self.writes + 1
        _HEAD.pack_into(self._memory, 0, number, 0)
        raw = label.encode()[:LABEL_BYTES].ljust(LABEL_BYTES, b"\0")
        self._memory[_HEAD.size : _HEAD.size + LABEL_BYTES] = raw
        return number

    def note_killed(self) -> None:
        """Say that the point was reached."""
        _HEAD.pack_into(self._memory, 0, self.writes, 1)


@dataclass(frozen=True, slots=True)
class Killer:
    """Counts the writes of the process that arms it; `at` 0 kills nobody."""

    at: int
    is_after: bool
    tally: Tally = field(default_factory=Tally)

    def arm(self) -> None:
        """Watch every client of this process from now on."""
        reads = _reading_shas()

        def label(commands: Sequence[Sequence[Any]]) -> str:
            """Return what is written, or nothing when it only reads."""
            written = [_words(command) for command in commands if _writes(command, reads)]
            return "; ".join(written)

        def wrap(inner: Callable[..., Any]) -> Callable[..., Any]:
            def execute_command(client: Any, *args: Any, **options: Any) -> Any:
                return self._around(label([args]), lambda: inner(client, *args, **options))

            return execute_command

        def wrap_async(inner: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def execute_command(client: Any, *args: Any, **options: Any) -> Any:
                return await self._around_async(
                    label([args]), lambda: inner(client, *args, **options)
                )

            return execute_command

        def wrap_pipe(inner: Callable[..., Any]) -> Callable[..., Any]:
            def execute(pipe: Any, *args: Any, **options: Any) -> Any:
                commands = [entry[0] for entry in pipe.command_stack]
                return self._around(label(commands), lambda: inner(pipe, *args, **options))

            return execute

        def wrap_async_pipe(inner: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
            async def execute(pipe: Any, *args: Any, **options: Any) -> Any:
                commands = [entry[0] for entry in pipe.command_stack]
                return await self._around_async(
                    label(commands), lambda: inner(pipe, *args, **options)
                )

            return execute

        for kind, name, wrapper in (
            (redis.Redis, "execute_command", wrap),
            (redis.client.Pipeline, "execute", wrap_pipe),
            (aioredis.Redis, "execute_command", wrap_async),
            (redis.asyncio.client.Pipeline, "execute", wrap_async_pipe),
        ):
            inner: Any = getattr(kind, name)
            setattr(kind, name, wrapper(inner))

    def _around(self, label: str, send: Callable[[], Any]) -> Any:
        if not label:
            return send()
        is_due = self._is_due(label)
        answer = send()
        if is_due:
            self._kill()
        return answer

    async def _around_async(self, label: str, send: Callable[[], Awaitable[Any]]) -> Any:
        if not label:
            return await send()
        is_due = self._is_due(label)
        answer = await send()
        if is_due:
            self._kill()
        return answer

    def _is_due(self, label: str) -> bool:
        """Count a write; whether to kill after it. Before it, this does not return."""
        is_due = self.tally.count(label) == self.at
        if is_due and not self.is_after:
            self._kill()
        return is_due

    def _kill(self) -> None:
        self.tally.note_killed()
        os.kill(os.getpid(), signal.SIGKILL)


def _writes(command: Sequence[Any], reading_shas: frozenset[str]) -> bool:
    name = str(command[0]).upper().split()[0]
    if name in ("EVALSHA", "EVAL"):
        return str(command[1]) not in reading_shas
    return name not in READS


def _words(command: Sequence[Any]) -> str:
    """Return a command in a few words: its name and its first key."""
    name = str(command[0]).upper()
    at = 3 if name.startswith("EVAL") else 1
    key = command[at] if len(command) > at else ""
    return f"{name} {key.decode() if isinstance(key, bytes) else key}".strip()[:80]


def _reading_shas() -> frozenset[str]:
    texts = (files("jobs").joinpath("lua", f"{name}.lua").read_text() for name in READING_SCRIPTS)
    return frozenset(
        hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for text in texts
    )
