"""What each thing that came from Slack leads to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog

from bot.platforms.slack.clicking import Clicking
from bot.platforms.slack.heard import Heard, Kind
from bot.platforms.slack.homepage import publish_home
from bot.platforms.slack.messages import Messages
from bot.platforms.slack.orders import Orders
from bot.platforms.slack.reach import Reach

log = structlog.get_logger(__name__)


class Listening:
    """Acts on what came from Slack, once per key however often it comes."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        messages, clicking = Messages(reach), Clicking(reach)
        self.errors = clicking.errors
        self._acts: Mapping[Kind, Callable[[Heard], Awaitable[None]]] = {
            Kind.MENTION: messages.hear,
            Kind.DIRECT: messages.hear,
            Kind.REPLY: messages.hear,
            Kind.EDIT: messages.edited,
            Kind.POINT: messages.pointed,
            Kind.COMMAND: Orders(reach).given,
            Kind.COMPOSE: clicking.compose,
            Kind.CLICK: clicking.clicked,
            Kind.SUBMIT: clicking.submitted,
            Kind.HOME: self._home,
            Kind.STOP: self._stop,
            Kind.GONE: self._gone,
        }

    async def act(self, heard: Heard) -> None:
        """Do what is to be done."""
        await self._acts[heard.kind](heard)

    async def _home(self, heard: Heard) -> None:
        member = await self._reach.people.member(heard.team, heard.user)
        if member.may_ask:
            await publish_home(self._reach, heard.team, member)

    async def _stop(self, heard: Heard) -> None:
        """Stop what runs in a thread: somebody pressed Slack's own button."""
        member = await self._reach.who(heard, fresh=True)
        if member is None:
            return
        for run in await self._reach.desk.runs_in(self._reach.thread(heard)):
            if not run.is_over and not run.stopped_by:
                outcome = await self._reach.desk.stop(run.id, member.person, "asked in Slack")
                await self._reach.tell_outcome(heard, outcome)

    async def _gone(self, heard: Heard) -> None:
        log.warning("slack_app_removed", team=heard.team)
        await self._reach.forget(heard.team, heard.at)
