"""What every installation store promises; `tests/bot/platforms/slack/test_installs.py` holds both.

Slack's SDK asks it, so the questions are the SDK's.
"""

from __future__ import annotations

from slack_sdk.oauth.installation_store.models.installation import Installation

from bot.platforms.slack.installs import InstallationStore

TOKEN = "xoxb-1"


def installation(team: str = "T1", user: str = "U1", token: str = TOKEN) -> Installation:
    """Return what an install leaves."""
    return Installation(
        app_id="A1",
        team_id=team,
        team_name="Acme",
        user_id=user,
        bot_token=token,
        bot_id="B1",
        bot_user_id="UBOT",
        bot_scopes=["chat:write", "commands"],
        installed_at=1_700_000_000.5,
        custom_values={"note": "ü"},
    )


class InstallationStoreContract:
    """Inherit it and give `installs`."""

    async def test_a_workspace_is_found(self, installs: InstallationStore) -> None:
        """Its bot comes back as it was saved; another workspace has none."""
        await installs.async_save(installation())
        bot = await installs.async_find_bot(enterprise_id=None, team_id="T1")

        assert bot is not None
        assert (bot.bot_token, bot.bot_user_id) == ("xoxb-1", "UBOT")
        assert bot.bot_scopes == ["chat:write", "commands"]
        assert await installs.async_find_bot(enterprise_id=None, team_id="T2") is None
        assert await installs.teams() == ["T1"]

    async def test_installations_are_found_by_person(self, installs: InstallationStore) -> None:
        """Each person's own, and the latest for whoever does not say."""
        await installs.async_save(installation(user="U1", token="xoxb-1"))
        await installs.async_save(installation(user="U2", token="xoxb-2"))

        own = await installs.async_find_installation(enterprise_id=None, team_id="T1", user_id="U1")
        latest = await installs.async_find_installation(enterprise_id=None, team_id="T1")

        assert own is not None
        assert latest is not None
        assert vars(own) == vars(installation(user="U1", token="xoxb-1"))
        assert latest.user_id == "U2"

    async def test_a_new_token_replaces_the_old(self, installs: InstallationStore) -> None:
        """Installing again, and refreshing a token, change what is found."""
        await installs.async_save(installation(token="xoxb-1"))
        await installs.async_save(installation(token="xoxb-2"))
        bot = await installs.async_find_bot(enterprise_id=None, team_id="T1")
        assert bot is not None
        assert bot.bot_token == "xoxb-2"

        bot.bot_token = "xoxb-3"
        await installs.async_save_bot(bot)
        found = await installs.async_find_bot(enterprise_id=None, team_id="T1")
        assert found is not None
        assert found.bot_token == "xoxb-3"

    async def test_an_organisation_is_found_as_a_whole(self, installs: InstallationStore) -> None:
        """An install for all workspaces of an organisation is kept under the organisation."""
        whole = installation()
        whole.team_id, whole.enterprise_id, whole.is_enterprise_install = None, "E1", True
        await installs.async_save(whole)

        bot = await installs.async_find_bot(
            enterprise_id="E1", team_id="T9", is_enterprise_install=True
        )

        assert bot is not None
        assert await installs.async_find_bot(enterprise_id=None, team_id="T9") is None

    async def test_uninstalling_forgets_everything(self, installs: InstallationStore) -> None:
        """No token is left."""
        await installs.async_save(installation())
        await installs.async_delete_all(enterprise_id=None, team_id="T1")

        assert await installs.async_find_bot(enterprise_id=None, team_id="T1") is None
        assert await installs.async_find_installation(enterprise_id=None, team_id="T1") is None
        assert await installs.teams() == []

    async def test_parts_can_be_forgotten(self, installs: InstallationStore) -> None:
        """The bot, or what one person installed."""
        await installs.async_save(installation(user="U1"))
        await installs.async_save(installation(user="U2"))
        await installs.async_delete_bot(enterprise_id=None, team_id="T1")
        await installs.async_delete_installation(enterprise_id=None, team_id="T1", user_id="U2")

        assert await installs.async_find_bot(enterprise_id=None, team_id="T1") is None
        assert await installs.async_find_installation(enterprise_id=None, team_id="T1") is None
        first = await installs.async_find_installation(
            enterprise_id=None, team_id="T1", user_id="U1"
        )
        assert first is not None
