"""Clicks, dialogs, commands and the Home tab: each does one thing, and whoever clicked hears it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.platforms.slack import words
from jobs.incidents import IncidentStatus
from jobs.state import ApprovalStatus, Run
from tests.bot.platforms.slack.house import House, at_home
from tests.bot.samples import am_alert, am_body
from tests.slack_server import Message, SlackServer

APPROVE = "muster:approve"
DENY = "muster:deny"
EDIT = "muster:edit"


@pytest.fixture
async def house(slack: SlackServer) -> AsyncIterator[House]:
    """Return a bot that hears the workspace; U1 is on call."""
    async with at_home(slack) as made:
        yield made


async def begun(house: House) -> Run:
    """Start a run by a mention of U2, who is not on call."""
    house.server.mention("C1", "U2", "why is checkout failing?")
    await house.settled()
    return await house.only_run()


async def asked(house: House) -> tuple[Run, Message]:
    """Start a run that asks for an approval; return it and its card."""
    run = await begun(house)
    await house.ask_approval(run)
    return run, await house.show(run.id)


async def test_an_approver_approves(house: House) -> None:
    """What runs is what was shown; the card says the rest."""
    _run, card = await asked(house)
    assert house.server.asks_confirmation(card, APPROVE)

    house.server.click(card, APPROVE, "U1")
    await house.settled()

    (approval,) = (await house.only_run()).approvals.values()
    assert (approval.status, approval.decided_by) == (ApprovalStatus.APPROVED, "Alice Adams")
    assert house.said("U1") == []
    assert house.server.refused == []


async def test_each_other_click_gets_one_sentence(house: House) -> None:
    """A stranger, a second click, a late one: nothing changes, and they are told why."""
    _run, card = await asked(house)
    house.server.click(card, APPROVE, "U2")
    await house.settled()
    house.server.click(card, APPROVE, "U1")
    house.server.click(card, APPROVE, "U1")
    await house.settled()
    house.server.user("U3", "Carol", groups=["SONCALL"])
    house.server.invite("C1", "U3")
    house.server.click(card, DENY, "U3")
    await house.settled()

    (approval,) = (await house.only_run()).approvals.values()
    assert approval.status is ApprovalStatus.APPROVED
    assert len(approval.votes) == 1
    assert [len(house.said(user)) for user in ("U1", "U2", "U3")] == [1, 1, 1]
    assert "soncall" in house.said("U2")[0]


async def test_who_left_the_group_may_not_decide(house: House) -> None:
    """Groups are looked up again when something is decided."""
    _run, card = await asked(house)
    await house.reach.people.member("T1", "U1")
    house.server.group("SONCALL", "soncall", [])
    house.reach.people._users._answers.clear()
    house.reach.people._groups._answers.clear()

    house.server.click(card, APPROVE, "U1")
    await house.settled()

    (approval,) = (await house.only_run()).approvals.values()
    assert approval.status is ApprovalStatus.PENDING


async def test_arguments_are_edited_in_a_dialog(house: House) -> None:
    """The dialog is made of the tool's arguments; what is saved has to be approved anew."""
    _run, card = await asked(house)
    house.server.click(card, EDIT, "U1")
    await house.settled()
    view = house.server.view("U1")
    assert view is not None
    release = next(e["block_id"] for e in view.elements if e.get("initial_value") == "a0")

    house.server.submit("U1", {release: "a9"})
    await house.settled()

    (approval,) = (await house.only_run()).approvals.values()
    assert (approval.revision, approval.calls[0].args["release"]) == (2, "a9")
    assert house.server.view("U1") is None
    house.server.click(card, APPROVE, "U1")
    await house.settled()
    (approval,) = (await house.only_run()).approvals.values()
    assert approval.status is ApprovalStatus.PENDING
    assert len(house.said("U1")) == 1


async def test_a_dialog_that_changes_nothing_says_so(house: House) -> None:
    """Saving without a change is no revision."""
    _run, card = await asked(house)
    house.server.click(card, EDIT, "U1")
    await house.settled()
    house.server.submit("U1", {})
    await house.settled()

    (approval,) = (await house.only_run()).approvals.values()
    assert approval.revision == 1
    assert "Nothing was changed" in house.said("U1")[0]


async def test_a_stranger_gets_no_dialog(house: House) -> None:
    """They are told instead who may change it."""
    _run, card = await asked(house)
    house.server.click(card, EDIT, "U2")
    await house.settled()

    assert house.server.view("U2") is None
    assert len(house.said("U2")) == 1


async def test_questions_are_answered_by_button_and_dialog(house: House) -> None:
    """An option is a click; free text is a dialog, whose emptiness is said in it."""
    run = await begun(house)
    await house.ask(run)
    card = await house.show(run.id)
    house.server.click(card, "muster:reply", "U1")
    await house.settled()
    house.server.submit("U1", {"answer": "Europe"})
    await house.settled()

    (question,) = (await house.only_run()).questions.values()
    assert (question.answer, question.answered_by) == ("Europe", "Alice Adams")
    house.server.click(card, "muster:reply", "U2")
    await house.settled()
    assert house.said("U2") == ["Alice Adams has answered it."]


async def test_an_option_is_one_click(house: House) -> None:
    """The option's own words are the answer."""
    run = await begun(house)
    await house.ask(run, "Europe", "Asia")
    card = await house.show(run.id)

    house.server.click(card, "muster:answer:1", "U1")
    await house.settled()

    (question,) = (await house.only_run()).questions.values()
    assert question.answer == "Asia"


