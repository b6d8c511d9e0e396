"""One live message: the latest wins, one call is in flight, and the last frame always arrives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from agents.domain import ThreadRef
from bot.live.budgets import Budget, Pace, Urgency, gap_s, pace_of
from bot.live.progress_store import SupersededError
from bot.platforms.port import (
    MessageGoneError,
    MessageRef,
    Paced,
    Platform,
    PlatformBusyError,
    PlatformError,
    Presence,
    ShowsPresence,
)
from bot.views import IncidentView, RunView
from jobs.observe import report_error
from jobs.state import TERMINAL, Status
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

MAX_FAILURES = 3
RETRY_S = 1.0
MAX_LOOK_RETRY_S = 60.0
LOOK_S = 0.1
"""Least time between two looks at what a card shows: looking costs work of our own."""
LOOK_PER_CARD_S = 0.01
REPEAT_PRESENCE_S = 1_800.0
"""A platform may take it back after an hour when nothing was said again."""

CardView = RunView | IncidentView


@dataclass(frozen=True, slots=True)
class Frame:
    """What a card should show now. `is_settled`: nothing more is known to come."""

    thread: ThreadRef
    view: CardView
    is_settled: bool
    is_over: bool
    age_s: float = 0.0
    before: Callable[[], Awaitable[None]] | None = None
    """What must be in the thread before the card."""
    after: Callable[[], Awaitable[None]] | None = None
    """What follows once the card is there (or cannot be): idempotent."""


CLOCK_SKEW_S = 60.0


class Board:
    """What all cards of a process share: platforms, their budgets, the count of live cards."""

    def __init__(self, platforms: Mapping[str, Platform], clock: Callable[[], float]) -> None:
        self.platforms = platforms
        self.clock = clock
        self.live = 0
        self._began_at = clock()
        self._budgets: dict[str, Budget] = {}
        self._cards: dict[str, int] = {}

    def pace(self, thread: ThreadRef) -> Pace:
        """Return how often cards of the thread may change."""
        platform = self.platforms.get(thread.platform)
        return platform.pace(thread) if isinstance(platform, Paced) else pace_of(thread.platform)

    def pool(self, thread: ThreadRef) -> str:
        """Return what shares a budget with the thread."""
        platform = self.platforms.get(thread.platform)
        return platform.pool(thread) if isinstance(platform, Paced) else thread.platform

    def budget(self, thread: ThreadRef) -> Budget:
        """Return what is left for the thread's pool."""
        pool = self.pool(thread)
        if pool not in self._budgets:
            # The leader before may have spent some of it a moment ago.
            self._budgets[pool] = Budget.taken_over(self.pace(thread), self.clock())
        return self._budgets[pool]

    def note(self, thread: ThreadRef, budget: Budget) -> None:
        """Remember what is left for the thread's pool."""
        self._budgets[self.pool(thread)] = budget

    def live_beside(self, thread: ThreadRef) -> int:
        """Return how many live cards share the thread's budget."""
        return self._cards.get(self.pool(thread), 0)

    def enter(self, thread: ThreadRef) -> str:
        """Count a live card; returns the pool it has to `leave`."""
        pool = self.pool(thread)
        self._cards[pool] = self._cards.get(pool, 0) + 1
        return pool

    def leave(self, pool: str) -> None:
        """Count a live card no more."""
        self._cards[pool] -= 1

    def may_be_anothers(self, age_s: float) -> bool:
        """Whether a subject of that age may have a card that an earlier leader posted.

        Clocks of machines differ, so it is taken to be older than it says by up to a minute.
        """
        return self.clock() - age_s < self._began_at + CLOCK_SKEW_S

    @property
    def look_s(self) -> float:
        """How long a card waits between two looks."""
        return max(LOOK_S, self.live * LOOK_PER_CARD_S)


