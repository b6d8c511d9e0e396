"""What every outbox store promises; `tests/bot/live/test_outbox.py` holds both to it."""

from __future__ import annotations

from dataclasses import replace

from agents.domain import Answer, Claim, ThreadRef
from bot.live.outbox import OutboxStore, Post
from bot.views import AnswerView, NoteView

THREAD = ThreadRef("console", "incidents", "t1")


def post(key: str, due_at: float = 0.0) -> Post:
    """Return a post of a note."""
    return Post(key, THREAD, NoteView(f"text of {key}"), queued_at=0.0, due_at=due_at)


class OutboxStoreContract:
    """Inherit and give `outbox_store`."""

    async def test_post_is_read_back_as_it_was_given(self, outbox_store: OutboxStore) -> None:
        """Nothing of a view is lost on the way through the store."""
        answer = Answer("Fixed", claims=(Claim("a"),), confidence=0.5, missing=("logs",))
        kept = replace(post("k"), view=AnswerView("run-1", "title", answer, ()))

        assert await outbox_store.add(kept)
        assert await outbox_store.due(0) == [kept]

    async def test_key_is_taken_once(self, outbox_store: OutboxStore) -> None:
        """Neither a waiting nor a sent key is taken again."""
        assert await outbox_store.add(post("k"))
        assert not await outbox_store.add(post("k"))
        await outbox_store.done(post("k"))

        assert not await outbox_store.add(post("k"))
        assert await outbox_store.due(10) == []

    async def test_due_posts_come_in_order(self, outbox_store: OutboxStore) -> None:
        """What is not due yet waits, the rest comes longest due first."""
        for key, due_at in (("late", 9.0), ("b", 2.0), ("a", 1.0)):
            await outbox_store.add(post(key, due_at))

        assert [one.key for one in await outbox_store.due(5)] == ["a", "b"]
        assert [one.key for one in await outbox_store.due(5, limit=1)] == ["a"]

    async def test_post_can_be_put_off(self, outbox_store: OutboxStore) -> None:
        """A failed post comes again when it is due, with its tries counted."""
        await outbox_store.add(post("k"))
        await outbox_store.later(replace(post("k"), tries=1, due_at=7.0))

        assert await outbox_store.due(6) == []
        (again,) = await outbox_store.due(7)
        assert again.tries == 1

    async def test_post_that_nobody_takes_is_laid_aside(self, outbox_store: OutboxStore) -> None:
        """It is not tried again, and people can find it."""
        await outbox_store.add(post("k"))
        await outbox_store.lay_aside(post("k"))

        assert await outbox_store.due(10) == []
        assert [one.key for one in await outbox_store.laid_aside()] == ["k"]
        assert await outbox_store.count_laid_aside() == 1

    async def test_laid_aside_posts_are_forgotten(self, outbox_store: OutboxStore) -> None:
        """Those queued before a time go; what still waits stays, however old it is."""
        for key, queued_at in (("old", 1.0), ("young", 2.0)):
            await outbox_store.lay_aside(replace(post(key), queued_at=queued_at))
        await outbox_store.add(post("waits"))

        assert await outbox_store.forget_laid_aside(2.0) == 1
        assert await outbox_store.forget_laid_aside(2.0) == 0
        assert [one.key for one in await outbox_store.laid_aside()] == ["young"]
        assert [one.key for one in await outbox_store.due(10)] == ["waits"]
