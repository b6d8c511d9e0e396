"""Cards on platforms that pace themselves, and that show what the bot is doing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agents.domain import ThreadRef
from bot.live import card as module
from bot.live.budgets import CONSOLE, SLACK, SLACK_DIRECT, Pace
from bot.live.card import Board, Card, Frame, presence_of
from bot.platforms.memory import MemoryPlatform
from bot.platforms.port import PlatformBusyError, PlatformError, Presence
from bot.views import QuestionView, RunView, StepView
from jobs.state import Status
from tests.bot.waiting import wait_for
from tests.contracts.platform import CARD, LATER

QUESTION = QuestionView("q-1", "run-1", "Which one?", ("a", "b"))
WAITS = replace(
    CARD,
    status=Status.WAITING,
    questions=(QUESTION,),
    steps=(StepView("ask", "Ask", "Somebody", Status.WAITING),),
    version=4,
)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses be short."""
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "RETRY_S", 0.001)


class Workspaces(MemoryPlatform):
    """A platform whose channels belong to workspaces, and which shows presence."""

    def __init__(self) -> None:
        super().__init__("slack")
        self.presences: list[Presence] = []
        self.is_broken = False

    def pace(self, thread: ThreadRef) -> Pace:
        """Return the pace of direct messages for what begins with D."""
        return SLACK_DIRECT if "/D" in thread.channel else SLACK

    def pool(self, thread: ThreadRef) -> str:
        """Return the workspace."""
        return thread.channel.partition("/")[0]

    async def presence(self, thread: ThreadRef, presence: Presence, title: str = "") -> None:
        """Note it."""
        self.presences.append(presence)
        if self.is_broken:
            raise PlatformError("no such thing here")


class Playing:
    """One card over such a platform."""

    def __init__(self, channel: str = "T1/C1") -> None:
        self.platform = Workspaces()
        self.thread = ThreadRef("slack", channel, "t1")
        self.platform.titles[self.thread] = "title"
        self.board = Board({"slack": self.platform}, lambda: 1_000.0)
        self.view: RunView = CARD
        self.card = Card("run-1:card", self.board, self.look, self.settle, is_known=False)

    async def look(self) -> Frame | None:
        """Return what there is to show."""
        is_over = self.view.ended_at is not None
        return Frame(self.thread, self.view, is_over, is_over)

    async def settle(self, card: Card) -> None:
        """Do nothing."""


def test_workspaces_do_not_share_a_budget() -> None:
    """What one has spent is not missing in another; channels of one workspace do share."""
    board = Playing().board
    here, beside, elsewhere = (
        ThreadRef("slack", channel, "1") for channel in ("T1/C1", "T1/C2", "T2/C1")
    )
    before = board.budget(here).tokens
    board.note(here, board.budget(here).spend(1_000.0))

    assert board.budget(beside).tokens == before - 1
    assert board.budget(elsewhere).tokens == before
    assert board.pace(ThreadRef("slack", "T1/D1", "1")) is SLACK_DIRECT


def test_a_platform_that_says_nothing_is_paced_by_its_name() -> None:
    """The console needs no numbers of its own."""
    board = Board({"console": MemoryPlatform("console")}, lambda: 0.0)
    thread = ThreadRef("console", "incidents", "t1")

    assert board.pace(thread) is CONSOLE
    assert board.pool(thread) == "console"


async def test_live_cards_are_counted_per_workspace() -> None:
    """A card is counted from its first frame until it ends, also when it is cancelled."""
    play = Playing()
    running = asyncio.create_task(play.card.run())
    play.card.touch()
    await wait_for(lambda: play.board.live_beside(play.thread) == 1)
    assert play.board.live_beside(ThreadRef("slack", "T2/C1", "1")) == 0

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert play.board.live_beside(play.thread) == 0


async def test_a_busy_channel_does_not_freeze_the_others() -> None:
    """When only this message has to wait, the shared budget goes on."""
    play = Playing()
    play.platform.refusals.append(PlatformBusyError(0.01, is_only_here=True))
    play.view = LATER
    play.card.touch()
    await play.card.run()

    assert [views[-1] for views in play.platform.shown.values()] == [LATER]
    assert play.board.budget(play.thread).frozen_until == 0.0


async def test_a_full_workspace_freezes_its_cards() -> None:
    """When the workspace is full, nothing is edited there for as long as it says."""
    play = Playing()
    play.platform.refusals.append(PlatformBusyError(30.0))
    running = asyncio.create_task(play.card.run())
    play.card.touch()
    await wait_for(lambda: play.board.budget(play.thread).frozen_until > 1_000.0)

    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert play.board.budget(ThreadRef("slack", "T2/C1", "1")).frozen_until == 0.0


async def test_presence_follows_the_run() -> None:
    """It is told when it changes, and only then."""
    play = Playing()
    running = asyncio.create_task(play.card.run())
    escalated = replace(WAITS, questions=(replace(QUESTION, escalated_at=9.0),), version=5)
    for view in (CARD, WAITS, escalated, LATER):
        play.view = view
        play.card.touch()
        await wait_for(lambda: view in [views[-1] for views in play.platform.shown.values()])  # noqa: B023 - awaited here
    await running

    assert play.platform.presences == [Presence.WORKING, Presence.WAITING, Presence.DONE]


async def test_a_platform_without_a_working_presence_shows_cards() -> None:
    """It is an ornament: that it fails is nobody's trouble."""
    play = Playing()
    play.platform.is_broken = True
    play.view = LATER
    play.card.touch()
    await play.card.run()

    assert [views[-1] for views in play.platform.shown.values()] == [LATER]


def test_waiting_means_that_nothing_else_goes_on() -> None:
    """While a step still runs the bot works, whatever waits beside it."""
    busy = StepView("look", "Look", "Somebody", Status.RUNNING)

    assert presence_of(WAITS) is Presence.WAITING
    assert presence_of(replace(WAITS, steps=(*WAITS.steps, busy))) is Presence.WORKING
    assert presence_of(CARD) is Presence.WORKING
    assert presence_of(LATER) is Presence.DONE


@pytest.mark.parametrize(("led_for_s", "cost"), [(module.CLOCK_SKEW_S + 1, 0), (0.0, 1)])
async def test_a_new_message_costs_no_edit_in_slack(led_for_s: float, cost: int) -> None:
    """Slack counts posts apart; only where another leader may have posted it is it edited too."""
    play = Playing()
    now = [1_000.0]
    board = Board({"slack": play.platform}, lambda: now[0])
    now[0] += led_for_s
    before = board.budget(play.thread).tokens
    card = Card("run-1:card", board, play.look, play.settle, is_known=False)
    running = asyncio.create_task(card.run())
    card.touch()
    await wait_for(lambda: bool(play.platform.shown))

    assert board.budget(play.thread).tokens == before - cost
    running.cancel()
