"""Tells every open page what changed: one reader per feed and process, any number of streams.

A stream is told which things changed, never how: it renders them as they are then. So a change
that is told twice or together with others does no harm, and nothing has to be queued.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from bot.platforms.console.store import ConsoleStore
from bot.web.errors import WebError
from bot.web.limits import MAX_DIRTY, MAX_STREAMS, MAX_STREAMS_PER_PERSON
from jobs.store import Store, StoreUnavailableError

log = structlog.get_logger(__name__)

RECONNECT_S = 0.5

Thing = tuple[str, str]
"""What changed: ("run", id), ("thread", id) or ("channel", name)."""
EVERYTHING: Thing = ("everything", "")


class Stream:
    """What one open page has not shown yet."""

    def __init__(self, cursor: str, session: str = "") -> None:
        self.session = session
        """The session that opened it; empty when a bearer token did."""
        self.cursor = cursor
        """Where the console's feed stood at the last change told to this stream."""
        self._dirty: set[Thing] = set()
        self._news = asyncio.Event()
        self._end = asyncio.Event()

    def tell(self, things: set[Thing], cursor: str = "") -> None:
        """Remember that these changed."""
        self._dirty |= things
        if len(self._dirty) > MAX_DIRTY:
            self._dirty = {EVERYTHING}
        self.cursor = cursor or self.cursor
        self._news.set()

    def close(self) -> None:
        """End the stream: the process is going away, or its session has ended."""
        self._end.set()
        self._news.set()

    @property
    def is_closed(self) -> bool:
        """Whether nothing will be told any more."""
        return self._end.is_set()

    async def pause(self, seconds: float) -> None:
        """Let changes gather for a while; ends at once when the stream is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._end.wait()
        except TimeoutError:
            return

    async def next(self, timeout_s: float) -> set[Thing]:
        """Return what changed since the last call, waiting for something to change."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return set()
        self._news.clear()
        dirty, self._dirty = self._dirty, set()
        return dirty


class Live:
    """Reads the console's feed and the runs' feed, and tells the open streams."""

    def __init__(
        self, console: ConsoleStore, store: Store, on_count: Callable[[int], None]
    ) -> None:
        self._console = console
        self._store = store
        self._on_count = on_count
        self._streams: dict[Stream, str] = {}
        self._cursor = ""
        self._is_closed = False
        self.runs_seen = 0
        """Counts the batches of changed runs; what was read before it moved may be old."""

    async def run(self) -> None:
        """Read both feeds until cancelled; an unreachable store is waited for."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_console())
            tasks.create_task(self._read_runs())

    async def cursor(self) -> str:
        """Return where the console's feed stands."""
        return self._cursor or await self._console.cursor()

    def require_room(self, person_id: str) -> None:
        """Raise WebError 503 when there are too many streams."""
        held = Counter(self._streams.values())[person_id]
        is_full = len(self._streams) >= MAX_STREAMS or held >= MAX_STREAMS_PER_PERSON
        if is_full or self._is_closed:
            raise WebError(
                503,
                "Too many pages are open for live updates.",
                "Close some, or reload this one to see its state.",
                {"Retry-After": "30"},
            )

    @contextmanager
    def stream(self, person_id: str, cursor: str, session: str = "") -> Iterator[Stream]:
        """Open a stream; WebError 503 when there are too many."""
        self.require_room(person_id)
        stream = Stream(cursor, session)
        self._streams[stream] = person_id
        self._on_count(len(self._streams))
        try:
            yield stream
        finally:
            del self._streams[stream]
            self._on_count(len(self._streams))

    def end_session(self, session: str) -> None:
        """End the streams of a session that was signed out."""
        for stream in self._streams:
            if stream.session == session:
                stream.close()

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        self._is_closed = True
        for stream in self._streams:
            stream.close()

    def _tell(self, things: set[Thing], cursor: str = "") -> None:
        for stream in self._streams:
            stream.tell(things, cursor)

    async def _read_console(self) -> None:
        cursor = ""
        while True:
            try:
                cursor = cursor or await self._console.cursor()
                self._cursor = cursor
                async for batch in self._console.changes(cursor):
                    if batch:
                        self._cursor = cursor = batch[-1].cursor
                        things = {("thread", change.thread_id) for change in batch}
                        things |= {("channel", change.channel) for change in batch}
                        self._tell(things, cursor)
            except StoreUnavailableError as error:
                log.warning("console_feed_unavailable", error=str(error))
                await asyncio.sleep(RECONNECT_S)

    async def _read_runs(self) -> None:
        cursor = "$"
        while True:
            try:
                async for batch in self._store.changes(cursor):
                    if batch:
                        cursor = batch[-1].cursor
                        self.runs_seen += 1
                        self._tell({("run", change.run_id) for change in batch})
            except StoreUnavailableError as error:
                log.warning("run_feed_unavailable", error=str(error))
                await asyncio.sleep(RECONNECT_S)
                if cursor == "$":
                    self._tell({EVERYTHING})