class Card:
    """Keeps one message of a subject up to date until the subject is over."""

    def __init__(
        self,
        key: str,
        board: Board,
        look: Callable[[], Awaitable[Frame | None]],
        settle: Callable[[Card], Awaitable[None]],
        *,
        is_known: bool,
    ) -> None:
        self._key = key
        self._board = board
        self._look = look
        self._settle = settle
        self._may_exist = is_known
        """The message may be there already, showing something old: the first post is edited."""
        self._dirty = asyncio.Event()
        self._message: MessageRef | None = None
        self._shown: CardView | None = None
        self._shown_at = float("-inf")
        self._generation = 1
        self._failures = 0
        self._is_stopped = False
        self._pool = ""
        self._presence: Presence | None = None
        self._presence_at = float("-inf")

    @property
    def is_dirty(self) -> bool:
        """Whether something changed since the last look."""
        return self._dirty.is_set()

    def touch(self) -> None:
        """Say that what it shows has changed."""
        self._dirty.set()

    async def run(self) -> None:
        """Show the latest until the subject is over and its last frame is shown."""
        try:
            await self._run()
        finally:
            if self._pool:
                self._board.leave(self._pool)

    async def _run(self) -> None:
        look_failures = 0
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            try:
                is_done = await self._turn()
                look_failures = 0
            except SupersededError:
                raise
            except StoreUnavailableError:
                await self._again(RETRY_S)
                continue
            except PlatformError as error:
                # What stands around the card failed; the card itself counts its own failures.
                log.warning("card_surroundings_failed", card=self._key, reason=str(error))
                await self._again(RETRY_S)
                continue
            except Exception as error:  # a bug with one card must not end the others
                look_failures += 1
                log.exception("card_crashed", card=self._key)
                report_error(error, card=self._key)
                await self._again(min(RETRY_S * 2**look_failures, MAX_LOOK_RETRY_S))
                continue
            if is_done:
                return
            await asyncio.sleep(self._board.look_s)

    async def _again(self, after_s: float) -> None:
        self._dirty.set()
        await asyncio.sleep(after_s)

    async def _turn(self) -> bool:
        """Look once and show it if it is time; whether all is done."""
        frame = await self._look()
        if frame is None:
            await self._settle(self)
            return True
        if not self._pool and isinstance(frame.view, RunView):
            self._pool = self._board.enter(frame.thread)
        wait_s = await self._show(frame)
        is_there = self._message is not None or self._is_stopped
        if frame.after is not None and is_there:
            await frame.after()
        if wait_s > 0:
            await self._wait_for_change(wait_s)
            self._dirty.set()
            return False
        if frame.is_settled and not self.is_dirty:
            await self._settle(self)
            return frame.is_over and not self.is_dirty
        return False

    async def _wait_for_change(self, at_most_s: float) -> None:
        # Not wait_for: until Python 3.12 it swallows a cancellation that comes with the change.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._dirty.wait()

    async def _show(self, frame: Frame) -> float:
        """Send the frame if it differs and may be sent; return how long it has to wait."""
        if self._is_stopped or same(frame.view, self._shown):
            return 0.0
        platform = self._board.platforms.get(frame.thread.platform)
        if platform is None:
            log.error("card_without_platform", card=self._key, platform=frame.thread.platform)
            self._is_stopped = True
            return 0.0
        urgency = urgency_of(self._shown, frame.view)
        if (wait_s := self._wait_s(frame, urgency)) > 0:
            return wait_s
        if not self._is_free(frame):
            budget = self._board.budget(frame.thread)
            self._board.note(frame.thread, budget.spend(self._board.clock()))
        try:
            await self._send(platform, frame)
        except PlatformBusyError as busy:
            if busy.is_only_here:
                return busy.retry_after_s
            now = self._board.clock()
            budget = self._board.budget(frame.thread).freeze(now, busy.retry_after_s)
            self._board.note(frame.thread, budget)
            return budget.wait_s(now, urgency)
        except MessageGoneError:
            self._message, self._may_exist = None, True
            self._generation += 1
            return self._failed("the message is gone; a new one follows")
        except StoreUnavailableError:
            raise
        except Exception as error:  # a platform may fail in ways that are its own
            return self._failed(f"{type(error).__name__}: {error}")
        self._failures = 0
        self._shown, self._shown_at = frame.view, self._board.clock()
        await self._tell_presence(platform, frame)
        return 0.0

    def _wait_s(self, frame: Frame, urgency: Urgency) -> float:
        if self._is_free(frame):
            return 0.0
        now = self._board.clock()
        budget = self._board.budget(frame.thread)
        wait_s = budget.wait_s(now, urgency)
        if urgency is Urgency.DETAIL:
            beside = self._board.live_beside(frame.thread)
            gap = gap_s(self._board.pace(frame.thread), frame.age_s, beside) * budget.factor(now)
            wait_s = max(wait_s, self._shown_at + gap - now)
        return wait_s

    def _is_free(self, frame: Frame) -> bool:
        """Whether it is a new message, on a platform whose budget of edits has none of those."""
        is_new = self._message is None and not self._may_exist
        return (
            is_new
            and self._board.pace(frame.thread).has_free_posts
            and not self._board.may_be_anothers(frame.age_s)
        )

    async def _send(self, platform: Platform, frame: Frame) -> None:
        if self._message is not None:
            await platform.edit(self._message, frame.view)
            return
        if frame.before is not None:
            await frame.before()
        suffix = f":{self._generation}" if self._generation > 1 else ""
        self._message = await platform.post(frame.thread, frame.view, f"{self._key}{suffix}")
        if self._may_exist or self._board.may_be_anothers(frame.age_s):
            await platform.edit(self._message, frame.view)

    async def _tell_presence(self, platform: Platform, frame: Frame) -> None:
        """Show what the bot is doing where the platform has its own way; a card needs it not."""
        if not isinstance(platform, ShowsPresence) or not isinstance(frame.view, RunView):
            return
        presence, now = presence_of(frame.view), self._board.clock()
        if presence is self._presence and now - self._presence_at < REPEAT_PRESENCE_S:
            return
        self._presence, self._presence_at = presence, now
        try:
            await platform.presence(frame.thread, presence, frame.view.title)
        except Exception as error:
            log.warning("presence_failed", card=self._key, reason=str(error))

    def _failed(self, reason: str) -> float:
        """Count a failure; after three in a row the card stays as it is, and posts go on."""
        self._failures += 1
        self._is_stopped = self._failures >= MAX_FAILURES
        event = "card_stopped" if self._is_stopped else "card_failed"
        log.warning(event, card=self._key, failures=self._failures, reason=reason)
        return 0.0 if self._is_stopped else RETRY_S * 2 ** (self._failures - 1)


