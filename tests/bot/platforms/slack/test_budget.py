"""How often Slack is written to: never more than it takes, and what matters first."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.domain import ThreadRef
from bot.live.budgets import SLACK, SLACK_DIRECT, Budget, Pace, Urgency
from bot.platforms.port import PlatformBusyError
from bot.platforms.slack.budget import MAX_WAIT_S, POSTS, PostPacer, card_pace
from bot.platforms.slack.places import Place
from tests.bot.platforms.slack.stage import UNPACED, Stage

HERE = Place("", "C1")
A_MINUTE = 60.0
SLACKS_EDITS = 50
SLACKS_POSTS = 60


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        await asyncio.sleep(0)


def most_within(times: list[float], window_s: float) -> int:
    """Return how many there are at most in any window."""
    most, window = 0, deque[float]()
    for at in times:
        window.append(at)
        while window[0] <= at - window_s:
            window.popleft()
        most = max(most, len(window))
    return most


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from(Urgency)), max_size=300))
def test_no_minute_has_more_edits_than_slack_takes(asks: list[tuple[float, Urgency]]) -> None:
    """Whatever cards want to show, in any minute Slack gets fewer edits than it takes."""
    now, sent, budget = 0.0, [], Budget.full(SLACK, 0)
    for pause, urgency in asks:
        now += pause
        now += budget.wait_s(now, urgency)
        budget = budget.spend(now)
        sent.append(now)

    assert most_within(sent, A_MINUTE) <= SLACKS_EDITS - 1


@given(st.lists(st.floats(0, 2), max_size=200), st.integers(1, 4))
def test_approvals_do_not_wait_for_details(pauses: list[float], approvals: int) -> None:
    """However much is told in detail, four approvals at once are shown at once."""
    now, budget = 0.0, Budget.full(SLACK, 0)
    for pause in pauses:
        now += pause
        if budget.wait_s(now, Urgency.DETAIL) == 0:
            budget = budget.spend(now)
    for _ in range(approvals):
        assert budget.wait_s(now, Urgency.APPROVAL) == 0
        budget = budget.spend(now)
    assert budget.wait_s(now, Urgency.FINAL) == 0


@given(st.floats(0, 10), st.sampled_from([SLACK, SLACK_DIRECT]))
def test_what_matters_more_never_waits_longer(tokens: float, pace: Pace) -> None:
    """Final before approval before phase before detail."""
    budget = Budget(pace, tokens, 0.0)
    waits = [budget.wait_s(0.0, urgency) for urgency in sorted(Urgency, reverse=True)]

    assert waits == sorted(waits)
    assert all(wait < A_MINUTE for wait in waits)


def test_a_new_leader_does_not_spend_what_the_old_one_has() -> None:
    """Right after a change of leader only what is kept back is there."""
    budget = Budget.taken_over(SLACK, 0)

    assert budget.wait_s(0, Urgency.DETAIL) > 0
    assert budget.wait_s(0, Urgency.FINAL) == 0


def test_direct_messages_are_fresher() -> None:
    """One person reads along, so the card may move more often."""
    assert card_pace(Place.of("T1/D0ABC")) is SLACK_DIRECT
    assert card_pace(Place.of("C1")) is SLACK
    assert card_pace(Place.of("D")) is SLACK


async def test_posts_come_one_after_another() -> None:
    """Two at once, the others at their pace, and no minute has more than Slack takes."""
    time, sent = Time(), []
    pacer = PostPacer(time, time.sleep)
    for _ in range(100):
        await pacer.turn(HERE)
        sent.append(time.now)

    assert sent[:2] == [0.0, 0.0]
    assert sent[2] == pytest.approx(1 / POSTS.rate_per_s)
    assert most_within(sent, A_MINUTE) <= SLACKS_POSTS
    assert most_within(sent, 1.0) <= 2


async def test_who_would_wait_long_is_sent_away() -> None:
    """A crowd does not pile up: the outbox keeps those that have to wait."""
    time = Time()
    pacer = PostPacer(time, time.sleep)

    turns = await asyncio.gather(*(pacer.turn(HERE) for _ in range(20)), return_exceptions=True)

    sent_away = [one for one in turns if isinstance(one, PlatformBusyError)]
    assert 14 <= len(sent_away) <= 18
    assert all(busy.is_only_here for busy in sent_away)
    assert all(busy.retry_after_s > MAX_WAIT_S for busy in sent_away)


async def test_channels_do_not_wait_for_each_other() -> None:
    """Each has its own pace."""
    time = Time()
    pacer = PostPacer(time, time.sleep)
    for number in range(50):
        await pacer.turn(Place("", f"C{number}"))

    assert time.now == 0.0


async def test_a_refused_channel_rests() -> None:
    """After Slack asked to wait nothing is posted there for as long."""
    time = Time()
    pacer = PostPacer(time, time.sleep)
    pacer.freeze(HERE, 30.0)

    with pytest.raises(PlatformBusyError):
        await pacer.turn(HERE)
    await pacer.turn(Place("", "C2"))
    time.now = 31.0
    await pacer.turn(HERE)


async def test_no_pace_is_no_wait() -> None:
    """Tests may do without."""
    time = Time()
    pacer = PostPacer(time, time.sleep, UNPACED)
    for _ in range(100):
        await pacer.turn(HERE)

    assert time.now == 0.0


async def test_budgets_are_shared_by_workspace(stage: Stage) -> None:
    """Cards of one workspace share a budget, whatever their channels."""
    pool = stage.platform.pool

    assert pool(ThreadRef("slack", "T1/C1", "1")) == pool(ThreadRef("slack", "T1/C2", "2"))
    assert pool(ThreadRef("slack", "T1/C1", "1")) != pool(ThreadRef("slack", "T2/C1", "1"))
