"""What every inbox of Slack deliveries keeps, wherever it is stored."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from bot.platforms.slack.heard import Attached, Heard, Kind
from bot.platforms.slack.inbox import Inbox, Item, again

NOW = 1_000.0


def item(key: str = "m:T1:C1:1.0", at: float = NOW, text: str = "hello") -> Item:
    """Return something that somebody wrote."""
    file = Attached("F1", "app.log", "text/plain", 12, "https://files.slack.com/x")
    heard = Heard(key, Kind.MENTION, "T1", "U1", at, channel="C1", ts="1.0", text=text)
    return Item(replace(heard, files=(file,), state={"values": {}}), at)


class InboxContract:
    """Inherit it and give an `inbox` fixture."""

    async def test_a_key_is_kept_once(self, inbox: Inbox) -> None:
        """Many deliveries at a time are one item, and it stays known when it is done."""
        kept = await asyncio.gather(*(inbox.put(item()) for _ in range(20)))
        taken = await inbox.take(NOW, 10)
        await inbox.done(taken[0].key)

        assert kept.count(True) == 1
        assert taken == [item()]
        assert not await inbox.put(item())
        assert await inbox.count() == 0

    async def test_each_item_is_taken_by_one(self, inbox: Inbox) -> None:
        """Several processes take at the same time; the oldest go first."""
        for number in range(10):
            await inbox.put(item(f"k{number}", NOW + number))

        batches = await asyncio.gather(*(inbox.take(NOW + 20, 3) for _ in range(5)))

        keys = [one.key for batch in batches for one in batch]
        assert sorted(keys) == [f"k{number}" for number in range(10)]
        assert [one.key for one in batches[0]] == ["k0", "k1", "k2"]

    async def test_what_a_dead_process_had_comes_back(self, inbox: Inbox) -> None:
        """When its lease is over, unless it was prolonged."""
        await inbox.put(item("a"))
        await inbox.put(item("b"))
        await inbox.take(NOW, 10, 5.0)
        await inbox.hold(["a", "unknown"], NOW + 60)

        assert await inbox.take(NOW + 4, 10) == []
        assert [one.key for one in await inbox.take(NOW + 6, 10)] == ["b"]
        assert await inbox.count() == 2

    async def test_an_item_is_put_back_for_later(self, inbox: Inbox) -> None:
        """It keeps how often it was tried; one that is done stays so."""
        await inbox.put(item())
        (taken,) = await inbox.take(NOW, 1)
        await inbox.later(again(taken), NOW + 30)

        assert await inbox.take(NOW + 29, 1) == []
        (back,) = await inbox.take(NOW + 30, 1)
        assert back.tries == 1
        await inbox.done(back.key)
        await inbox.later(back, NOW)
        assert await inbox.take(NOW + 99, 1) == []

    async def test_nothing_is_held_that_is_done(self, inbox: Inbox) -> None:
        """Prolonging a lease brings nothing back."""
        await inbox.put(item())
        await inbox.take(NOW, 1)
        await inbox.done(item().key)
        await inbox.hold([item().key], NOW)

        assert await inbox.take(NOW + 99, 1) == []
