"""What every book of facts promises."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agents.longterm import Doubt, Fact, MemoryBook

NOW = 1_700_000_000.0
MOST = 3
"""How many facts the book that the contract is given keeps."""
FACT = Fact("fact-1", "checkout needs payments", "run-1/ev-look", "run-1", NOW, 0.8)
DOUBT = Doubt("d-1", "it was moved", "run-2", NOW + 1)


class MemoryBookContract:
    """Held to both twins."""

    @pytest.fixture
    def book(self) -> MemoryBook:
        """Return an empty book for MOST facts."""
        raise NotImplementedError

    async def test_fact_comes_back_as_it_was_kept(self, book: MemoryBook) -> None:
        """With its source, its run and its time."""
        await book.keep(FACT)

        assert await book.facts() == [FACT]

    async def test_keeping_twice_keeps_the_first(self, book: MemoryBook) -> None:
        """A write that is repeated after a crash changes nothing, doubts included."""
        await book.keep(FACT)
        await book.doubt(FACT.id, DOUBT)

        await book.keep(replace(FACT, text="something else"))

        assert await book.facts() == [replace(FACT, doubts=(DOUBT,))]

    async def test_doubt_counts_once(self, book: MemoryBook) -> None:
        """Doubts come in the order of their time."""
        await book.keep(FACT)
        earlier = Doubt("d-2", "somebody said so", "run-3", NOW)

        for doubt in (DOUBT, earlier, DOUBT):
            assert await book.doubt(FACT.id, doubt)

        assert (await book.facts())[0].doubts == (earlier, DOUBT)

    async def test_unknown_fact_cannot_be_doubted(self, book: MemoryBook) -> None:
        """Nothing is made up for it."""
        assert not await book.doubt("fact-9", DOUBT)
        assert await book.facts() == []

    async def test_forgotten_fact_is_gone_with_its_doubts(self, book: MemoryBook) -> None:
        """Kept again, it begins anew."""
        await book.keep(FACT)
        await book.doubt(FACT.id, DOUBT)

        await book.forget(FACT.id)
        await book.forget(FACT.id)

        assert await book.facts() == []
        await book.keep(FACT)
        assert await book.facts() == [FACT]

    async def test_weakest_fact_makes_room(self, book: MemoryBook) -> None:
        """What was contradicted goes before what is merely older."""
        facts = [replace(FACT, id=f"fact-{n}", at=NOW + n) for n in range(MOST)]
        for fact in facts:
            await book.keep(fact)
        await book.doubt("fact-1", DOUBT)

        await book.keep(replace(FACT, id="fact-new", at=NOW + 9))

        assert [fact.id for fact in await book.facts()] == ["fact-0", "fact-2", "fact-new"]

    async def test_many_at_once(self, book: MemoryBook) -> None:
        """Facts of several workers are all kept, oldest first."""
        facts = [replace(FACT, id=f"fact-{n}", at=NOW + n) for n in range(MOST)]

        await asyncio.gather(*(book.keep(fact) for fact in reversed(facts)))

        assert await book.facts() == facts
