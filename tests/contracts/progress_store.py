"""What every progress store promises; `tests/bot/live/test_progress.py` holds both to it."""

from __future__ import annotations

import pytest

from bot.live.progress_store import Cursors, ProgressStore, SupersededError


class ProgressStoreContract:
    """Inherit and give `memory`."""

    async def test_empty_memory_begins_at_the_beginning(self, memory: ProgressStore) -> None:
        """Everything that is kept in the feeds is new to a first leader."""
        assert await memory.cursors() == Cursors("0", "0")
        assert await memory.open() == set()

    async def test_cursors_and_subjects_are_kept(self, memory: ProgressStore) -> None:
        """What was opened stays until it is closed."""
        await memory.save(1, Cursors("5", "7"), ["run:a", "run:b"])
        await memory.save(1, Cursors("6", "7"), [])
        await memory.close(1, "run:a")
        await memory.close(1, "run:none")

        assert await memory.cursors() == Cursors("6", "7")
        assert await memory.open() == {"run:b"}

    async def test_older_leader_is_refused(self, memory: ProgressStore) -> None:
        """Once a newer leader has saved, an older one changes nothing."""
        await memory.save(1, Cursors("5", "5"), ["run:a"])
        await memory.save(2, Cursors("6", "6"), [])

        with pytest.raises(SupersededError):
            await memory.save(1, Cursors("1", "1"), [])
        with pytest.raises(SupersededError):
            await memory.close(1, "run:a")
        assert await memory.cursors() == Cursors("6", "6")
        assert await memory.open() == {"run:a"}
