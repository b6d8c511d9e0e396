"""Posting once per key: a claim holds as long as its post takes, and doubts are kept."""

from __future__ import annotations

import asyncio

import pytest

from bot.platforms.port import PlatformBusyError
from bot.platforms.slack.book import CLAIM_S, Held, MemoryBook, Posted
from bot.platforms.slack.errors import SlackUnsureError
from bot.platforms.slack.posting import Posting

MESSAGE = Posted("C1", "1.000001")


async def nap(seconds: float) -> None:
    """Let others go on, at once."""
    await asyncio.sleep(0)


async def found_nothing(since: float) -> Posted | None:
    """Find nothing in the thread."""
    return None


async def test_a_claim_holds_for_as_long_as_the_post_takes() -> None:
    """A post that waits for its turn is not posted by another process meanwhile."""
    now = 1_000.0
    book = MemoryBook(lambda: now)
    others: list[object] = []

    async def send() -> Posted:
        nonlocal now
        for _ in range(4):
            now += CLAIM_S / 2
            await asyncio.sleep(0.02)
            others.append(await book.claim("k", "another"))
        return MESSAGE

    posting = Posting(book, lambda: now, nap, renew_s=0.001)

    assert await posting.once("k", send, found_nothing) == MESSAGE
    assert [type(one) for one in others] == [Held] * 4


async def test_a_doubt_outlives_a_refused_second_try() -> None:
    """What may have been sent before is looked for, also when Slack was busy in between."""
    sent: list[Exception] = [
        SlackUnsureError("chat.postMessage", "cut"),
        PlatformBusyError(1.0),
    ]
    looks = 0

    async def send() -> Posted:
        raise sent.pop(0)

    async def find(since: float) -> Posted | None:
        nonlocal looks
        looks += 1
        return MESSAGE if looks > 1 else None

    posting = Posting(MemoryBook(lambda: 1_000.0), lambda: 1_000.0, nap)
    with pytest.raises(PlatformBusyError):
        await posting.once("k", send, find)

    assert await posting.once("k", send, find) == MESSAGE
