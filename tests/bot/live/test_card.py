"""A live card shows the latest, never twice, and its last frame always arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from agents.domain import ThreadRef
from bot.live import card as module
from bot.live.budgets import Urgency
from bot.live.card import Board, Card, Frame, same, urgency_of
from bot.live.progress_store import SupersededError
from bot.platforms.memory import MemoryPlatform
from bot.platforms.port import MessageRef, PlatformBusyError, PlatformError
from bot.views import ApprovalView, IncidentView, RunView, StepView, View
from jobs.state import Status
from jobs.store import StoreUnavailableError
from tests.bot.waiting import wait_for

LED_FOR_S = 600.0
"""The leader is not new: what is young was not shown by another before it."""
STEP = StepView("metrics", "Metrics", "Metrics analyst", Status.RUNNING)
VIEW = RunView(
    run_id="run-1",
    title="Incident",
    goal="why",
    status=Status.RUNNING,
    headline="Metrics",
    requester="Alice",
    workflow="incident",
    steps=(STEP,),
    approvals=(),
    questions=(),
    started_at=0.0,
    ended_at=None,
    version=1,
)
OVER = replace(VIEW, status=Status.SUCCEEDED, headline="Fixed", ended_at=9.0)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses be short."""
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    monkeypatch.setattr(module, "LOOK_PER_CARD_S", 0.0)
    monkeypatch.setattr(module, "RETRY_S", 0.001)


class Stage:
    """One card over a platform in memory; `view` is what there is to show."""

    def __init__(self, name: str = "console") -> None:
        self.platform = MemoryPlatform(name)
        self.thread = ThreadRef(name, "incidents", "t1")
        self.platform.titles[self.thread] = "title"
        self.view: RunView | IncidentView = VIEW
        self.order: list[str] = []
        self.settled = 0
        self.look_errors: list[Exception] = []
        self.is_known = False
        self.now = 0.0

    async def look(self) -> Frame | None:
        """Return what there is to show."""
        if self.look_errors:
            raise self.look_errors.pop()
        is_over = self.view.status == Status.SUCCEEDED

        async def before() -> None:
            self.order.append("before")

        async def after() -> None:
            self.order.append(f"after {self.view.status}")

        return Frame(self.thread, self.view, is_over, is_over, before=before, after=after)

    async def settle(self, card: Card) -> None:
        """Count."""
        self.settled += 1

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[Card]:
        """Run the card; it has to end by itself."""
        self.now -= LED_FOR_S
        board = Board({self.platform.name: self.platform}, lambda: self.now)
        self.now += LED_FOR_S
        card = Card("run-1:card", board, self.look, self.settle, is_known=self.is_known)
        running = asyncio.create_task(card.run())
        card.touch()
        yield card
        async with asyncio.timeout(10):
            await running

    @property
    def shown(self) -> list[list[View]]:
        """Return every message with all it showed."""
        return list(self.platform.shown.values())


async def test_card_is_posted_once_and_edited() -> None:
    """Something first, the card, what follows; then edits of the same message to the end."""
    stage = Stage()
    async with stage.playing() as card:
        await wait_for(lambda: len(stage.shown) == 1)
        stage.view = OVER
        card.touch()

    assert stage.shown == [[VIEW, OVER]]
    assert stage.order[0] == "before"
    assert stage.order.count("before") == 1
    assert stage.order[-1] == "after succeeded"
    assert stage.settled == 1


async def test_what_looks_the_same_is_not_sent() -> None:
    """A new version alone is no reason for an edit."""
    stage = Stage()
    async with stage.playing() as card:
        await wait_for(lambda: len(stage.shown) == 1)
        stage.view = replace(VIEW, version=2)
        card.touch()
        await wait_for(lambda: not card.is_dirty)
        stage.view = OVER
        card.touch()

    assert stage.shown == [[VIEW, OVER]]


async def test_details_wait_and_the_latest_wins() -> None:
    """On a platform with a gap, details between two frames are left out; the end is not."""
    stage = Stage("slack")
    async with stage.playing() as card:
        await wait_for(lambda: len(stage.shown) == 1)
        for number in range(20):
            step = replace(STEP, note=f"note {number}")
            stage.view = replace(VIEW, steps=(step,))
            card.touch()
            await asyncio.sleep(0)
        stage.view = OVER
        card.touch()

    assert stage.shown == [[VIEW, OVER]]


async def test_card_that_may_exist_is_repaired_in_place() -> None:
    """After a restart the same key finds the old message, and it is made to show the latest."""
    stage = Stage()
    await stage.platform.post(stage.thread, replace(VIEW, headline="old"), "run-1:card")
    stage.is_known = True
    stage.view = OVER
    async with stage.playing():
        pass

    assert [messages[-1] for messages in stage.shown] == [OVER]


