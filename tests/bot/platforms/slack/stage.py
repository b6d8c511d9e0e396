"""A Slack on loopback and our platform in it, with pauses that take no time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bot.live.budgets import Pace
from bot.platforms.slack.adapter import SlackPlatform
from bot.platforms.slack.book import Book, MemoryBook
from bot.platforms.slack.budget import PostPacer
from bot.platforms.slack.charts import ReadData
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.health import MemoryTroubleStore, Troubles
from bot.platforms.slack.people import SlackPeople
from bot.platforms.slack.posting import Posting
from tests.slack_server import Limits, Message, SlackServer

UNPACED = Pace(gaps_s=(0.0, 0.0, 0.0))
NAP_S = 0.01
QUICK = Limits(post_every_s=0.001, post_burst=100, tier_2=1_000, tier_3=1_000)


@dataclass
class Stage:
    """One bot process in the workspace. `naps` are the pauses it made."""

    server: SlackServer
    platform: SlackPlatform
    clients: SlackClients
    book: Book
    troubles: Troubles
    naps: list[float] = field(default_factory=list)

    def own(self, channel: str = "C1") -> list[Message]:
        """Return the bot's messages of a channel."""
        return [one for one in self.server.messages(channel) if one.user == self.server.bot_user]

    def keys(self, channel: str = "C1") -> list[str]:
        """Return the keys of the bot's messages."""
        payloads: list[dict[str, Any]] = [
            one.metadata.get("event_payload", {}) for one in self.own(channel)
        ]
        return [str(payload.get("key", "")) for payload in payloads]


@asynccontextmanager
async def on_stage(
    server: SlackServer,
    *,
    book: Book | None = None,
    troubles: Troubles | None = None,
    read_data: ReadData | None = None,
    public_url: str = "https://muster.example.com",
    pacer: PostPacer | None = None,
    timeout_s: float = 10.0,
) -> AsyncIterator[Stage]:
    """Play one bot process: another one with the same book comes after it, or beside it."""
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        await asyncio.sleep(min(seconds, NAP_S))

    clients = SlackClients(bot_token=server.bot_token, api_url=server.api_url, timeout_s=timeout_s)
    kept = book or MemoryBook(time.time)
    noted = troubles or Troubles(MemoryTroubleStore())
    platform = SlackPlatform(
        clients=clients,
        book=kept,
        troubles=noted,
        people=SlackPeople(clients),
        read_data=read_data,
        public_url=public_url,
        pacer=pacer or PostPacer(time.monotonic, pace=UNPACED),
        posting=Posting(kept, sleep=nap),
    )
    try:
        yield Stage(server, platform, clients, kept, noted, naps)
    finally:
        await platform.aclose()
        await clients.aclose()


def workspace(server: SlackServer) -> None:
    """Put people and channels into the workspace."""
    server.user("U1", "Alice Adams", groups=["SONCALL"])
    server.user("U2", "Bob Brown")
    server.channel("C1", "incidents", members=["U1", "U2"])
