"""The moment something comes from Slack: it is kept, then acknowledged. Nothing is done here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import structlog

from bot.platforms.slack import words
from bot.platforms.slack.answering import respond
from bot.platforms.slack.composing import GOAL, GOAL_BLOCK
from bot.platforms.slack.heard import Heard, Kind
from bot.platforms.slack.inbox import Inbox, Item
from bot.platforms.slack.modals import ANSWER_BLOCK, REPLY
from bot.platforms.slack.reading import read
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

KEEP_WITHIN_S: Final = 2.0
"""Slack waits for 3 s; what cannot be kept by then is said so while somebody still listens."""

Json = dict[str, Any]
Check = Callable[[Heard], Awaitable[Mapping[str, str]]]


class NotKeptError(Exception):
    """The delivery could not be kept and is not acknowledged: Slack sends it again."""


class Reception:
    """Keeps deliveries. `check` finds what is wrong with a dialog, `clean` takes secrets out."""

    def __init__(
        self,
        inbox: Inbox,
        *,
        check: Check,
        clean: Callable[[str], str],
        news: Callable[[], None],
        clock: Callable[[], float],
        emoji: str = "rotating_light",
    ) -> None:
        self._inbox = inbox
        self._check = check
        self._clean = clean
        self._news = news
        self._clock = clock
        self._emoji = emoji
        self._answers: set[asyncio.Task[bool]] = set()

    async def take(self, body: Mapping[str, Any]) -> Json:
        """Keep a delivery and return what to acknowledge it with; NotKeptError: not at all.

        The same delivery again is acknowledged in the same way, and kept once.
        """
        heard = read(body, self._emoji)
        if heard is None:
            return {}
        try:
            async with asyncio.timeout(KEEP_WITHIN_S):
                errors = await self._check(heard) if heard.kind is Kind.SUBMIT else {}
                if errors:
                    return {"response_action": "errors", "errors": dict(errors)}
                kept = replace(heard, text=self._clean(heard.text)) if heard.text else heard
                is_new = await self._inbox.put(Item(kept, self._clock()))
        except (StoreUnavailableError, TimeoutError) as error:
            log.warning("slack_delivery_not_kept", kind=heard.kind.value, reason=str(error))
            return self._not_now(heard)
        if is_new:
            self._news()
        else:
            log.info("slack_delivery_repeated", kind=heard.kind.value, key=heard.key)
        return {}

    def _not_now(self, heard: Heard) -> Json:
        """Say that nothing was done: Slack sends events again, and nothing else."""
        match heard.kind:
            case Kind.COMMAND:
                return {"response_type": "ephemeral", "text": words.said(words.NOT_NOW)}
            case Kind.SUBMIT:
                if block := {GOAL: GOAL_BLOCK, REPLY: ANSWER_BLOCK}.get(heard.callback_id):
                    return {"response_action": "errors", "errors": {block: words.NOT_NOW}}
                return _on_first_field(heard)
            case _ if heard.response_url:
                task = asyncio.create_task(respond(heard.response_url, words.said(words.NOT_NOW)))
                self._answers.add(task)
                task.add_done_callback(self._answers.discard)
                return {}
            case _:
                raise NotKeptError(words.NOT_NOW)


def _on_first_field(heard: Heard) -> Json:
    values = heard.state.get("values")
    block = next(iter(values), "") if isinstance(values, dict) else ""
    if not block:
        raise NotKeptError(words.NOT_NOW)
    return {"response_action": "errors", "errors": {block: words.NOT_NOW}}
