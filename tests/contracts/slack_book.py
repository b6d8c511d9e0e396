"""What every book of posts promises; `tests/bot/platforms/slack/test_book.py` holds both to it."""

from __future__ import annotations

from bot.platforms.slack.book import Book, Claimed, Held, Posted

THERE = Posted("C1", "1700000000.000001")


class BookContract:
    """Inherit it and give a `book`."""

    async def test_a_posted_key_stays_posted(self, book: Book) -> None:
        """Whoever claims it later gets the message."""
        assert await book.claim("k", "a") == Claimed(None)
        await book.keep("k", THERE)

        assert await book.claim("k", "b") == THERE
        assert await book.claim("other", "b") == Claimed(None)

    async def test_a_claim_holds_others_off(self, book: Book) -> None:
        """Only one posts a key at a time."""
        await book.claim("k", "a")
        held = await book.claim("k", "b")

        assert isinstance(held, Held)
        assert held.holder == "a"
        assert 0 < held.wait_s <= 15

    async def test_who_claims_again_is_told_that_something_may_be_there(self, book: Book) -> None:
        """A claim that its own holder left without a word means: look first."""
        await book.claim("k", "a")
        again = await book.claim("k", "a")

        assert isinstance(again, Claimed)
        assert again.since is not None

    async def test_a_dead_holder_holds_nobody_off(self, book: Book) -> None:
        """Its claim is taken over at once, and what it did has to be looked for."""
        await book.claim("k", "a")
        taken = await book.claim("k", "b", dead="a")

        assert isinstance(taken, Claimed)
        assert taken.since is not None

    async def test_nothing_sent_leaves_nothing_behind(self, book: Book) -> None:
        """After a refusal the next one begins anew."""
        await book.claim("k", "a")
        await book.let_go("k", "a", is_unsent=True)

        assert await book.claim("k", "b") == Claimed(None)

    async def test_doubt_stays(self, book: Book) -> None:
        """When nobody knows whether it was sent, the next one is told since when."""
        await book.claim("k", "a")
        await book.let_go("k", "a", is_unsent=False)
        first = await book.claim("k", "b")
        await book.let_go("k", "b", is_unsent=False)
        second = await book.claim("k", "c")

        assert isinstance(first, Claimed)
        assert first.since is not None
        assert second == first

    async def test_only_the_holder_lets_go(self, book: Book) -> None:
        """One that was taken over changes nothing any more."""
        await book.claim("k", "a")
        await book.claim("k", "b", dead="a")
        await book.let_go("k", "a", is_unsent=True)

        assert isinstance(await book.claim("k", "c"), Held)

    async def test_what_is_posted_is_not_let_go(self, book: Book) -> None:
        """A message stays known, whatever a late process says."""
        await book.claim("k", "a")
        await book.keep("k", THERE)
        await book.let_go("k", "a", is_unsent=True)

        assert await book.claim("k", "b") == THERE

    async def test_the_first_card_takes_an_opened_thread(self, book: Book) -> None:
        """One card does, however often it asks; a thread of somebody else's has no place."""
        await book.opened("C1/1", "k")

        assert await book.take_root("C1/1", "card")
        assert await book.take_root("C1/1", "card")
        assert not await book.take_root("C1/1", "other")
        assert not await book.take_root("C1/2", "card")

    async def test_opening_again_gives_nothing_away(self, book: Book) -> None:
        """A thread that is opened a second time keeps its card."""
        await book.opened("C1/1", "k")
        await book.take_root("C1/1", "card")
        await book.opened("C1/1", "k")

        assert not await book.take_root("C1/1", "other")

    async def test_a_lost_thread_is_remembered(self, book: Book) -> None:
        """What moved is found under its new beginning."""
        assert await book.moved("C1/1") == ""
        await book.move("C1/1", "2")

        assert await book.moved("C1/1") == "2"
        assert await book.moved("C1/2") == ""

    async def test_versions_never_go_back(self, book: Book) -> None:
        """The newest version that was noted is returned."""
        assert await book.shown("C1/1", 3) == 3
        assert await book.shown("C1/1", 5) == 5
        assert await book.shown("C1/1", 4) == 5
        assert await book.shown("C1/1", 5) == 5
        assert await book.shown("C1/2", 1) == 1

    async def test_files_and_plain_workspaces_are_remembered(self, book: Book) -> None:
        """Each by its own name."""
        assert await book.file("k") == ""
        await book.keep_file("k", "F1")
        await book.make_plain("T1")

        assert await book.file("k") == "F1"
        assert await book.is_plain("T1")
        assert not await book.is_plain("T2")
