"""A workspace of the strict Slack, a shop and Muster's real processes between them."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil
import yaml

from demo.info import Layout, ShopInfo, ShopNotRunningError, health
from demo.shop import muster_config
from tests.scenarios.program import (
    Home,
    Program,
    answers,
    muster,
    running,
    seen,
    until,
    write_people,
)
from tests.slack_server import Limits, Message, SlackServer

T = TypeVar("T")
START_S = 60
SEEN_S = 45
"""How long anything may take to be seen in Slack on a busy machine."""
RETRIES_S = (0.05, 2.0, 15.0)
"""What comes while the bot is down has to come again once another is up; Slack waits longer."""
CHANNEL = "C1"
ALICE, BOB, MALLORY = "U1", "U2", "U3"
WEBHOOK_TOKEN = "let-the-shop-in"


@dataclass(frozen=True, slots=True)
class Scene:
    """The workspace, the shop that people talk about there, and Muster."""

    slack: SlackServer
    info: ShopInfo
    home: Home
    bot: Program

    @property
    def shop(self) -> Layout:
        """Where the shop's files are."""
        return self.info.layout

    async def breaks(self) -> None:
        """Wait until the shop's own monitor sees that something is wrong."""

        async def firing() -> bool:
            return bool((await health(self.info))["alerts_firing"])

        await until(firing, SEEN_S, "the shop breaks", self.bot)

    async def is_mended(self) -> None:
        """Wait until the shop is healthy and nothing fires there any more."""

        async def mended() -> bool:
            state = await health(self.info)
            return bool(state["healthy"]) and not state["alerts_firing"]

        await until(mended, SEEN_S, "the shop is mended", self.bot)

    def effects(self) -> list[dict[str, Any]]:
        """Return what was done to the shop on request."""
        path = self.shop.effects
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def posted(self, kind: str, channel: str = CHANNEL) -> list[Message]:
        """Return the messages of a kind (card, answer, incident) in a channel, oldest first."""
        return [one for one in self.slack.messages(channel) if kind_of(one) == kind]

    async def message(self, kind: str, *words: str, count: int = 1, channel: str = "") -> Message:
        """Wait until there are so many messages of a kind; return the last that has the words."""

        def found() -> Message | None:
            all_ = self.posted(kind, channel or CHANNEL)
            fit = [one for one in all_ if all(word in one.shown for word in words)]
            return fit[-1] if len(all_) >= count and fit else None

        return await self._seen(found, f"a message of the kind {kind} says {words}")

    async def can_click(self, action: str, *words: str, count: int = 1) -> Message:
        """Wait until the last card has a button and these words, and return the card."""

        def found() -> Message | None:
            cards = self.posted("card")
            if len(cards) < count or f"muster:{action}" not in cards[-1].action_ids:
                return None
            return cards[-1] if all(word in cards[-1].shown for word in words) else None

        return await self._seen(found, f"a card offers {action} and says {words}")

    async def whispered(self, user: str, *words: str, count: int = 1) -> str:
        """Wait until one person alone was told so many sentences; the last has these words."""

        def found() -> str:
            said = [one.shown for one in self.slack.ephemerals(user)]
            is_told = len(said) >= count and all(word in said[-1] for word in words)
            return said[-1] if is_told else ""

        return await self._seen(found, f"{user} is told {words}")

    async def ordered(self, text: str, user: str, *words: str) -> str:
        """Let somebody give a slash command and return the sentence it is answered with."""
        count = len(self.slack.ephemerals(user)) + 1
        delivery = self.slack.command(CHANNEL, user, text)
        await self.slack.done(delivery)
        assert delivery.is_acked
        return await self.whispered(user, *words, count=count)

    async def kill_bot(self) -> None:
        """Kill the bot as a crash would; its parent starts another one, which connects again."""
        (bot,) = self.bot.children("bot", "serve")
        bot.kill()

        def another() -> bool:
            found = self.bot.children("bot", "serve")
            is_new = bool(found) and found[0].pid != bot.pid
            return is_new and not psutil.pid_exists(bot.pid) and bool(self.slack.open_sockets)

        await seen(another, START_S, "another bot has connected", self.bot)

    async def _seen(self, look: Callable[[], T | None], what: str) -> T:
        """Wait for something; when it does not come, tell what stands in Slack instead."""
        try:
            return await seen(look, SEEN_S, what, self.bot)
        except AssertionError as error:
            shown = [*self.slack.messages(CHANNEL), *self.slack.ephemerals()]
            lines = [f"{one.ephemeral_to or one.user}: {one.shown}" for one in shown]
            raise AssertionError("\n".join([str(error), *lines])) from None

    async def assert_kept_the_rules(self) -> None:
        """Slack refused nothing, no budget was exceeded, and everything was acknowledged."""
        await self.slack.settled(timeout_s=SEEN_S)
        assert self.slack.refused == []
        assert self.slack.rate_limited == []
        assert [one for one in self.slack.deliveries if not one.is_acked] == []