async def test_a_button_that_nobody_knows_is_answered(house: House) -> None:
    """An older or newer Muster may have put it there."""
    from slack_sdk.web.async_client import AsyncWebClient

    client = AsyncWebClient(house.server.bot_token, house.server.api_url)
    element = {
        "type": "button",
        "action_id": "gone",
        "value": "{}",
        "text": {"type": "plain_text", "text": "Old"},
    }
    posted = await client.chat_postMessage(
        channel="C1", text="old", blocks=[{"type": "actions", "elements": [element]}]
    )

    house.server.click(house.server.message(posted["ts"]), "gone", "U1")
    await house.settled()

    assert house.said("U1") == [words.NOT_KNOWN]


async def test_incidents_are_acknowledged_taken_over_and_muted(house: House) -> None:
    """Each button does what it says; what ran for it is stopped when somebody takes it over."""
    await house.intake.deliver("alertmanager", am_body(am_alert()))
    (incident,) = await house.incidents.list()
    thread = await house.stage.platform.open_thread("C1", "Checkout fails", "x")
    view = house.desk.present.incident_view(incident)
    ref = await house.stage.platform.post(thread, view, "card")
    card = house.server.message(ref.id)

    for action in ("acknowledge", "mute", "take"):
        house.server.click(card, f"muster:{action}", "U1")
        await house.settled()

    (incident,) = await house.incidents.list()
    assert incident.status is IncidentStatus.ACKNOWLEDGED
    assert incident.taken_by == "Alice Adams"
    assert incident.muted_until > 0
    assert (await house.runs.get(incident.run_ids[0])).stopped_by == "Alice Adams"


async def test_thumbs_are_kept(house: House) -> None:
    """What somebody says last counts."""
    run = await begun(house)
    await house.desk.stop(run.id, (await house.reach.people.person("T1", "U1")))
    run = await house.only_run()
    answer = await house.desk.answer(run)
    assert answer is not None
    ref = await house.stage.platform.post(run.goal.thread, answer, "answer")
    message = house.server.message(ref.id)

    house.server.click(message, "muster:feedback", "U1", choice="negative")
    await house.settled()

    assert (await house.only_run()).ratings == {"slack:T1:U1": False}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "/muster <goal>"),
        ("help", "/muster <goal>"),
        ("status", "2 alive"),
        ("runs", "checkout"),
        ("incidents", "No incident is open."),
        ("workflows", "Incident response"),
    ],
)
async def test_the_command_tells(house: House, text: str, told: str) -> None:
    """The answer is seen by who asked alone."""
    await begun(house)

    house.server.command("C1", "U1", text)
    await house.settled()

    (said,) = house.said("U1")
    assert told in said


async def test_the_command_starts_and_stops(house: House) -> None:
    """A goal opens a thread in the channel; `stop` ends what runs there."""
    house.server.command("C1", "U1", "why is checkout failing?")
    await house.settled()
    run = await house.only_run()
    assert run.goal.thread.channel == "C1"
    assert house.server.message(run.goal.thread.id).user == house.server.bot_user

    house.server.command("C1", "U1", "stop")
    await house.settled()

    assert (await house.only_run()).stopped_by == "Alice Adams"
    house.server.command("C1", "U1", "stop")
    await house.settled()
    assert house.said("U1")[-1] == words.NO_RUN_HERE


async def test_the_command_says_why_it_cannot_start(house: House) -> None:
    """A channel without Muster: whoever can invite it is told to."""
    house.server.channel("C2", "elsewhere", members=["U1"], has_bot=False)

    house.server.command("C2", "U1", "why is checkout failing?")
    await house.settled()

    assert await house.run_ids() == []
    assert "/invite @Muster" in house.said("U1")[0]


async def test_the_shortcut_for_everywhere_opens_a_dialog(house: House) -> None:
    """The goal is reported where the person says."""
    house.server.shortcut("muster_compose", "U1")
    await house.settled()
    house.server.submit("U1", {"goal": "why is checkout failing?", "channel": "C1"})
    await house.settled()

    run = await house.only_run()
    assert (run.goal.thread.channel, run.goal.requester_id) == ("C1", "slack:T1:U1")


async def test_slacks_own_stop_button(house: House) -> None:
    """It stops what runs in the thread."""
    from bot.platforms.port import Presence

    run = await begun(house)
    await house.stage.platform.presence(run.goal.thread, Presence.WORKING)
    message = house.server.message(run.goal.thread.id)
    await house.server.until(lambda: house.server.session(message) is not None)

    house.server.press_stop(message, "U1")
    await house.settled()

    assert (await house.only_run()).stopped_by == "Alice Adams"


async def test_the_home_tab_shows_what_waits_and_takes_clicks(house: House) -> None:
    """It has its own approvals, and is drawn again after a click."""
    _run, _ = await asked(house)
    house.server.open_home("U1")
    house.server.open_home("U2")
    await house.settled()
    mine, others = house.server.home("U1"), house.server.home("U2")
    assert mine is not None
    assert others is not None
    assert [e["action_id"] for e in mine.elements] == [APPROVE, EDIT, DENY]
    assert others.elements == []

    house.server.click_view(mine, APPROVE, "U1")
    await house.settled()

    (approval,) = (await house.only_run()).approvals.values()
    assert approval.status is ApprovalStatus.APPROVED
    after = house.server.home("U1")
    assert after is not None
    assert after.elements == []


async def test_a_removed_app_is_forgotten(house: House) -> None:
    """What is kept of the workspace goes."""
    house.server.uninstall()
    await house.settled()

    assert set(house.gone) == {"T1"}
