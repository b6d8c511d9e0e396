"""Answers to what somebody did, seen by them alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import structlog
from slack_sdk.webhook.async_client import AsyncWebhookClient

from agents.domain import ThreadRef
from bot.platforms.port import PlatformError
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.heard import Heard
from bot.platforms.slack.places import NAME, Place

log = structlog.get_logger(__name__)

ANSWER_S: Final = 5
OK: Final = 200


@dataclass(frozen=True, slots=True)
class Answering:
    """Tells people sentences (already written for Slack). It never fails: it is said or logged."""

    clients: SlackClients

    async def tell(self, heard: Heard, text: str, thread: ThreadRef | None = None) -> None:
        """Tell the person who did something. `thread`: where it belongs, when Slack did not say.

        First where they are, else directly: somebody who clicks gets an answer.
        """
        if heard.response_url and await respond(heard.response_url, text):
            return
        channel, root = _where(heard, thread)
        if channel and await self._ephemeral(heard, channel, root, text):
            return
        await self._direct(heard, text)

    async def _ephemeral(self, heard: Heard, channel: str, root: str, text: str) -> bool:
        try:
            await self.clients.call(
                heard.team,
                "chat.postEphemeral",
                channel=channel,
                user=heard.user,
                text=text,
                thread_ts=root or None,
            )
        except PlatformError as error:
            log.info("slack_ephemeral_failed", channel=channel, reason=str(error))
            return False
        return True

    async def _direct(self, heard: Heard, text: str) -> None:
        try:
            opened = await self.clients.call(heard.team, "conversations.open", users=heard.user)
            channel = str((opened.get("channel") or {}).get("id") or "")
            await self.clients.call(heard.team, "chat.postMessage", channel=channel, text=text)
        except PlatformError as error:
            log.warning("slack_person_not_told", team=heard.team, reason=str(error))


async def respond(url: str, text: str) -> bool:
    """Answer through the address that came with it; False when Slack does not take it."""
    body: dict[str, Any] = {"text": text, "response_type": "ephemeral", "replace_original": False}
    client = AsyncWebhookClient(url, timeout=ANSWER_S, retry_handlers=[])
    try:
        answer = await client.send_dict(body)
    except (aiohttp.ClientError, OSError) as error:
        log.warning("slack_answer_failed", reason=type(error).__name__)
        return False
    if answer.status_code != OK:
        log.warning("slack_answer_refused", status=answer.status_code)
    return bool(answer.status_code == OK)


def _where(heard: Heard, thread: ThreadRef | None) -> tuple[str, str]:
    """Return the channel and the thread in which the person is."""
    if heard.channel:
        return heard.channel, heard.thread_ts
    if thread is not None and thread.platform == NAME:
        return Place.of(thread.channel).channel, thread.id
    return "", ""