def key_of(message: Message) -> str:
    """Return the key under which Muster posted a message; empty when it did not."""
    return str(message.metadata.get("event_payload", {}).get("key", ""))


def kind_of(message: Message) -> str:
    """Return what a message of Muster's is: card, answer, incident; empty when it is none."""
    parts = key_of(message).split(":")
    if "incident" in parts:
        return "incident"
    # A thread that was opened for a run begins with its card.
    return "card" if parts[-1] == "thread" else parts[-1]


@asynccontextmanager
async def workspace(
    directory: Path, *, fault: str, baseline_s: float, webhook: bool = False
) -> AsyncIterator[Scene]:
    """Open a shop and a workspace and run Muster; `webhook`: the shop's alerts reach it."""
    home = Home.new(directory)
    with SlackServer(Limits(retries_s=RETRIES_S)) as slack:
        slack.user(ALICE, "Alice Adams", groups=["oncall"])
        slack.user(BOB, "Bob Brown")
        slack.user(MALLORY, "Mallory Moe")
        slack.channel(CHANNEL, "incidents", members=[ALICE, BOB, MALLORY])
        async with _shop(home, fault, baseline_s, webhook=webhook) as info:
            environ = _configured(home, info, slack)
            async with muster("up", home=home, environ=environ) as bot:
                await until(lambda: answers(f"{home.url}/readyz"), START_S, "Muster is ready", bot)
                await seen(lambda: slack.open_sockets, START_S, "its socket is open", bot)
                yield Scene(slack, info, home, bot)


def _configured(home: Home, info: ShopInfo, slack: SlackServer) -> dict[str, str]:
    """Write the catalogue and return the environment of Muster."""
    config_dir = home.directory / "config"
    muster_config(info, config_dir)
    route = {"name": "to-slack", "match": {}, "workflow": "incident", "group_by": ["service"]}
    routes = {"routes": [route | {"platform": "slack", "channel": "incidents"}]}
    (config_dir / "routes.yaml").write_text(yaml.safe_dump(routes))
    write_people(config_dir, alice=["oncall"])
    return home.environ(
        MUSTER_CONFIG_DIR=str(config_dir),
        MUSTER_WEBHOOK_TOKEN=WEBHOOK_TOKEN,
        MUSTER_SLACK_BOT_TOKEN=slack.bot_token,
        MUSTER_SLACK_APP_TOKEN=slack.app_token,
        MUSTER_SLACK_API_URL=slack.api_url,
    )


@asynccontextmanager
async def _shop(
    home: Home, fault: str, baseline_s: float, *, webhook: bool
) -> AsyncIterator[ShopInfo]:
    directory = home.directory / "shop"
    options = ["--fault", fault, "--baseline-s", str(baseline_s), "--die-with-parent"]
    if webhook:
        options += ["--webhook", f"{home.url}/webhooks/alertmanager"]
        options += ["--webhook-token-env", "SHOP_TOKEN"]
    argv = (sys.executable, "-m", "demo.shop", "run", "--dir", str(directory), *options)
    environ = home.environ(SHOP_TOKEN=WEBHOOK_TOKEN)
    async with running(*argv, environ=environ, output=home.directory / "shop.out") as shop:

        def opened() -> ShopInfo | None:
            try:
                return ShopInfo.load(directory)
            except ShopNotRunningError:
                return None

        yield await seen(opened, START_S, "the shop is open", shop)
