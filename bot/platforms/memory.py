"""The in-memory twin of every platform: same contract, and what was shown can be looked at."""

from __future__ import annotations

from collections import deque

from agents.domain import ThreadRef
from bot.platforms.port import MessageGoneError, MessageRef, PlatformError
from bot.views import RunView, View


class MemoryPlatform:
    """A chat system in a dictionary. `refusals` are raised, in order, instead of acting."""

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.titles: dict[ThreadRef, str] = {}
        self.shown: dict[MessageRef, list[View]] = {}
        """Each message with everything it showed so far, the last being what it shows now."""
        self.refusals: deque[PlatformError] = deque()
        self._threads: dict[tuple[str, str], ThreadRef] = {}
        self._posts: dict[str, MessageRef] = {}

    async def open_thread(self, channel: str, title: str, key: str) -> ThreadRef:
        """See `Platform.open_thread`."""
        self._refuse()
        known = self._threads.get((channel, key))
        if known is None:
            known = ThreadRef(self.name, channel, f"t{len(self._threads) + 1}")
            self._threads[(channel, key)] = known
            self.titles[known] = title
        return known

    async def post(self, thread: ThreadRef, view: View, key: str) -> MessageRef:
        """See `Platform.post`."""
        self._refuse()
        if key in self._posts:
            return self._posts[key]
        if thread not in self.titles:
            raise PlatformError(f"there is no thread {thread.id}: open it before posting")
        message = MessageRef(thread, f"m{len(self._posts) + 1}")
        self._posts[key] = message
        self.shown[message] = [view]
        return message

    async def edit(self, message: MessageRef, view: View) -> None:
        """See `Platform.edit`."""
        self._refuse()
        if message not in self.shown:
            raise MessageGoneError(f"there is no message {message.id}: post a new one")
        before = self.shown[message][-1]
        if _is_older(view, before):
            return  # from a leader that was replaced, late
        self.shown[message].append(view)

    def lose(self, message: MessageRef) -> None:
        """Make the message uneditable, as platforms do with old ones."""
        del self.shown[message]

    def views(self, thread: ThreadRef) -> list[View]:
        """Return what the thread's messages show now, oldest first."""
        return [views[-1] for message, views in self.shown.items() if message.thread == thread]

    def _refuse(self) -> None:
        if self.refusals:
            raise self.refusals.popleft()


def _is_older(view: View, shown: View) -> bool:
    """Whether a run's card would go back."""
    if not isinstance(view, RunView) or not isinstance(shown, RunView):
        return False
    return view.version < shown.version
