"""One run told in Slack from its thread to its answer, while one thing goes wrong at one step.

It is told as the bot does it: the thread is asked for until it is open, a card follows the run,
and the outbox delivers a note and the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agents.domain import Answer, ThreadRef
from bot.live.card import Board, Card, Frame
from bot.live.outbox import MemoryOutboxStore, Outbox
from bot.platforms.port import PlatformBusyError, PlatformError
from bot.platforms.slack.book import MemoryBook, Posted
from bot.platforms.slack.health import MemoryTroubleStore, Troubles
from bot.views import AnswerView, ApprovalView, NoteView, RunView
from tests.bot.platforms.slack.stage import Stage, on_stage
from tests.contracts.platform import CARD, LATER
from tests.slack_server import Message, SlackServer

LED_FOR_S: Final = 600.0
PATIENCE_S: Final = 15.0
LOOK_S: Final = 0.01
ASKS: Final = ApprovalView(
    id="ap-1",
    run_id="run-1",
    title="Roll back",
    reason="it broke",
    calls=(),
    revision=1,
    digest="d",
    status="pending",
    approvers="oncall",
    quorum=1,
    votes=(),
    requested_at=1_700_000_010.0,
)
WAITS: Final = replace(CARD, version=5, headline="Waits for an approval", approvals=(ASKS,))
END: Final = replace(LATER, version=9, headline="All is well again")
ANSWER: Final = AnswerView("run-1", "Checkout", Answer("A release broke it"), ())
NOTE: Final = NoteView("Something to know")
STEPS: Final = ("thread", "card", "approval", "note", "end", "answer")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong. `strike` lets it, right before a step; `mend` ends it afterwards.

    `is_mended`: nothing gets through before a person ends it. `kills`: the process dies at the
    step, and another one takes over.
    """

    name: str
    strike: Callable[[Tale], None]
    mend: Callable[[Tale], None] | None = None
    kills: bool = False
    repeats: bool = False
    """Everything of the step is asked for twice at once."""


class _OutOfReach(MemoryBook):
    """What a dead process says to the book: nothing."""

    async def let_go(self, key: str, holder: str, *, is_unsent: bool) -> None:
        """Do nothing."""

    async def keep(self, key: str, posted: Posted) -> None:
        """Do nothing."""


