"""Slack keeps the contract of every platform, against a strict server and the real client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis

from agents.domain import ThreadRef
from bot.platforms.port import MessageRef, Paced, Platform, ShowsPresence, TakesFiles
from bot.platforms.slack.adapter import SlackPlatform
from bot.platforms.slack.book import RedisBook
from bot.platforms.slack.render import render
from bot.views import View
from tests.bot.platforms.slack.stage import Stage, on_stage
from tests.contracts.platform import CARD, FIRST, LATER, SECOND, PlatformContract
from tests.slack_server import SlackServer


class SlackContract(PlatformContract):
    """What is asked of Slack with either kind of book."""

    channel_id = "C1"

    @pytest.fixture(autouse=True)
    def nothing_refused(self, slack: SlackServer) -> None:
        """Keep the server at hand."""
        self.server = slack

    async def shown(self, platform: Platform, message: MessageRef) -> View:
        """See `PlatformContract.shown`."""
        text = self.server.message(message.id).text
        views: list[View] = [FIRST, SECOND, CARD, LATER]
        return next(view for view in views if render(view).text == text)

    async def count(self, platform: Platform, thread: ThreadRef) -> int:
        """See `PlatformContract.count`; the message that opens a thread is not counted."""
        return len(self.server.thread(thread.id)) - 1

    async def test_it_does_what_slack_can_do(self, platform: Platform) -> None:
        """It paces itself, shows presence and takes files."""
        assert isinstance(platform, Paced)
        assert isinstance(platform, ShowsPresence)
        assert isinstance(platform, TakesFiles)


class TestSlackInMemory(SlackContract):
    """Slack with what it remembers in memory."""

    @pytest.fixture
    def platform(self, stage: Stage) -> SlackPlatform:
        """Return Slack."""
        return stage.platform


class TestSlackInRedis(SlackContract):
    """Slack with what it remembers on a real server."""

    @pytest.fixture
    async def platform(
        self, slack: SlackServer, redis_client: aioredis.Redis
    ) -> AsyncIterator[SlackPlatform]:
        """Return Slack."""
        async with on_stage(slack, book=RedisBook(redis_client)) as made:
            yield made.platform
