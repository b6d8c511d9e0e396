"""Does what stands in the inbox: many things at a time, those of one thread in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from bot.platforms.port import PlatformBusyError, PlatformError
from bot.platforms.slack import words
from bot.platforms.slack.errors import SlackAwayError, SlackRefusedError, SlackUnsureError
from bot.platforms.slack.heard import Heard, Kind
from bot.platforms.slack.inbox import LEASE_S, Inbox, Item, again
from jobs.observe import report_error
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

MAX_AT_ONCE: Final = 64
LOOK_S: Final = 0.5
"""How often a process looks for what another one left behind."""
STORE_PAUSE_S: Final = 1.0
MAX_TRIES: Final = 6
FIRST_RETRY_S: Final = 0.5
MAX_RETRY_S: Final = 30.0
KEEP_TRYING_S: Final = 3_600.0
"""How long what people wrote is tried while Slack cannot be reached: it sends nothing again."""
CLOSE_S: Final = 5.0
IN_ORDER: Final = frozenset(
    {Kind.MENTION, Kind.DIRECT, Kind.REPLY, Kind.EDIT, Kind.POINT, Kind.STOP}
)
"""What is done one after the other in a thread. A click does not wait: its dialog would."""
FLEETING: Final = frozenset({Kind.CLICK, Kind.COMPOSE, Kind.HOME})
"""What people do again when nothing happens, and would not want done much later."""

Act = Callable[[Heard], Awaitable[None]]
Sorry = Callable[[Heard, str], Awaitable[None]]


class Worker:
    """Takes items until it is closed. `sorry` tells whoever did something that it failed."""

    def __init__(
        self,
        inbox: Inbox,
        act: Act,
        sorry: Sorry,
        clock: Callable[[], float] = time.time,
        *,
        look_s: float = LOOK_S,
        lease_s: float = LEASE_S,
    ) -> None:
        self._inbox = inbox
        self._act = act
        self._sorry = sorry
        self._clock = clock
        self._look_s = look_s
        self._lease_s = lease_s
        self._news = asyncio.Event()
        self._last: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, asyncio.Task[None]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether this process is doing something, or was told of something to do."""
        return bool(self._held) or self._news.is_set()

    def wake(self) -> None:
        """Look into the inbox now."""
        self._news.set()

    async def run(self) -> None:
        """Take and do until cancelled; then what was begun is let end for a moment."""
        holding = asyncio.create_task(self._hold(), name="slack-inbox-hold")
        try:
            while True:
                try:
                    await self._round()
                except Exception as error:  # nothing of Slack may end the whole process
                    log.exception("slack_inbox_crashed")
                    report_error(error)
                    await asyncio.sleep(STORE_PAUSE_S)
        finally:
            holding.cancel()
            if self._held:
                await asyncio.wait(self._held.values(), timeout=CLOSE_S)
            for task in self._held.values():
                task.cancel()

    async def _round(self) -> None:
        self._news.clear()
        free = MAX_AT_ONCE - len(self._held)
        try:
            taken = await self._inbox.take(self._clock(), free, self._lease_s) if free else []
        except StoreUnavailableError as error:
            log.warning("slack_inbox_waits_for_store", reason=str(error))
            await asyncio.sleep(STORE_PAUSE_S)
            return
        for item in taken:
            self._begin(item)
        if not taken:
            await _wait(self._news, self._look_s)

    def _begin(self, item: Item) -> None:
        subject = item.heard.subject if item.heard.kind in IN_ORDER else item.key
        before = self._last.get(subject)
        task = asyncio.create_task(self._do(item, before), name="slack-act")
        self._last[subject], self._held[item.key] = task, task

        def ended(done: asyncio.Task[None]) -> None:
            if self._last.get(subject) is done:
                del self._last[subject]
            if self._held.get(item.key) is done:
                del self._held[item.key]
            self._news.set()

        task.add_done_callback(ended)

    async def _do(self, item: Item, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            await self._try(item)
        except StoreUnavailableError as error:
            # The lease runs out, and somebody does it then.
            log.warning("slack_item_waits_for_store", key=item.key, reason=str(error))

    async def _try(self, item: Item) -> None:
        try:
            await self._act(item.heard)
        except PlatformBusyError as busy:
            await self._inbox.later(again(item), self._clock() + busy.retry_after_s)
            return
        except SlackRefusedError as refused:
            log.warning("slack_refused", key=item.key, code=refused.code, method=refused.method)
            await self._sorry(item.heard, str(refused))
        except StoreUnavailableError:
            raise
        except PlatformError as error:
            is_away = isinstance(error, SlackAwayError | SlackUnsureError)
            waits = is_away and item.heard.kind not in FLEETING
            if await self._put_back(item, error, KEEP_TRYING_S if waits else 0.0):
                return
            await self._sorry(item.heard, str(error))
        except Exception as error:  # a bug with one item must not hold up the others
            log.exception("slack_item_crashed", key=item.key, kind=item.heard.kind.value)
            report_error(error, slack_kind=item.heard.kind.value)
            if await self._put_back(item, error):
                return
            await self._sorry(item.heard, words.BROKEN)
        await self._inbox.done(item.key)

    async def _put_back(self, item: Item, error: Exception, at_least_s: float = 0.0) -> bool:
        """Put it back to be tried again; False when that was done often and long enough."""
        is_old = self._clock() - item.put_at >= at_least_s
        if item.tries + 1 >= MAX_TRIES and is_old:
            log.error("slack_item_given_up", key=item.key, reason=str(error)[:300])
            return False
        wait_s = min(FIRST_RETRY_S * 2 ** min(item.tries, MAX_TRIES), MAX_RETRY_S)
        await self._inbox.later(again(item), self._clock() + wait_s)
        return True

    async def _hold(self) -> None:
        """Keep what is being done from being taken by others."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            try:
                await self._inbox.hold(list(self._held), self._clock() + self._lease_s)
            except StoreUnavailableError as error:
                log.warning("slack_inbox_not_held", reason=str(error))


async def _wait(news: asyncio.Event, at_most_s: float) -> None:
    try:
        await asyncio.wait_for(news.wait(), at_most_s)
    except TimeoutError:
        return