def presence_of(view: RunView) -> Presence:
    """Return what the bot is doing for a run."""
    if view.status in TERMINAL:
        return Presence.DONE
    is_asking = any(approval.status == "pending" for approval in view.approvals) or any(
        question.is_open for question in view.questions
    )
    is_busy = any(step.status is Status.RUNNING for step in view.steps)
    return Presence.WAITING if is_asking and not is_busy else Presence.WORKING


def same(new: CardView, shown: CardView | None) -> bool:
    """Whether two views look the same; the version alone is nothing to see."""
    if isinstance(new, RunView) and isinstance(shown, RunView):
        return replace(new, version=0) == replace(shown, version=0)
    return new == shown


def urgency_of(shown: CardView | None, new: CardView) -> Urgency:
    """Return how much it matters to show the new view instead of the one shown."""
    if isinstance(new, RunView):
        return _run_urgency(shown if isinstance(shown, RunView) else None, new)
    before = shown if isinstance(shown, IncidentView) else None
    if before is None or before.status != new.status:
        return Urgency.FINAL if new.resolved_at is not None else Urgency.APPROVAL
    is_phase = before.run_ids != new.run_ids or len(before.alerts) != len(new.alerts)
    return Urgency.PHASE if is_phase else Urgency.DETAIL


def _run_urgency(shown: RunView | None, new: RunView) -> Urgency:
    if new.status in TERMINAL:
        return Urgency.FINAL
    if shown is None:
        return Urgency.APPROVAL
    if _asked(shown) != _asked(new) or shown.late != new.late:
        return Urgency.APPROVAL
    if _statuses(shown) != _statuses(new) or shown.revisions != new.revisions:
        return Urgency.PHASE
    return Urgency.DETAIL


def _asked(view: RunView) -> list[tuple[object, ...]]:
    approvals = [(a.id, a.status, a.revision, a.votes, a.escalated_at) for a in view.approvals]
    return [*approvals, *((q.id, q.answer, q.escalated_at, q.is_closed) for q in view.questions)]


def _statuses(view: RunView) -> list[tuple[str, str, int]]:
    steps = view.steps if view.planner is None else (view.planner, *view.steps)
    return [(step.id, step.status.value, len(step.handoffs)) for step in steps]
