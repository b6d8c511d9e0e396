"""Socket Mode and HTTP: what comes is acknowledged once it is kept, and never done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from bot.platforms.slack import words
from bot.platforms.slack.http import EVENTS_PATH, router
from bot.platforms.slack.inbox import Inbox, Item, MemoryInbox
from bot.platforms.slack.installs import MemoryInstallationStore, Seal
from bot.platforms.slack.oauth import Credentials, MemoryStateStore, oauth_flow
from bot.platforms.slack.scopes import SCOPES
from bot.platforms.slack.socket import Socket
from jobs.store import StoreUnavailableError
from tests.bot.platforms.slack.house import House, at_home
from tests.slack_server import SlackServer

GOAL = "why is checkout failing?"


class Moody(MemoryInbox):
    """An inbox that can be away."""

    is_away = False

    async def put(self, item: Item) -> bool:
        """See `Inbox.put`."""
        if self.is_away:
            raise StoreUnavailableError("away")
        return await super().put(item)


@asynccontextmanager
async def over_http(server: SlackServer, inbox: Inbox | None = None) -> AsyncIterator[House]:
    """Run a bot that Slack reaches by signed requests."""
    secret = SecretStr(server.app.signing_secret)
    async with at_home(
        server, inbox=inbox, slack_app_token=None, slack_signing_secret=secret
    ) as house:
        assert house.inward.routes is not None
        app = FastAPI()
        app.include_router(house.inward.routes)
        config = uvicorn.Config(app, port=0, log_config=None, lifespan="off", ws="none")
        serving = uvicorn.Server(config)
        task = asyncio.create_task(serving.serve())
        await server.until(lambda: serving.started)
        port = serving.servers[0].sockets[0].getsockname()[1]
        server.use_http(f"http://127.0.0.1:{port}{EVENTS_PATH}")
        try:
            yield house
        finally:
            serving.should_exit = True
            await task


async def test_over_http_everything_works_the_same(slack: SlackServer) -> None:
    """Events, commands and clicks come to one address, signed."""
    async with over_http(slack) as house:
        assert await slack.verify_url()
        slack.deliver_twice()
        slack.mention("C1", "U2", GOAL)
        await house.settled()
        run = await house.only_run()
        await house.ask_approval(run)
        card = await house.show(run.id)
        slack.click(card, "muster:approve", "U1")
        slack.command("C1", "U1", "status")
        await house.settled()

        (approval,) = (await house.only_run()).approvals.values()
        assert approval.status.value == "approved"
        assert "2 alive" in house.said("U1")[0]


async def test_a_forged_request_does_nothing(slack: SlackServer) -> None:
    """Nobody but Slack has the secret."""
    async with over_http(slack) as house:
        slack.forge_signatures()
        slack.command("C1", "U1", GOAL)
        await slack.settled()

        assert await house.run_ids() == []
        assert not slack.deliveries[-1].is_acked


async def test_an_old_request_does_nothing(slack: SlackServer) -> None:
    """A signature is good for five minutes."""
    async with over_http(slack) as house:
        slack.skew(-600)
        slack.command("C1", "U1", GOAL)
        await slack.settled()

        assert await house.run_ids() == []


@pytest.mark.parametrize("is_http", [False, True])
async def test_what_cannot_be_kept_is_not_acknowledged(slack: SlackServer, is_http: bool) -> None:
    """Slack sends events again, until the store is back; then they are done once."""
    inbox = Moody()
    inbox.is_away = True
    home = over_http(slack, inbox) if is_http else at_home(slack, inbox=inbox)
    async with home as house:
        slack.mention("C1", "U1", GOAL)
        await slack.until(lambda: len(slack.deliveries[0].attempts) > 1 or not is_http)
        inbox.is_away = False
        slack.redeliver(slack.deliveries[0])
        await slack.until(lambda: slack.deliveries[0].is_acked, timeout_s=8)
        await house.server.until(lambda: not house.inward.worker.is_busy)

        assert len(await house.run_ids()) == 1


async def test_who_clicks_while_nothing_can_be_kept_hears_so(slack: SlackServer) -> None:
    """Slack sends no click again, so they have to do it again themselves."""
    inbox = Moody()
    async with at_home(slack, inbox=inbox) as house:
        slack.mention("C1", "U2", GOAL)
        await house.settled()
        run = await house.only_run()
        await house.ask_approval(run)
        card = await house.show(run.id)
        slack.click(card, "muster:edit", "U1")
        await house.settled()
        inbox.is_away = True

        slack.click(card, "muster:approve", "U1")
        submitted = slack.submit("U1", {})
        slack.command("C1", "U2", "status")
        await slack.settled()

        assert house.said("U1") == [words.NOT_NOW]
        assert submitted.answer["response_action"] == "errors"
        assert house.said("U2") == [words.NOT_NOW]


async def test_a_cut_socket_is_opened_again(slack: SlackServer) -> None:
    """What came in between is delivered again, and done once."""
    async with at_home(slack, chores=lambda inward: (inward.worker.run,)) as house:
        socket = quick_socket(house)
        task = asyncio.create_task(socket.run())
        await slack.until(lambda: slack.open_sockets)
        slack.drop_sockets()
        slack.mention("C1", "U1", GOAL)
        await slack.until(lambda: slack.deliveries[0].is_acked, timeout_s=8)
        await slack.until(lambda: not house.inward.worker.is_busy)

        assert len(await house.run_ids()) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("is_ponging", [False, True])
async def test_a_silent_socket_is_replaced(slack: SlackServer, is_ponging: bool) -> None:
    """Though it is open, and may even answer pings: Slack would have said something."""
    async with at_home(slack, chores=lambda inward: (inward.worker.run,)) as house:
        socket = quick_socket(house)
        task = asyncio.create_task(socket.run())
        await slack.until(lambda: socket.is_open)
        slack.silence_sockets(is_ponging=is_ponging)
        opened = slack.sockets.opened
        await slack.until(lambda: slack.sockets.opened > opened, timeout_s=10)
        await slack.until(lambda: socket.is_open)
        slack.mention("C1", "U1", GOAL)
        await slack.until(lambda: bool(slack.deliveries) and slack.deliveries[0].is_acked, 8)
        await slack.until(lambda: not house.inward.worker.is_busy)

        assert len(await house.run_ids()) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_socket_that_is_told_to_go_goes(slack: SlackServer) -> None:
    """Slack refreshes connections every few hours; a warning changes nothing yet."""
    async with at_home(slack) as house:
        opened = slack.sockets.opened
        slack.dismiss_sockets("warning")
        slack.mention("C1", "U1", GOAL)
        await house.settled()
        assert slack.sockets.opened == opened

        slack.dismiss_sockets("refresh_requested")
        await slack.until(lambda: slack.sockets.opened > opened)
        slack.mention("C1", "U1", "payments is slow")
        await slack.until(lambda: all(one.is_acked for one in slack.deliveries), timeout_s=8)
        await house.settled()

        assert len(await house.run_ids()) == 2


async def test_a_refused_app_token_is_tried_again(slack: SlackServer) -> None:
    """Somebody may mend it: the bot goes on meanwhile."""
    async with at_home(slack, chores=lambda inward: (inward.worker.run,)) as house:
        socket = Socket(
            house.inward.app,
            "xapp-wrong",
            lambda: AsyncWebClient(base_url=slack.api_url, retry_handlers=[]),
            backoff_s=0.01,
        )
        task = asyncio.create_task(socket.run())
        await slack.until(lambda: socket.restarts > 1)

        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_two_processes_split_the_deliveries(slack: SlackServer) -> None:
    """Each thing is done by one of them, also when it comes to both."""
    inbox = MemoryInbox()
    async with (
        at_home(slack, inbox=inbox) as first,
        at_home(slack, inbox=inbox, store=first.store) as second,
    ):
        slack.deliver_twice()
        for number in range(6):
            slack.mention("C1", "U1", f"why is checkout failing? {number}")
        await first.settled()
        await second.settled()

        assert len(await first.run_ids()) == 6
        used = {attempt.via for one in slack.deliveries for attempt in one.attempts}
        assert used == {one.id for one in slack.open_sockets}


@dataclass(slots=True)
class Installing:
    """What became of an install: the stored tokens, whose were told, and the last two pages."""

    installs: MemoryInstallationStore
    fresh: list[str]
    done: httpx.Response
    again: httpx.Response


async def install(slack: SlackServer, team: str, name: str) -> Installing:
    """Install the app from the browser in a new workspace, where only T2 may."""
    installs, states = MemoryInstallationStore(Seal("s" * 32)), MemoryStateStore()
    fresh: list[str] = []
    home = "https://muster.example.com"
    flow = oauth_flow(
        Credentials(slack.app.client_id, slack.app.client_secret, home, slack.api_url),
        installs=installs,
        states=states,
        installed=fresh.append,
        teams=frozenset({"T2"}),
    )
    slack.team(team, name)
    slack.approve_installs(team)
    async with at_home(slack, chores=lambda inward: ()) as house:
        app = FastAPI()
        app.include_router(router(house.inward.app, flow))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="https://muster") as browser:
            begun = await browser.get("/slack/install")
            async with httpx.AsyncClient() as outside:
                approved = await outside.get(begun.headers["location"])
            assert (begun.status_code, approved.status_code) == (302, 302)
            back = approved.headers["location"].removeprefix(home)
            return Installing(installs, fresh, await browser.get(back), await browser.get(back))


async def test_a_workspace_installs_the_app(slack: SlackServer) -> None:
    """From the link to the token, which nobody can read without the secret."""
    seen = await install(slack, "T2", "Umbrella")

    assert "Umbrella" in seen.done.text
    assert "Nothing was installed" in seen.again.text
    assert seen.fresh == ["T2"]
    bot = await seen.installs.async_find_bot(enterprise_id=None, team_id="T2")
    assert bot is not None
    assert set(bot.bot_scopes) == set(SCOPES)
    assert bot.bot_token not in str(seen.installs.kept)


async def test_a_strangers_workspace_installs_nothing(slack: SlackServer) -> None:
    """The link is open, but only the token of a workspace that was named is kept."""
    seen = await install(slack, "T3", "Strangers")

    assert "T3 is not one of those that MUSTER_SLACK_TEAMS names" in seen.done.text
    assert not seen.installs.kept
    assert seen.fresh == []


def quick_socket(house: House) -> Socket:
    """Return a socket that loses patience soon."""
    server = house.server
    return Socket(
        house.inward.app,
        server.app_token,
        lambda: AsyncWebClient(base_url=server.api_url, retry_handlers=[]),
        ping_s=0.2,
        silent_s=1.0,
        look_s=0.05,
        backoff_s=0.01,
    )
