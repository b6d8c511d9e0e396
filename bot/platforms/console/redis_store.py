"""The console's threads in Redis. Every change is one Lua script, harmless when sent twice.

Keys: `muster:console:channels`, `…:channel:<name>`, `…:thread:<id>`, `…:thread:<id>:messages`,
`…:message:<id>`, `…:feed`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from importlib.resources import files
from typing import Any

import redis.asyncio as aioredis

from bot.platforms.console.store import (
    FEED_LENGTH,
    MAX_MESSAGES_SHOWN,
    MAX_THREADS_KEPT,
    MAX_TITLE_CHARS,
    ConsoleChange,
    Message,
    Thread,
    dump_view,
    load_view,
    message_id,
    shown_version,
    standing,
    thread_id,
)
from bot.views import View
from jobs.reaching import reaching

PREFIX = "muster:console"
FORGET_PAGE = 500
FEED_BATCH = 500
FEED_WAIT_MS = 1_000


class RedisConsoleStore:
    """`ConsoleStore` on Redis or Valkey."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._client: Any = client  # redis-py types answers as unions of all it may say
        folder = files("bot.platforms.console").joinpath("lua")
        self._open = client.register_script(folder.joinpath("open.lua").read_text())
        self._put = client.register_script(folder.joinpath("put.lua").read_text())
        self._forget_script = client.register_script(folder.joinpath("forget.lua").read_text())

    @reaching
    async def open_thread(self, channel: str, title: str, key: str, now: float) -> Thread:
        """See `ConsoleStore.open_thread`."""
        id_ = thread_id(channel, key)
        keys = [_thread_key(id_), _channel_key(channel), f"{PREFIX}:channels", f"{PREFIX}:feed"]
        args: list[str | int] = [id_, channel, title[:MAX_TITLE_CHARS], repr(now), FEED_LENGTH]
        fields = _pairs(await self._open(keys=keys, args=args))
        await self._forget_oldest(channel)
        return _thread(id_, fields)

    @reaching
    async def post(self, thread_id: str, view: View, key: str, now: float) -> Message:
        """See `ConsoleStore.post`."""
        return await self._store("post", message_id(key), thread_id, view, now)

    @reaching
    async def edit(self, message_id: str, view: View, now: float) -> Message:
        """See `ConsoleStore.edit`."""
        thread = await self._client.hget(_message_key(message_id), "thread")
        if thread is None:
            raise KeyError(message_id)
        return await self._store("edit", message_id, thread.decode(), view, now)

    @reaching
    async def channels(self) -> list[str]:
        """See `ConsoleStore.channels`."""
        return sorted(m.decode() for m in await self._client.smembers(f"{PREFIX}:channels"))

    @reaching
    async def threads(self, channel: str, limit: int = 100) -> list[Thread]:
        """See `ConsoleStore.threads`."""
        members = await self._client.zrevrange(_channel_key(channel), 0, limit - 1)
        ids = [member.decode() for member in members]
        stored = await self._hashes([_thread_key(id_) for id_ in ids])
        return [_thread(id_, fields) for id_, fields in zip(ids, stored, strict=True) if fields]

    @reaching
    async def thread(self, thread_id: str) -> Thread | None:
        """See `ConsoleStore.thread`."""
        fields = await self._client.hgetall(_thread_key(thread_id))
        return _thread(thread_id, fields) if fields else None

    @reaching
    async def messages(self, thread_id: str) -> list[Message]:
        """See `ConsoleStore.messages`."""
        members = await self._client.lrange(_messages_key(thread_id), -MAX_MESSAGES_SHOWN, -1)
        ids = [member.decode() for member in members]
        stored = await self._hashes([_message_key(id_) for id_ in ids])
        return [_message(id_, fields) for id_, fields in zip(ids, stored, strict=True) if fields]

    @reaching
    async def forget_threads(self, before: float, limit: int, keep: Collection[str] = ()) -> int:
        """See `ConsoleStore.forget_threads`."""
        count = 0
        for member in await self._client.smembers(f"{PREFIX}:channels"):
            channel = member.decode()
            for id_ in await self._silent(channel, before, limit - count, keep):
                count += await self._forget(id_, channel, repr(before))
        return count

    async def _silent(
        self, channel: str, before: float, limit: int, keep: Collection[str]
    ) -> list[str]:
        """Return up to `limit` threads of a channel, the longest silent first."""
        found: list[str] = []
        start = 0
        while len(found) < limit:
            page = await self._client.zrangebyscore(
                _channel_key(channel), "-inf", f"({before!r}", start=start, num=FORGET_PAGE
            )
            found += [id_ for id_ in (member.decode() for member in page) if id_ not in keep]
            if len(page) < FORGET_PAGE:
                break
            start += FORGET_PAGE
        return found[:limit]

    @reaching
    async def cursor(self) -> str:
        """See `ConsoleStore.cursor`."""
        newest = await self._client.xrevrange(f"{PREFIX}:feed", count=1)
        return newest[0][0].decode() if newest else "0-0"

    async def changes(self, cursor: str) -> AsyncIterator[list[ConsoleChange]]:
        """See `ConsoleStore.changes`."""
        while True:
            batch = await self._read_feed(cursor)
            if batch:
                cursor = batch[-1].cursor
            yield batch

    @reaching
    async def _read_feed(self, cursor: str) -> list[ConsoleChange]:
        answer = await self._client.xread(
            {f"{PREFIX}:feed": cursor}, count=FEED_BATCH, block=FEED_WAIT_MS
        )
        return [
            ConsoleChange(
                at.decode(), f[b"channel"].decode(), f[b"thread"].decode(), f[b"message"].decode()
            )
            for at, f in (answer[0][1] if answer else [])
        ]

    async def _store(
        self, mode: str, message_id: str, thread_id: str, view: View, now: float
    ) -> Message:
        channel = await self._client.hget(_thread_key(thread_id), "channel")
        if channel is None:
            raise KeyError(thread_id)
        name = channel.decode()
        stands = standing(view)
        status, waits = (stands[0], int(stands[1])) if stands else ("-", 0)
        data = dump_view(view)
        version = shown_version(view)
        fields = _pairs(
            await self._put(
                keys=[
                    _message_key(message_id),
                    _thread_key(thread_id),
                    _messages_key(thread_id),
                    _channel_key(name),
                    f"{PREFIX}:feed",
                ],
                args=[
                    *(mode, message_id, thread_id, name, data, repr(now)),
                    *(status, waits, FEED_LENGTH, "-" if version is None else version),
                ],
            )
        )
        if not fields:
            raise KeyError(message_id)
        return _message(message_id, fields)

    async def _hashes(self, keys: Sequence[str]) -> list[dict[bytes, bytes]]:
        if not keys:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hgetall(key)
        stored: list[dict[bytes, bytes]] = await pipeline.execute()
        return stored

    async def _forget_oldest(self, channel: str) -> None:
        key = _channel_key(channel)
        for member in await self._client.zrange(key, 0, -(MAX_THREADS_KEPT + 1)):
            await self._forget(member.decode(), channel, before="")

    async def _forget(self, thread_id: str, channel: str, before: str) -> int:
        """Remove a thread, unless something changed in it since; return how many were removed."""
        keys = [
            _channel_key(channel),
            _thread_key(thread_id),
            _messages_key(thread_id),
            f"{PREFIX}:channels",
        ]
        args = [thread_id, channel, before, _message_key("")]
        return int(await self._forget_script(keys=keys, args=args))


def _thread_key(thread_id: str) -> str:
    return f"{PREFIX}:thread:{thread_id}"


def _messages_key(thread_id: str) -> str:
    return f"{PREFIX}:thread:{thread_id}:messages"


def _message_key(message_id: str) -> str:
    return f"{PREFIX}:message:{message_id}"


def _channel_key(channel: str) -> str:
    return f"{PREFIX}:channel:{channel}"


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Return the fields that a script's HGETALL gave as a flat list."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _thread(id_: str, fields: dict[bytes, bytes]) -> Thread:
    return Thread(
        id=id_,
        channel=fields[b"channel"].decode(),
        title=fields[b"title"].decode(),
        opened_at=float(fields[b"opened_at"]),
        updated_at=float(fields[b"updated_at"]),
        status=fields.get(b"status", b"").decode(),
        waits=fields.get(b"waits") == b"1",
    )


def _message(id_: str, fields: dict[bytes, bytes]) -> Message:
    edited = fields.get(b"edited_at")
    return Message(
        id=id_,
        thread_id=fields[b"thread"].decode(),
        view=load_view(fields[b"view"]),
        posted_at=float(fields[b"posted_at"]),
        edited_at=float(edited) if edited else None,
        version=int(fields[b"version"]),
    )