@dataclass
class Tale:
    """One case. `channel` is its own, so that many fit into one workspace."""

    server: SlackServer
    channel: str
    trouble: Trouble
    step: str
    view: RunView = CARD
    violations: list[str] = field(default_factory=list)
    book: MemoryBook = field(default_factory=lambda: MemoryBook(time.time))
    troubles: Troubles = field(default_factory=lambda: Troubles(MemoryTroubleStore()))
    posts: MemoryOutboxStore = field(default_factory=MemoryOutboxStore)
    thread: ThreadRef | None = None
    seen: list[Any] = field(default_factory=list)
    """What was recorded as not working."""
    _card_task: asyncio.Task[None] | None = None
    was_hindered: bool = True

    async def tell(self) -> list[str]:
        """Tell it to the end; return what is wrong in Slack then."""
        async with AsyncExitStack() as stack:
            self._stack = stack
            await self._begin(is_known=False)
            for name in STEPS:
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await self._take(name)
                except TimeoutError:
                    self.violations.append(f"{name} was never done")
                    break
            self._end()
        return [
            f"{self.trouble.name} at {self.step}: {one}"
            for one in [*self.violations, *self._wrong()]
        ]

    async def _take(self, name: str) -> None:
        is_it = name == self.step
        if is_it:
            self.trouble.strike(self)
        doing = [
            asyncio.create_task(self._do(name)) for _ in range(1 + (is_it and self.trouble.repeats))
        ]
        try:
            if is_it and self.trouble.kills:
                await self.server.until(lambda: self.server.faults_left == 0)
                await self._replace(doing)
                doing = [asyncio.create_task(self._do(name))]
            if is_it and self.trouble.mend is not None:
                await self._until_told(doing)
                self.trouble.mend(self)
            await asyncio.gather(*doing)
        finally:
            for task in doing:
                task.cancel()

    async def _do(self, name: str) -> None:
        if name == "thread":
            await self._insist(self._open)
            self._card_task = asyncio.create_task(self._card.run())
        elif name in {"note", "answer"}:
            assert self.thread is not None
            view = NOTE if name == "note" else ANSWER
            await self._outbox.enqueue(self.thread, view, f"{self.channel}:{name}")
            await self._until(lambda: self._has_key(f"{self.channel}:{name}"))
        else:
            self.view = {"card": CARD, "approval": WAITS, "end": END}[name]
            self._card.touch()
            await self._until(lambda: self._card._is_stopped or self._shows(self.view.headline))

    async def _open(self) -> None:
        self.thread = await self.stage.platform.open_thread(
            self.channel, "Checkout", "run-1:thread"
        )

    async def _insist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do what the intake does: try until it works."""
        while True:
            try:
                return await work()
            except PlatformBusyError as busy:
                await asyncio.sleep(busy.retry_after_s)
            except PlatformError:
                await asyncio.sleep(LOOK_S)

    async def _begin(self, *, is_known: bool) -> None:
        self.stage: Stage = await self._stack.enter_async_context(
            on_stage(self.server, book=self.book, troubles=self.troubles, timeout_s=0.5)
        )
        platforms = {"slack": self.stage.platform}
        board = Board(platforms, time.time)
        board._began_at -= LED_FOR_S * (not is_known)
        self._outbox = Outbox(self.posts, platforms)
        self._outbox_task = asyncio.create_task(self._outbox.run())
        self._card = Card(
            f"{self.channel}:card", board, self._look, self._settle, is_known=is_known
        )
        self._card_task = None

    async def _replace(self, doing: list[asyncio.Task[None]]) -> None:
        """End this process as it is, and let another one take over."""
        self.stage.platform._posting.book = _OutOfReach(time.time)  # it says nothing any more
        for task in doing:
            task.cancel()
        self._end()
        await asyncio.sleep(0)
        await self._begin(is_known=True)
        if self.thread is not None:
            self._card_task = asyncio.create_task(self._card.run())
            self._card.touch()

    def _end(self) -> None:
        for task in (self._outbox_task, self._card_task):
            if task is not None:
                task.cancel()

    async def _look(self) -> Frame | None:
        assert self.thread is not None
        is_over = self.view is END
        return Frame(self.thread, self.view, is_over, is_over)

    async def _settle(self, card: Card) -> None:
        return None

    async def _until_told(self, doing: list[asyncio.Task[None]]) -> None:
        """Wait for a refusal to be told. Some edits are not refused: then there is nothing to."""
        while not all(task.done() for task in doing):
            self.seen = await self.troubles.all()
            if self.seen:
                return
            await asyncio.sleep(LOOK_S)
        self.was_hindered = False

    async def _until(self, is_true: Callable[[], bool]) -> None:
        while not is_true():  # noqa: ASYNC110 - another thread's messages are looked at
            await asyncio.sleep(LOOK_S)

    # What stands in Slack

    @property
    def messages(self) -> list[Message]:
        """What the bot wrote in the channel and was not deleted."""
        return [
            one for one in self.server.messages(self.channel) if one.user == self.server.bot_user
        ]

    def _keys(self) -> list[str]:
        return [str(one.metadata["event_payload"]["key"]) for one in self.messages]

    def _has_key(self, key: str) -> bool:
        return key in self._keys()

    def _shows(self, headline: str) -> bool:
        return any(headline in one.text for one in self.messages)

    def _wrong(self) -> list[str]:
        keys = self._keys()
        wrong = [
            f"{key} stands there {keys.count(key)} times" for key in {*keys} if keys.count(key) > 1
        ]
        wrong += [
            f"{name} is missing"
            for name in ("note", "answer")
            if f"{self.channel}:{name}" not in keys
        ]
        ends = sum(END.headline in one.text for one in self.messages)
        if ends != 1 and not (ends == 0 and self._card._is_stopped):
            wrong.append(f"the end is shown {ends} times")
        if self.trouble.mend is not None and self.was_hindered and not self.seen:
            wrong.append("nobody was told what to mend")
        return wrong
