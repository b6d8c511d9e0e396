"""What it takes to act on what came from Slack: one value that the listening parts share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from agents.domain import ThreadRef
from bot.conversation import Conversation
from bot.desk import Desk, Outcome
from bot.platforms.slack import words
from bot.platforms.slack.answering import Answering
from bot.platforms.slack.attachments import Attachments
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.heard import Heard
from bot.platforms.slack.people import Member, SlackPeople
from bot.platforms.slack.places import Place
from bot.platforms.slack.style import Style

log = structlog.get_logger(__name__)

SILENT: Final = frozenset({"started", "approved", "denied", "edited"})
"""What the thread shows in a moment anyway."""

Health = Callable[[], Awaitable[str]]
Forget = Callable[[str, float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reach:
    """Whom and what listeners reach. `clock` gives Unix seconds.

    `is_many`: the app serves several workspaces, so places are named with theirs. `health` says
    in a sentence how Muster is; `forget` drops what is kept of a workspace
    since before a time.
    """

    desk: Desk
    conversation: Conversation
    people: SlackPeople
    clients: SlackClients
    attachments: Attachments
    answering: Answering
    style: Callable[[str], Awaitable[Style]]
    clock: Callable[[], float]
    health: Health
    forget: Forget
    emoji: str = "rotating_light"
    is_many: bool = False

    def place(self, heard: Heard) -> Place:
        """Return where something was done."""
        return Place(heard.team if self.is_many else "", heard.channel)

    def thread(self, heard: Heard) -> ThreadRef:
        """Return the thread it stands in, or would begin."""
        return self.place(heard).thread(heard.root)

    async def who(self, heard: Heard, *, fresh: bool = False) -> Member | None:
        """Return who did it; None, and they were told why, when they may do nothing here."""
        member = await self.people.member(heard.team, heard.user, fresh=fresh)
        if member.may_ask:
            return member
        log.info("slack_person_refused", person=member.person.id, standing=member.standing.value)
        await self.tell(heard, words.NOT_FOR_OUTSIDERS)
        return None

    async def tell(self, heard: Heard, sentence: str, thread: ThreadRef | None = None) -> None:
        """Tell them a sentence of ours."""
        await self.answering.tell(heard, words.said(sentence), thread)

    async def tell_outcome(
        self, heard: Heard, outcome: Outcome, choices: tuple[str, ...] = ()
    ) -> None:
        """Tell them what it led to, unless the thread shows it."""
        if outcome.kind in SILENT or not outcome.sentence:
            return
        thread = outcome.run.goal.thread if outcome.run is not None else None
        await self.answering.tell(heard, words.said(outcome.sentence, choices), thread)
