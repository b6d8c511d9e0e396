"""From the names that routes use to the ids that Slack wants."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import structlog

from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.places import Place

log = structlog.get_logger(__name__)

PAGE: Final = 1_000
MAX_PAGES: Final = 20
MAX_KNOWN: Final = 2_000
UNKNOWN_S: Final = 60.0
"""How long a name that was not found is not looked for again."""
BOTH: Final = "public_channel,private_channel"


class Channels:
    """Finds conversations, and remembers them: ids never change. `clock` gives seconds."""

    def __init__(self, clients: SlackClients, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = clients
        self._clock = clock
        self._known: dict[Place, Place] = {}
        self._unknown: dict[Place, float] = {}

    async def find(self, place: Place) -> Place:
        """Return the conversation by its id; SlackRefusedError when there is none."""
        if place.is_id:
            return place
        if place in self._known:
            return self._known[place]
        if self._clock() < self._unknown.get(place, 0.0):
            raise SlackRefusedError("channel_not_found", "conversations.list")
        found = Place(place.team, await self._look(place))
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
            self._unknown.clear()
        self._known[place] = found
        return found

    async def _look(self, place: Place) -> str:
        if place.is_person:
            answer = await self._clients.call(place.team, "conversations.open", users=place.channel)
            return str(answer["channel"]["id"])
        channel = await self._listed(place)
        if not channel:
            self._unknown[place] = self._clock() + UNKNOWN_S
            raise SlackRefusedError("channel_not_found", "conversations.list")
        return channel

    async def _listed(self, place: Place) -> str:
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            answer = await self._clients.call(
                place.team,
                "conversations.list",
                types=BOTH,
                exclude_archived=True,
                limit=PAGE,
                cursor=cursor,
            )
            for channel in answer.get("channels") or ():
                if channel.get("name") == place.channel:
                    return str(channel["id"])
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return ""
        log.warning("slack_channels_not_all_listed", team=place.team, pages=MAX_PAGES)
        return ""
