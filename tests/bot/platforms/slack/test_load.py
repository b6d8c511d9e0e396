"""Under load: however often things are delivered and clicked, each is done once."""

from __future__ import annotations

import asyncio

import redis.asyncio as aioredis

from bot.platforms.slack.inbox import RedisInbox
from tests.bot.platforms.slack.house import at_home
from tests.slack_server import SlackServer

RUNS = 10
REPEATS = 50


async def test_a_thousand_repetitions_do_nothing(
    slack: SlackServer, redis_client: aioredis.Redis
) -> None:
    """Two processes, each mention delivered 50 times, each approval clicked 50 times."""
    inbox = RedisInbox(redis_client)
    async with (
        at_home(slack, inbox=inbox) as house,
        at_home(slack, inbox=inbox, store=house.store),
    ):
        for number in range(RUNS):
            slack.mention("C1", "U2", f"why is checkout failing? {number}")
        for delivery in list(slack.deliveries):
            for _ in range(REPEATS // 2):  # a mention is two events
                slack.redeliver(delivery)
        await settle(house.server, inbox)
        run_ids = await house.run_ids()
        assert len(run_ids) == RUNS

        cards = []
        for run_id in run_ids:
            await house.ask_approval(await house.runs.get(run_id))
            cards.append(await house.show(run_id))
        slack.deliveries.clear()
        for card in cards:
            for number in range(REPEATS):
                action = "approve" if number % 2 else "deny"
                slack.click(card, f"muster:{action}", "U1")
        await settle(house.server, inbox)

        runs = [await house.runs.get(run_id) for run_id in run_ids]
        votes = [vote for run in runs for one in run.approvals.values() for vote in one.votes]
        assert len(votes) == RUNS
        assert all(delivery.is_acked for delivery in slack.deliveries)
        assert len(house.said("U1")) == RUNS * (REPEATS - 1)
        assert slack.refused == []


async def settle(server: SlackServer, inbox: RedisInbox) -> None:
    """Wait until everything was delivered and done."""
    await server.settled(timeout_s=60)
    async with asyncio.timeout(60):
        while await inbox.count():  # noqa: ASYNC110 - Redis has no event for it
            await asyncio.sleep(0.05)
    await server.settled(timeout_s=60)
