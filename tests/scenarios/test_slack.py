"""Stories that people live through in Slack: the real processes, and a Slack that says no."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bot.platforms.slack import words
from bot.platforms.slack.modals import block_id
from tests.scenarios.program import seen
from tests.scenarios.slack import ALICE, BOB, CHANNEL, MALLORY, SEEN_S, Scene, workspace
from tests.slack_server import Message, View

BASELINE_S = 12
SHORTCUT = "muster_investigate"
SHORT_RELEASE = 12
"""As many characters as name a release as well as all of them."""
GOAL = "why is checkout failing?"


async def test_a_mention_ends_in_a_mended_shop(tmp_path: Path) -> None:
    """Asked, delivered twice, killed, refused, edited, approved by a click: fixed for real."""
    async with workspace(tmp_path, fault="bad-release", baseline_s=BASELINE_S) as scene:
        slack = scene.slack
        await scene.breaks()

        slack.deliver_twice(2)
        asked = slack.mention(CHANNEL, BOB, GOAL)
        await slack.settled()
        slack.redeliver(slack.events("app_mention")[-1])
        card = await scene.can_click("approve", "service.rollback")
        assert card.root_ts == asked.ts

        await _restart(scene, card)
        await _strangers_click(scene, card)
        card = await _edit(scene, card)
        await _home_tab(scene)

        slack.click(card, "muster:approve", ALICE)
        answer = await scene.message("answer", "Fixed")
        await scene.is_mended()
        card = await scene.message("card", "Approved", "Alice Adams")
        assert [effect["service"] for effect in scene.effects()] == ["checkout"]
        assert len(scene.posted("card")) == len(scene.posted("answer")) == 1
        assert answer.root_ts == asked.ts
        await _thumbs(scene, answer)
        await scene.assert_kept_the_rules()


async def _restart(scene: Scene, card: Message) -> None:
    """Kill the bot while the approval waits: the card that stands there goes on."""
    await scene.kill_bot()
    assert [one.ts for one in scene.posted("card")] == [card.ts]


async def _strangers_click(scene: Scene, card: Message) -> None:
    """Let somebody click who may not decide: one sentence that only they see."""
    scene.slack.click(card, "muster:approve", MALLORY)
    await scene.whispered(MALLORY, "oncall")
    assert len(scene.slack.ephemerals(MALLORY)) == 1
    assert scene.effects() == []


async def _edit(scene: Scene, card: Message) -> Message:
    """Change the proposed call in a dialog, at first to what cannot be."""
    slack = scene.slack
    slack.click(card, "muster:edit", ALICE)
    await seen(lambda: slack.view(ALICE), SEEN_S, "the dialog opens", scene.bot)
    wrong = slack.submit(ALICE, {block_id("release"): "the one before"})
    await slack.done(wrong)
    assert list(wrong.answer.get("errors", ())) == [block_id("release")], wrong
    release = _initial(slack.view(ALICE), block_id("release"))[:SHORT_RELEASE]
    right = slack.submit(ALICE, {block_id("release"): release})
    await slack.done(right)
    assert right.answer == {}, right
    return await scene.can_click("approve", f'"{release}"')


def _initial(view: View | None, block: str) -> str:
    """Return what a field of a dialog holds at first."""
    assert view is not None
    (field,) = [one for one in view.elements if one["block_id"] == block]
    return str(field["initial_value"])


async def _home_tab(scene: Scene) -> None:
    """Look at the Home tab, which lists what waits for its owner."""
    scene.slack.open_home(ALICE)
    view = await seen(lambda: scene.slack.home(ALICE), SEEN_S, "there is a Home tab", scene.bot)
    shown = [element["action_id"] for element in view.elements]
    assert "muster:approve" in shown, shown


async def _thumbs(scene: Scene, answer: Message) -> None:
    """Say that the answer helped; it is kept with the run."""
    scene.slack.click(answer, "muster:feedback", BOB, choice="positive")
    await scene.whispered(BOB, "noted")


async def test_there_are_many_ways_to_ask(tmp_path: Path) -> None:
    """Words, a direct message, a shortcut and an emoji; one message is looked into once."""
    async with workspace(tmp_path, fault="bad-release", baseline_s=BASELINE_S) as scene:
        slack = scene.slack
        assert "Nothing" not in await scene.ordered("status", BOB, "runs going")
        await scene.ordered("workflows", BOB, "Find and fix")
        await scene.ordered("stop", BOB, words.NO_RUN_HERE)
        await scene.breaks()

        direct = slack.direct(BOB)
        slack.dm(BOB, GOAL)
        await scene.message("card", channel=direct)

        said = slack.say(CHANNEL, MALLORY, "checkout is failing for our customers")
        slack.shortcut(SHORTCUT, BOB, said)
        card = await scene.can_click("approve")
        assert card.root_ts == said.ts
        slack.react(said, ALICE, "rotating_light")
        await scene.whispered(ALICE, "already")
        assert len(scene.posted("card")) == 1

        assert "checkout" in await scene.ordered("runs", BOB)
        slack.command(CHANNEL, BOB, "stop")
        await scene.message("card", "topped")
        assert scene.effects() == []
        await scene.assert_kept_the_rules()


async def test_an_incident_is_told_and_ended_in_its_channel(tmp_path: Path) -> None:
    """The shop's alert opens a thread; a click mends the shop, and the same card says so."""
    shop = workspace(tmp_path, fault="bad-release", baseline_s=BASELINE_S, webhook=True)
    async with shop as scene:
        slack = scene.slack
        incident = await scene.message("incident", "CheckoutErrorRateHigh", "pen since")
        slack.click(incident, "muster:acknowledge", ALICE)
        await scene.message("incident", "acknowledged by", "Alice Adams")
        slack.deliver_twice(1)
        await _approve_the_fix(scene)

        await scene.message("answer", "Fixed")
        await scene.message("incident", "Resolved")
        (card,), (only,) = scene.posted("card"), scene.posted("incident")
        assert (only.ts, card.root_ts) == (incident.ts, incident.root_ts)
        assert [effect["service"] for effect in scene.effects()] == ["checkout"]
        await scene.assert_kept_the_rules()


async def _approve_the_fix(scene: Scene) -> None:
    """Wait for the rollback, which may stand below what is to be told the public; approve it."""
    card = await scene.can_click("approve", "service.rollback")
    asked = [block for block in card.blocks if "-rollback" in str(block.get("elements"))]
    scene.slack.click(replace(card, blocks=asked), "muster:approve", ALICE)
