"""What the tests of the Slack platform share: a workspace, and a bot process in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.bot.platforms.slack.stage import QUICK, Stage, on_stage, workspace
from tests.slack_server import SlackServer


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """Return a workspace with two people and a channel, and with budgets that do not bind."""
    with SlackServer(QUICK) as server:
        workspace(server)
        yield server


@pytest.fixture
async def stage(slack: SlackServer) -> AsyncIterator[Stage]:
    """Return a bot process in the workspace."""
    async with on_stage(slack) as made:
        yield made
