"""What every store of troubles promises; `tests/bot/platforms/slack/test_health.py` holds both."""

from __future__ import annotations

from dataclasses import replace

from bot.platforms.slack.health import Trouble, TroubleStore

ARCHIVED = Trouble("T1/C1", "is_archived", "the channel is archived", 1.0)
REVOKED = Trouble("T1/*", "token_revoked", "its token was revoked", 2.0)


class TroubleStoreContract:
    """Inherit it and give a `trouble_store`."""

    async def test_the_same_trouble_is_new_once(self, trouble_store: TroubleStore) -> None:
        """Only what was not known is to be told; since when stays."""
        assert await trouble_store.add(ARCHIVED)
        assert not await trouble_store.add(replace(ARCHIVED, since=5.0))
        assert await trouble_store.add(replace(ARCHIVED, code="not_in_channel"))

        assert [one.code for one in await trouble_store.all()] == ["not_in_channel"]

    async def test_what_works_again_is_forgotten(self, trouble_store: TroubleStore) -> None:
        """Removing says whether there was something."""
        await trouble_store.add(REVOKED)
        await trouble_store.add(ARCHIVED)

        assert await trouble_store.all() == [ARCHIVED, REVOKED]
        assert await trouble_store.remove(ARCHIVED.where)
        assert not await trouble_store.remove(ARCHIVED.where)
        assert await trouble_store.all() == [REVOKED]
