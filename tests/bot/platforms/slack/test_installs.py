"""Both installation stores keep their promises, and no token is kept as it is."""

from __future__ import annotations

import pytest
import redis.asyncio as aioredis

from bot.platforms.slack.assembly import Outward
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.installs import MemoryInstallationStore, RedisInstallationStore, Seal
from bot.platforms.slack.people import SlackPeople
from tests.bot.platforms.slack.stage import Stage
from tests.contracts.slack_installs import InstallationStoreContract, installation
from tests.slack_server import SlackServer

SECRET = "a secret of at least thirty-two characters"


class TestMemoryInstalls(InstallationStoreContract):
    """The in-memory twin."""

    @pytest.fixture
    def installs(self) -> MemoryInstallationStore:
        """Return an empty store."""
        return MemoryInstallationStore(Seal(SECRET))


class TestRedisInstalls(InstallationStoreContract):
    """The store on a real server."""

    @pytest.fixture
    def installs(self, redis_client: aioredis.Redis) -> RedisInstallationStore:
        """Return an empty store."""
        return RedisInstallationStore(redis_client, Seal(SECRET))


@pytest.mark.parametrize(("late_s", "is_kept"), [(60.0, True), (-60.0, False)])
async def test_a_removal_told_late_spares_a_new_install(
    stage: Stage, late_s: float, is_kept: bool
) -> None:
    """Slack tells again of what it could not tell; by then the app may be there anew."""
    installs = MemoryInstallationStore(Seal(SECRET))
    new = installation()
    await installs.async_save(new)
    people = SlackPeople(stage.clients)
    spoken = Outward(
        stage.clients, people, stage.book, stage.platform, stage.troubles, installs=installs
    )

    await spoken.forget("T1", new.installed_at - late_s)

    assert (await installs.teams() == ["T1"]) is is_kept


async def test_tokens_are_encrypted_at_rest(redis_client: aioredis.Redis) -> None:
    """Whoever reads Redis sees no token, and no name either."""
    store = RedisInstallationStore(redis_client, Seal(SECRET))
    await store.async_save(installation())

    kept = str(await redis_client.hgetall("muster:slack:install:-:T1"))

    assert len(kept) > 500
    assert "xoxb" not in kept
    assert "Acme" not in kept


async def test_another_secret_opens_nothing(redis_client: aioredis.Redis) -> None:
    """With a changed secret the app has to be installed again; nothing crashes."""
    await RedisInstallationStore(redis_client, Seal(SECRET)).async_save(installation())
    other = RedisInstallationStore(redis_client, Seal(SECRET + "!"))

    assert await other.async_find_bot(enterprise_id=None, team_id="T1") is None


async def test_clients_use_the_token_of_the_workspace(slack: SlackServer) -> None:
    """Each workspace is called with its own token; an uninstalled one is refused."""
    other = slack.team("T2", "Other")
    store = MemoryInstallationStore(Seal(SECRET))
    await store.async_save(installation("T1", token=slack.bot_token))
    await store.async_save(installation("T2", token=other.install()))
    clients = SlackClients(installs=store, api_url=slack.api_url)

    try:
        names = [(await clients.identity(team)).team_name for team in ("T1", "T2")]
        assert names == ["Acme", "Other"]
        await store.async_delete_all(enterprise_id=None, team_id="T2")
        clients.forget("T2")
        with pytest.raises(SlackRefusedError, match="install the app"):
            await clients.call("T2", "auth.test")
    finally:
        await clients.aclose()


async def test_a_revoked_token_is_looked_up_again(slack: SlackServer) -> None:
    """After a new install the very next call works."""
    store = MemoryInstallationStore(Seal(SECRET))
    await store.async_save(installation(token=slack.bot_token))
    clients = SlackClients(installs=store, api_url=slack.api_url)

    try:
        await clients.call("T1", "auth.test")
        slack.revoke()
        with pytest.raises(SlackRefusedError, match="token was revoked"):
            await clients.call("T1", "auth.test")
        await store.async_save(installation(token=slack.install()))
        await clients.call("T1", "auth.test")
    finally:
        await clients.aclose()


async def test_one_token_does_not_serve_another_workspace(slack: SlackServer) -> None:
    """Beside installs the bot token is good for its own workspace only."""
    store = MemoryInstallationStore(Seal(SECRET))
    clients = SlackClients(bot_token=slack.bot_token, installs=store, api_url=slack.api_url)

    try:
        assert (await clients.call("T1", "auth.test"))["team_id"] == "T1"
        with pytest.raises(SlackRefusedError, match="not installed"):
            await clients.call("T2", "auth.test")
    finally:
        await clients.aclose()


def test_a_token_is_never_shown() -> None:
    """Not even where somebody prints the clients."""
    assert "xoxb" not in repr(SlackClients(bot_token="xoxb-secret"))