async def test_busy_platform_is_waited_for() -> None:
    """Nothing is sent while the budget is frozen, and then only the latest frame."""
    stage = Stage()
    stage.platform.refusals.append(PlatformBusyError(30))
    async with stage.playing() as card:
        await wait_for(lambda: not stage.platform.refusals)
        stage.view = OVER
        card.touch()
        await asyncio.sleep(0.01)
        assert stage.shown == []
        assert stage.order == ["before"]
        stage.now = 31
        card.touch()

    assert stage.shown == [[OVER]]


async def test_message_that_is_gone_is_replaced() -> None:
    """The card goes on in a new message."""
    stage = Stage()
    async with stage.playing() as card:
        await wait_for(lambda: len(stage.shown) == 1)
        (message,) = stage.platform.shown
        stage.platform.lose(message)
        stage.view = OVER
        card.touch()

    assert [messages[-1] for messages in stage.shown] == [OVER]


async def test_three_failures_stop_the_card_but_not_what_follows() -> None:
    """The card stays as it is; the answer still goes out."""
    stage = Stage()
    stage.platform.refusals.extend(PlatformError("no") for _ in range(3))
    async with stage.playing() as card:
        await wait_for(lambda: not stage.platform.refusals)
        stage.view = OVER
        card.touch()

    assert stage.shown == []
    assert stage.order[-1] == "after succeeded"
    assert stage.settled == 1


async def test_one_failure_is_forgotten_after_a_success() -> None:
    """Only failures in a row count."""
    stage = Stage()
    async with stage.playing() as card:
        for number in range(4):
            stage.platform.refusals.append(PlatformError("no"))
            stage.view = replace(VIEW, steps=(replace(STEP, status=Status.QUEUED, attempt=number),))
            stage.view = replace(stage.view, headline=f"phase {number}")
            stage.now += 1
            card.touch()
            await wait_for(
                lambda: bool(stage.shown) and same(stage.view, stage.shown[0][-1])  # type: ignore[arg-type]
            )
        stage.view = OVER
        card.touch()

    assert stage.shown[0][-1] == OVER


async def test_store_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking fails for a moment; nothing is lost, and a bug in looking is only reported."""
    reported: list[str] = []
    monkeypatch.setattr(module, "report_error", lambda error, **_: reported.append(str(error)))
    stage = Stage()
    stage.view = OVER
    stage.look_errors = [StoreUnavailableError("away"), PlatformError("odd"), ValueError("bug")]
    async with stage.playing():
        pass

    assert stage.shown == [[OVER]]
    assert reported == ["bug"]


async def test_superseded_leader_stops() -> None:
    """When another leader has taken over, the card ends loudly."""
    stage = Stage()
    stage.look_errors = [SupersededError()]

    with pytest.raises(SupersededError):
        async with stage.playing():
            pass


async def test_one_call_is_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the run changes, the platform has one call of a card at a time."""
    stage = Stage()
    flying, most = 0, 0
    edit: Callable[..., Any] = stage.platform.edit

    async def slow(message: MessageRef, view: View) -> None:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.002)
        await edit(message, view)
        flying -= 1

    monkeypatch.setattr(stage.platform, "edit", slow)
    async with stage.playing() as card:
        for number in range(30):
            stage.view = replace(
                VIEW, headline=f"h{number}", steps=(replace(STEP, id=f"{number}"),)
            )
            card.touch()
            await asyncio.sleep(0.001)
        stage.view = OVER
        card.touch()

    assert most == 1
    assert stage.shown[0][-1] == OVER


def test_urgency_tells_the_end_from_a_detail() -> None:
    """The end, a decision, a phase, a detail: in this order."""
    approval = ApprovalView(
        "a", "run-1", "t", "r", (), 1, "d", "pending", "group oncall", 1, (), requested_at=0.0
    )
    asked = replace(VIEW, approvals=(approval,))
    phase = replace(VIEW, steps=(replace(STEP, status=Status.SUCCEEDED),))
    detail = replace(VIEW, steps=(replace(STEP, note="x"),))

    assert urgency_of(VIEW, OVER) is Urgency.FINAL
    assert urgency_of(VIEW, asked) is Urgency.APPROVAL
    assert urgency_of(asked, replace(asked, approvals=(replace(approval, revision=2),))) is (
        Urgency.APPROVAL
    )
    assert urgency_of(VIEW, phase) is Urgency.PHASE
    assert urgency_of(VIEW, detail) is Urgency.DETAIL
    assert urgency_of(None, VIEW) is Urgency.APPROVAL


def test_urgency_of_an_incident() -> None:
    """Its end matters most, then its opening, a new run, and a count least."""
    view = IncidentView("inc", "t", "open", "critical", "checkout", 0.0, None, (), 0, ())

    assert urgency_of(None, view) is Urgency.APPROVAL
    assert urgency_of(view, replace(view, status="resolved", resolved_at=1.0)) is Urgency.FINAL
    assert urgency_of(view, replace(view, run_ids=("r",))) is Urgency.PHASE
    assert urgency_of(view, replace(view, folded=3)) is Urgency.DETAIL
