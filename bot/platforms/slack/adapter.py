"""The `Platform` port over Slack's Web API."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

import structlog

from agents.domain import ThreadRef
from bot.live.budgets import Pace
from bot.platforms.port import (
    MessageGoneError,
    MessageRef,
    PlatformBusyError,
    PlatformError,
    Presence,
    Upload,
)
from bot.platforms.slack.book import Book, Posted
from bot.platforms.slack.budget import PostPacer, card_pace
from bot.platforms.slack.channels import Channels
from bot.platforms.slack.charts import Charts, ReadData
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.document import document, is_long
from bot.platforms.slack.errors import NO_THREAD, SlackRefusedError, SlackUnsureError
from bot.platforms.slack.escape import clip, mrkdwn
from bot.platforms.slack.health import Troubles
from bot.platforms.slack.people import SlackPeople
from bot.platforms.slack.places import NAME, Place, is_stamp
from bot.platforms.slack.posting import Posting, find_message, metadata
from bot.platforms.slack.presence import PresenceTeller
from bot.platforms.slack.showing import Showing
from bot.platforms.slack.style import Rendered
from bot.platforms.slack.uploads import Uploads
from bot.views import AnswerView, IncidentView, RunView, View

log = structlog.get_logger(__name__)

MAX_TITLE_CHARS: Final = 600

T = TypeVar("T")


class SlackPlatform:
    """Posts into Slack. `read_data` gives the bytes of charts."""

    name = NAME

    def __init__(
        self,
        *,
        clients: SlackClients,
        book: Book,
        troubles: Troubles,
        people: SlackPeople | None = None,
        read_data: ReadData | None = None,
        public_url: str = "",
        pacer: PostPacer | None = None,
        posting: Posting | None = None,
    ) -> None:
        self.clients = clients
        self.troubles = troubles
        self.channels = Channels(clients)
        self.presences = PresenceTeller(clients)
        self._book = book
        self._showing = Showing(clients, book, people or SlackPeople(clients), public_url)
        self._pacer = pacer or PostPacer(time.monotonic)
        self._posting = posting or Posting(book)
        self._uploads = Uploads(clients, book)
        self._charts = Charts(self._uploads, read_data)

    # The port

    async def open_thread(self, channel: str, title: str, key: str) -> ThreadRef:
        """See `Platform.open_thread`: the thread begins with a message that says the title.

        `channel` is an id, a name, or a user's id, each after its workspace where there are
        several; a user's id opens a thread in the direct messages with them.
        """
        asked = Place.of(channel)
        place = await self._minding(asked, None, self.channels.find(asked))
        key = f"thread:{place.text}:{key}"
        content = Rendered(clip(title, MAX_TITLE_CHARS, mrkdwn), [], {"view": "thread"})
        send = partial(self._post, place, "", key, content)
        posted = await self._once(place, None, key, send)
        await self._book.opened(_name(place, posted.ts), key)
        return place.thread(posted.ts)

    async def post(self, thread: ThreadRef, view: View, key: str) -> MessageRef:
        """See `Platform.post`.

        The first card of a thread that was opened here is its beginning: the message with the
        title becomes the card.
        """
        place = Place.of(thread.channel)
        if not is_stamp(thread.id):
            raise PlatformError(f"Slack has no thread {thread.id}: open it before posting")
        send = partial(self._send_view, place, thread.id, view, key)
        posted = await self._once(place, view, key, send, thread.id)
        if isinstance(view, AnswerView) and is_long(view):
            await self._add_document(thread, view, key)
        return MessageRef(ThreadRef(self.name, thread.channel, thread.id), posted.ts)

    async def edit(self, message: MessageRef, view: View) -> None:
        """See `Platform.edit`. A run's card never goes back to an older version."""
        place = Place.of(message.thread.channel)
        if not is_stamp(message.id):
            raise MessageGoneError(f"Slack has no message {message.id}: post a new one")
        await self._minding(place, view, self._edit(place, message.id, view))
        await self.troubles.works_again(place)

    # What else Slack can do

    async def presence(self, thread: ThreadRef, presence: Presence, title: str = "") -> None:
        """See `ShowsPresence.presence`: told in the background."""
        if is_stamp(thread.id):
            self.presences.tell(Place.of(thread.channel), thread.id, presence, title)

    async def upload(self, thread: ThreadRef, upload: Upload, key: str) -> str:
        """See `TakesFiles.upload`."""
        place = Place.of(thread.channel)
        await self._pacer.turn(place)
        root = await self._book.moved(_name(place, thread.id)) or thread.id
        return await self._uploads.share(place, root, upload, f"{place.text}:{key}")

    def pace(self, thread: ThreadRef) -> Pace:
        """See `Paced.pace`."""
        return card_pace(Place.of(thread.channel))

    def pool(self, thread: ThreadRef) -> str:
        """See `Paced.pool`: Slack counts edits per workspace."""
        return f"{self.name}:{Place.of(thread.channel).team}"

    async def aclose(self) -> None:
        """Stop what runs in the background."""
        await self.presences.aclose()

    # How it posts and edits

    async def _once(
        self,
        place: Place,
        view: View | None,
        key: str,
        send: Callable[[], Awaitable[Posted]],
        thread_ts: str = "",
    ) -> Posted:
        """Send once per key, and note what works and what does not."""

        async def send_and_note() -> Posted:
            posted = await send()
            await self.troubles.works(place)
            return posted

        async def find(since: float) -> Posted | None:
            root = await self._book.moved(_name(place, thread_ts)) if thread_ts else ""
            return await find_message(
                self.clients, place.team, place.channel, key, since, root or thread_ts
            )

        return await self._minding(place, view, self._posting.once(key, send_and_note, find))

    async def _minding(self, place: Place, view: View | None, work: Awaitable[T]) -> T:
        """Have a refusal that a person can end recorded and told."""
        try:
            return await work
        except SlackRefusedError as refused:
            await self.troubles.met(place, refused, view)
            raise

    async def _send_view(self, place: Place, thread_ts: str, view: View, key: str) -> Posted:
        if isinstance(view, RunView | IncidentView) and await self._became_root(
            place, thread_ts, view, key
        ):
            return Posted(place.channel, thread_ts)
        files = await self._charts.of(place.team, view)
        send = partial(self._reply, place, thread_ts, key)
        return await self._showing.show(place, view, files, send)

    async def _became_root(self, place: Place, thread_ts: str, view: View, key: str) -> bool:
        """Turn the message that opened the thread into its first card."""
        if not await self._book.take_root(_name(place, thread_ts), key):
            return False
        try:
            await self._edit(place, thread_ts, view)
        except MessageGoneError:  # deleted meanwhile: the card is a message of its own
            return False
        return True

    async def _reply(self, place: Place, thread_ts: str, key: str, content: Rendered) -> Posted:
        name = _name(place, thread_ts)
        root = await self._book.moved(name) or thread_ts
        try:
            return await self._post(place, root, key, content)
        except SlackRefusedError as refused:
            if refused.code not in NO_THREAD:
                raise
        # The thread's first message was deleted: it goes on under this one.
        posted = await self._post(place, "", key, content)
        await self._book.move(name, posted.ts)
        log.info("slack_thread_moved", thread=name, to=posted.ts)
        return posted

    async def _post(self, place: Place, thread_ts: str, key: str, content: Rendered) -> Posted:
        await self._pacer.turn(place)
        try:
            answer = await self.clients.call(
                place.team,
                "chat.postMessage",
                channel=place.channel,
                thread_ts=thread_ts or None,
                text=content.text,
                blocks=content.blocks or None,
                metadata=metadata(key, dict(content.facts)),
                unfurl_links=False,
                unfurl_media=False,
            )
        except PlatformBusyError as busy:
            self._pacer.freeze(place, busy.retry_after_s)
            raise PlatformBusyError(busy.retry_after_s, is_only_here=True) from busy
        return Posted(str(answer.get("channel") or place.channel), str(answer["ts"]))

    async def _edit(self, place: Place, ts: str, view: View) -> None:
        if isinstance(view, RunView):
            newest = await self._book.shown(_name(place, ts), view.version)
            if newest > view.version:  # a leader that was replaced, late
                return

        async def send(content: Rendered) -> None:
            call: Callable[[], Awaitable[dict[str, Any]]] = partial(
                self.clients.call,
                place.team,
                "chat.update",
                channel=place.channel,
                ts=ts,
                text=content.text,
                blocks=content.blocks,
            )
            try:
                await call()
            except SlackUnsureError:  # an edit may be made twice
                await call()

        await self._showing.show(place, view, {}, send)

    async def _add_document(self, thread: ThreadRef, view: AnswerView, key: str) -> None:
        """Add what the message has no room for as a file; the answer is there without it."""
        try:
            await self.upload(thread, document(view), f"{key}:file")
        except PlatformError as error:
            log.warning("slack_document_not_uploaded", key=key, reason=str(error))


def _name(place: Place, ts: str) -> str:
    """Return how the book calls a thread or message."""
    return f"{place.text}/{ts}"
