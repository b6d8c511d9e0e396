"""Who a Slack user is, and how sure that is when a decision depends on it."""

from __future__ import annotations

import asyncio

import pytest

from bot.platforms.port import PlatformBusyError
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.people import (
    FRESH_S,
    GUESTS,
    KEEP_S,
    OUTSIDERS,
    SlackPeople,
    Standing,
    name_of,
    standing_of,
)
from config.specs import PersonSpec
from jobs.state import Person
from tests.bot.platforms.slack.stage import Stage
from tests.slack_server import SlackServer, limiting


class Time:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return what it was set to."""
        return self.now


def people_of(stage: Stage, time: Time, **listed: PersonSpec) -> SlackPeople:
    """Return the people of the stage's workspace."""
    return SlackPeople(stage.clients, listed, time)


async def test_a_member_has_id_name_and_user_groups(stage: Stage) -> None:
    """Groups count by their handle and by their id."""
    found = await people_of(stage, Time()).member("T1", "U1")

    assert found.person == Person("slack:T1:U1", "Alice Adams", frozenset({"SONCALL", "soncall"}))
    assert found.standing is Standing.MEMBER
    assert found.may_ask


async def test_outsiders_get_nothing_by_default(stage: Stage) -> None:
    """Guests and people of other workspaces are marked, and user groups do not count for them."""
    stage.server.user("U3", "Gwen", groups=["SONCALL"], is_guest=True)
    stage.server.user("U4", "Eve", groups=["SONCALL"], team="T9")
    people = people_of(stage, Time())

    guest, external = await people.member("T1", "U3"), await people.member("T1", "U4")

    assert guest.standing is Standing.GUEST
    assert guest.person.groups == {GUESTS}
    assert external.standing is Standing.EXTERNAL
    assert external.person.groups == {OUTSIDERS}
    assert not guest.may_ask
    assert not external.may_ask


async def test_who_clicks_in_a_shared_channel_names_their_own_workspace(stage: Stage) -> None:
    """Whose member somebody is does not depend on what a delivery calls the workspace."""
    stage.server.user("U4", "Eve", groups=["SONCALL"], team="T9")
    stage.server.channel("C9", "shared", members=["U1", "U4"], is_shared=True)
    people = people_of(stage, Time())

    found = await people.member("T9", "U4", fresh=True)

    assert found.standing is Standing.EXTERNAL
    assert found.person == Person("slack:T1:U4", "Eve", frozenset({OUTSIDERS}))
    assert not found.may_ask


async def test_people_yaml_lets_outsiders_in(stage: Stage) -> None:
    """Whoever is named there has the groups that stand there, in that workspace."""
    stage.server.user("U3", "Gwen", is_guest=True)
    gwen = PersonSpec.model_validate({"name": "Gwen", "groups": ["oncall"], "slack": ["T1/U3"]})

    here = await people_of(stage, Time(), gwen=gwen).member("T1", "U3")

    assert here.may_ask
    assert here.person.groups == {"oncall", GUESTS}


async def test_bots_and_closed_accounts_get_nothing(stage: Stage) -> None:
    """Even when people.yaml names them."""
    stage.server.remove_user("U2")
    bob = PersonSpec.model_validate({"name": "Bob", "slack": ["U2"]})
    people = people_of(stage, Time(), bob=bob)

    assert (await people.member("T1", "U2")).standing is Standing.GONE
    assert not (await people.member("T1", "U2")).may_ask
    assert (await people.member("T1", stage.server.bot_user)).standing is Standing.BOT


async def test_groups_are_asked_anew_when_a_decision_depends_on_them(stage: Stage) -> None:
    """What was known is good for five minutes, and never for a decision."""
    time = Time()
    people = people_of(stage, time)
    await people.person("T1", "U2")
    stage.server.group("SONCALL", users=["U2"])
    time.now += FRESH_S + 0.1

    assert "soncall" not in (await people.person("T1", "U2")).groups
    assert "soncall" in (await people.person("T1", "U2", fresh=True)).groups
    assert "soncall" not in (await people.person("T1", "U1")).groups
    time.now += KEEP_S + 0.1
    await people.person("T1", "U1")
    assert len(stage.server.calls["usergroups.list"]) == 3


async def test_many_clicks_ask_slack_once(stage: Stage) -> None:
    """A storm of clicks does not use up Slack's patience."""
    people = people_of(stage, Time())

    found = await asyncio.gather(*(people.person("T1", "U1", fresh=True) for _ in range(50)))

    assert len(set(found)) == 1
    assert len(stage.server.calls["users.info"]) == 1
    assert len(stage.server.calls["usergroups.list"]) == 1


async def test_nobody_is_let_in_on_old_news(stage: Stage) -> None:
    """When Slack does not say who is in a group right now, a decision has to wait."""
    time = Time()
    people = people_of(stage, time)
    await people.person("T1", "U1")
    time.now += FRESH_S + 0.1
    stage.server.fault("usergroups.list", limiting(9.0))

    with pytest.raises(PlatformBusyError):
        await people.person("T1", "U1", fresh=True)
    assert "soncall" in (await people.person("T1", "U1")).groups


async def test_a_workspace_without_user_groups_has_none(stage: Stage) -> None:
    """Free workspaces have no groups; people are still people."""
    stage.server.take_scope("usergroups:read")

    assert (await people_of(stage, Time()).person("T1", "U1")).groups == frozenset()


async def test_groups_that_are_switched_off_have_nobody_in_them(slack: SlackServer) -> None:
    """Neither does a group that does not exist."""
    clients = SlackClients(bot_token=slack.bot_token, api_url=slack.api_url)
    slack.group("SGONE", "gone", ["U1"])
    people = SlackPeople(clients, {})

    try:
        slack._team.groups["SGONE"].is_disabled = True
        assert "gone" not in (await people.person("T1", "U1")).groups
    finally:
        await clients.aclose()


async def test_mentions_become_ids(stage: Stage) -> None:
    """People by their id or by people.yaml, groups by handle or id; what is unknown is left out."""
    bob = PersonSpec.model_validate({"name": "Bob", "slack": ["U2"]})
    people = people_of(stage, Time(), bob=bob)
    asked = ("slack:T1:U1", "slack:T2:U9", "console:bob", "bob", "group:soncall", "group:SONCALL")

    found = await people.pings("T1", (*asked, "group:nobody", "carol"))

    assert found == {
        "slack:T1:U1": "U1",
        "console:bob": "U2",
        "bob": "U2",
        "group:soncall": "SONCALL",
        "group:SONCALL": "SONCALL",
    }


def test_standing_within_an_organisation() -> None:
    """Somebody of another workspace of the same organisation who is in this one is a member."""
    user = {"id": "W1", "team_id": "T2", "enterprise_user": {"teams": ["T1", "T2"]}}

    assert standing_of(user, "T1") is Standing.MEMBER
    assert standing_of(user, "T3") is Standing.EXTERNAL
    assert standing_of({**user, "is_ultra_restricted": True}, "T1") is Standing.GUEST


def test_names_are_what_people_are_called() -> None:
    """The real name, else whatever there is; cut, on one line."""
    assert name_of({"real_name": "Alice\nAdams", "name": "alice"}) == "Alice Adams"
    assert name_of({"profile": {"display_name": "al"}, "id": "U1"}) == "al"
    assert name_of({}) == "somebody"
    assert len(name_of({"name": "x" * 500})) == 80
