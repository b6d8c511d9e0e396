"""Tells people of what keeps the bot from working in Slack: in the console, and the requester."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from bot.platforms.port import Platform, PlatformError
from bot.platforms.slack.health import Trouble
from bot.platforms.slack.places import Place, named
from bot.views import AnswerView, NoteView, RunView, View

log = structlog.get_logger(__name__)

CONSOLE_CHANNEL: Final = "slack"

Requester = Callable[[str], Awaitable[str]]
"""Returns the id of who asked for a run (`slack:T1:U1`); empty when nobody knows."""


@dataclass(slots=True)
class Teller:
    """What `Troubles` calls once per trouble. Every message has a key of the trouble's own."""

    slack: Platform
    console: Platform
    requester_of: Requester
    public_url: str = ""

    async def __call__(self, trouble: Trouble, view: View | None) -> None:
        """Tell of a trouble where it can still be read."""
        key = f"slack-trouble:{trouble.where}:{trouble.code}:{int(trouble.since)}"
        text = sentence(trouble, view, self.public_url)
        thread = await self.console.open_thread(CONSOLE_CHANNEL, title(trouble), key)
        await self.console.post(thread, NoteView(text, "error"), f"{key}:note")
        run_id = view.run_id if isinstance(view, RunView | AnswerView) else ""
        if not run_id or trouble.is_of_team or trouble.place.is_person:
            return
        asked_by = named(await self.requester_of(run_id))
        if asked_by is None:
            return
        person = Place(trouble.place.team, asked_by[1])
        try:
            await self.slack.open_thread(person.text, text, f"{key}:requester")
        except PlatformError as error:
            log.warning("slack_requester_not_told", where=trouble.where, reason=str(error))


def title(trouble: Trouble) -> str:
    """Return the trouble in a few words."""
    if trouble.is_of_team:
        return f"Slack: nothing works in the workspace {trouble.place.team}".rstrip()
    return f"Slack: Muster cannot write in {trouble.place.channel}"


def sentence(trouble: Trouble, view: View | None, public_url: str) -> str:
    """Return what is wrong, who can end it, and where to read on until then."""
    parts = [f"{title(trouble)}. {trouble.sentence}."]
    if isinstance(view, RunView | AnswerView):
        where = f"{public_url.rstrip('/')}/runs/{view.run_id}" if public_url else "the console"
        parts.append(f"The run “{view.title}” goes on; follow it, and read its answer, at {where}")
    return " ".join(parts)
