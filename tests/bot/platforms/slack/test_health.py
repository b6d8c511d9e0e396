"""What people are told when Slack refuses, and when it is over."""

from __future__ import annotations

import pytest
import redis.asyncio as aioredis

from bot.assembly import readiness
from bot.platforms.memory import MemoryPlatform
from bot.platforms.port import PlatformError
from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.health import (
    MemoryTroubleStore,
    RedisTroubleStore,
    Trouble,
    Troubles,
)
from bot.platforms.slack.places import Place
from bot.platforms.slack.telling import Teller
from bot.views import NoteView, View
from jobs.store import StoreUnavailableError
from tests.bot.platforms.slack.stage import Stage
from tests.contracts.platform import CARD, FIRST
from tests.contracts.slack_troubles import ARCHIVED, REVOKED, TroubleStoreContract

HERE = Place("T1", "C1")


class TestMemoryTroubles(TroubleStoreContract):
    """The in-memory twin."""

    @pytest.fixture
    def trouble_store(self) -> MemoryTroubleStore:
        """Return an empty store."""
        return MemoryTroubleStore()


class TestRedisTroubles(TroubleStoreContract):
    """The store on a real server."""

    @pytest.fixture
    def trouble_store(self, redis_client: aioredis.Redis) -> RedisTroubleStore:
        """Return an empty store."""
        return RedisTroubleStore(redis_client)


class Told:
    """Notes what is told."""

    def __init__(self) -> None:
        self.troubles: list[Trouble] = []

    async def __call__(self, trouble: Trouble, view: View | None) -> None:
        """Note it."""
        self.troubles.append(trouble)


async def test_a_trouble_is_told_once_until_it_is_over() -> None:
    """Retries say nothing new; after it worked, the next refusal is news again."""
    told = Told()
    troubles = Troubles(MemoryTroubleStore(), told, lambda: 7.0)
    refused = SlackRefusedError("is_archived")

    for _ in range(3):
        await troubles.met(HERE, refused)
    await troubles.works(HERE)
    await troubles.met(HERE, refused)

    assert [(one.where, one.code, one.since) for one in told.troubles] == [
        ("T1/C1", "is_archived", 7.0)
    ] * 2


async def test_a_token_is_about_the_whole_workspace() -> None:
    """It is told once for all channels, and anything that works ends it."""
    told = Told()
    troubles = Troubles(MemoryTroubleStore(), told)
    await troubles.met(HERE, SlackRefusedError("token_revoked"))
    await troubles.met(Place("T1", "C2"), SlackRefusedError("token_revoked"))

    assert [one.where for one in told.troubles] == ["T1/*"]
    await troubles.works_again(Place("T1", "C3"))
    assert await troubles.all() == []


async def test_our_own_mistakes_are_nobody_elses_trouble() -> None:
    """What no person can mend is not told as if they could."""
    troubles = Troubles(MemoryTroubleStore(), Told())
    await troubles.met(HERE, SlackRefusedError("invalid_blocks"))

    assert await troubles.all() == []


async def test_telling_fails_quietly() -> None:
    """Neither Redis nor the telling keep the bot from going on."""

    class Away(MemoryTroubleStore):
        async def add(self, trouble: Trouble) -> bool:
            raise StoreUnavailableError("away")

        async def remove(self, where: str) -> bool:
            raise StoreUnavailableError("away")

    async def broken(trouble: Trouble, view: View | None) -> None:
        raise RuntimeError("broken")

    await Troubles(Away(), broken).met(HERE, SlackRefusedError("is_archived"))
    await Troubles(Away(), broken).works(HERE)
    await Troubles(MemoryTroubleStore(), broken).met(HERE, SlackRefusedError("is_archived"))


async def test_the_requester_and_the_console_are_told(stage: Stage) -> None:
    """A card that cannot be posted: the requester gets a direct message that leads to the run."""
    console = MemoryPlatform("console")

    async def requester_of(run_id: str) -> str:
        return "slack:T1:U1" if run_id == CARD.run_id else ""

    stage.troubles.tell = Teller(
        stage.platform, console, requester_of, "https://muster.example.com"
    )
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.archive("C1")

    for _ in range(3):
        with pytest.raises(PlatformError, match="unarchive it"):
            await stage.platform.post(thread, CARD, "run-1:card")

    direct = stage.server.messages(stage.server.direct("U1"))
    assert len(direct) == 1
    assert "archived" in direct[0].text
    assert "https://muster.example.com/runs/run-1" in direct[0].text
    (noted,) = [views[-1] for views in console.shown.values()]
    assert isinstance(noted, NoteView)
    assert noted.tone == "error"
    assert "archived" in noted.text


async def test_after_mending_the_trouble_is_over(stage: Stage) -> None:
    """The first post that works ends it."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.kick("C1")
    with pytest.raises(PlatformError, match="/invite @Muster"):
        await stage.platform.post(thread, FIRST, "note")
    assert [one.code for one in await stage.troubles.all()] == ["not_in_channel"]

    stage.server.invite("C1")
    await stage.platform.post(thread, FIRST, "note")

    assert await stage.troubles.all() == []


def test_places_of_troubles() -> None:
    """A trouble says whether it is a channel's or the workspace's."""
    assert ARCHIVED.place == HERE
    assert not ARCHIVED.is_of_team
    assert REVOKED.is_of_team


async def test_readiness_says_where_slack_refuses(redis_client: aioredis.Redis) -> None:
    """What does not work can be seen from outside, while the process stays ready or not."""
    await RedisTroubleStore(redis_client).add(ARCHIVED)

    checks = (await readiness(redis_client, has_slack=True)).checks

    assert checks["redis"] == "ok"
    assert checks["slack"].startswith("is_archived in T1/C1")
