"""Posting once per key, although answers get lost and processes die.

A key is claimed in the book before its message is sent. When it is not known whether an earlier
try was sent, the thread is read back, and the message is sent only if it is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

import structlog

from bot.live.leader import is_dead, machine
from bot.platforms.port import PlatformError
from bot.platforms.slack.book import CLAIM_S, Book, Claimed, Held, Posted
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.errors import NO_THREAD, SlackRefusedError, SlackUnsureError
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

EVENT_TYPE: Final = "muster"
MAX_SENDS: Final = 2
SETTLE_S: Final = 1.0
"""How long a message that was sent may take until it can be read back."""
SKEW_S: Final = 300.0
"""How far Slack's clock may be from ours."""
LOOK_S: Final = 0.2
RENEW_S: Final = CLAIM_S / 3
PAGE: Final = 200
MAX_PAGES: Final = 10

Send = Callable[[], Awaitable[Posted]]
Find = Callable[[float], Awaitable[Posted | None]]


def _name() -> str:
    return f"{machine()}|{os.getpid()}|{uuid.uuid4().hex}"


@dataclass(slots=True)
class Posting:
    """Posts through the book. `clock` gives Unix seconds; `holder` names this process."""

    book: Book
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    holder: str = field(default_factory=_name)
    renew_s: float = RENEW_S
    _locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def once(self, key: str, send: Send, find: Find) -> Posted:
        """Return the message of this key, sending it if it was never sent.

        `send` raises SlackUnsureError when it is not known whether it did; any other error of a
        platform means that nothing was sent. `find` looks for a message sent since a time.
        """
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            claim = await self._claim(key)
            if isinstance(claim, Posted):
                return claim
            # A post may wait for its turn, or be looked for, longer than a claim lasts.
            holding = asyncio.create_task(self._hold(key), name="slack-post-hold")
            try:
                return await self._post(key, claim.since, send, find)
            finally:
                holding.cancel()

    async def _hold(self, key: str) -> None:
        """Prolong our claim, so that nobody posts what is being posted."""
        while True:
            await asyncio.sleep(self.renew_s)
            with contextlib.suppress(StoreUnavailableError):
                await self.book.claim(key, self.holder)

    async def _claim(self, key: str) -> Posted | Claimed:
        while True:
            claim = await self.book.claim(key, self.holder)
            if isinstance(claim, Held) and is_dead(claim.holder):
                claim = await self.book.claim(key, self.holder, dead=claim.holder)
            if not isinstance(claim, Held):
                return claim
            await self.sleep(min(LOOK_S, claim.wait_s))

    async def _post(self, key: str, since: float | None, send: Send, find: Find) -> Posted:
        is_unsent = since is None
        began = self.clock()
        try:
            for _ in range(MAX_SENDS):
                if not is_unsent:
                    posted = await self._look(since if since is not None else began, find)
                    if posted is not None:
                        log.info("slack_post_found", key=key)
                        await self.book.keep(key, posted)
                        return posted
                was_unsent, is_unsent = is_unsent, False
                try:
                    posted = await send()
                except SlackUnsureError as error:
                    log.warning("slack_post_unsure", key=key, reason=str(error))
                    if error.is_late:  # it may still be on its way
                        raise
                    continue
                except PlatformError:
                    is_unsent = was_unsent  # an earlier try may still appear
                    raise
                await self.book.keep(key, posted)
                return posted
            raise SlackUnsureError("chat.postMessage", "twice")
        except BaseException:
            with contextlib.suppress(StoreUnavailableError):
                await self.book.let_go(key, self.holder, is_unsent=is_unsent)
            raise

    async def _look(self, since: float, find: Find) -> Posted | None:
        """Read back, once what was sent has had time to appear."""
        age_s = self.clock() - since
        if age_s < SETTLE_S:
            await self.sleep(SETTLE_S - max(age_s, 0.0))
        return await find(since)


async def find_message(
    clients: SlackClients, team: str, channel: str, key: str, since: float, thread_ts: str = ""
) -> Posted | None:
    """Return the message with this key in its metadata, in a thread or among a channel's.

    A thread that is lost goes on in the channel, so it is looked for there too.
    """
    if thread_ts:
        try:
            return await _find(clients, team, channel, key, since, thread_ts)
        except SlackRefusedError as refused:
            if refused.code not in NO_THREAD:
                raise
    return await _find(clients, team, channel, key, since, "")


async def _find(
    clients: SlackClients, team: str, channel: str, key: str, since: float, thread_ts: str
) -> Posted | None:
    method = "conversations.replies" if thread_ts else "conversations.history"
    me = await clients.identity(team)
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        answer = await clients.call(
            team,
            method,
            channel=channel,
            ts=thread_ts or None,
            oldest=f"{max(since - SKEW_S, 0):.6f}",
            inclusive=True,
            limit=PAGE,
            include_all_metadata=True,
            cursor=cursor,
        )
        for message in answer.get("messages") or ():
            if message.get("bot_id") == me.bot and key_of(message) == key:
                return Posted(channel, str(message["ts"]))
        cursor = (answer.get("response_metadata") or {}).get("next_cursor")
        if not cursor:
            break
    return None


def metadata(key: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what a message carries unseen, so that it can be told from every other."""
    return {"event_type": EVENT_TYPE, "event_payload": {**facts, "key": key}}


def key_of(message: dict[str, Any]) -> str:
    """Return the key that a message of ours was posted under; empty for any other."""
    found = message.get("metadata") or {}
    if found.get("event_type") != EVENT_TYPE:
        return ""
    return str((found.get("event_payload") or {}).get("key") or "")
