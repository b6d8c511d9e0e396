"""Each thing that can go wrong in Slack, at each step of a run: one message per key, and the end.

Run it with `-s` to see the table's sum.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bot.live import budgets, card, outbox
from bot.platforms.slack import book, errors, posting
from tests.bot.platforms.slack.stage import QUICK
from tests.bot.platforms.slack.tale import STEPS, Tale, Trouble
from tests.slack_server import Fault, SlackServer, cutting, failing, limiting, refusing, slowing

AT_ONCE = 8
SHORT_S = 0.02


def call(name: str, fault: Fault, *, kills: bool = False) -> Trouble:
    """Return a fault of the step's first write to Slack."""

    def strike(tale: Tale) -> None:
        def is_ours(args: dict[str, Any]) -> bool:
            return "text" in args and args["channel"] == tale.channel

        tale.server.fault("*", fault, where=is_ours)

    return Trouble(name, strike, kills=kills)


def state(name: str, strike: Callable[[Tale], None], mend: Callable[[Tale], None]) -> Trouble:
    """Return something that a person has to mend."""
    return Trouble(name, strike, mend)


def nothing(tale: Tale) -> None:
    """Let nothing go wrong."""


def delete(tale: Tale) -> None:
    """Delete the message that began the thread: the card."""
    if tale.thread is not None and tale.step != "answer":
        tale.server.delete(tale.server.message(tale.thread.id))


CALLS = (
    call("429", limiting(0.05)),
    call("429 in the body", limiting(in_body=True)),
    call("500", failing(500)),
    call("500 after the write", failing(500, after_write=True)),
    call("cut", cutting()),
    call("cut after the write", cutting(after_write=True)),
    call("no answer in time", slowing(0.7)),
    call("internal error", refusing("internal_error")),
)
HERE = (
    Trouble("nothing", nothing),
    Trouble("asked for twice", nothing, repeats=True),
    Trouble("messages deleted", delete),
)
MENDED = (
    state(
        "channel archived",
        lambda tale: tale.server.archive(tale.channel),
        lambda tale: tale.server.unarchive(tale.channel),
    ),
    state(
        "removed from the channel",
        lambda tale: tale.server.kick(tale.channel),
        lambda tale: tale.server.invite(tale.channel),
    ),
)
EVERYWHERE = (
    state(
        "token revoked",
        lambda tale: tale.server.revoke(),
        lambda tale: renew(tale),
    ),
    state(
        "scope missing",
        lambda tale: tale.server.take_scope("chat:write"),
        lambda tale: tale.server.grant("chat:write"),
    ),
)


def renew(tale: Tale) -> None:
    """Install the app again, and give the bot its new token."""
    tale.stage.clients.bot_token = tale.server.install()
    tale.stage.clients.forget("")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all pauses be short."""
    monkeypatch.setattr(card, "RETRY_S", SHORT_S)
    monkeypatch.setattr(card, "LOOK_S", SHORT_S)
    monkeypatch.setattr(outbox, "FIRST_RETRY_S", SHORT_S)
    monkeypatch.setattr(outbox, "LOOK_S", SHORT_S)
    monkeypatch.setattr(budgets, "FREEZE_EXTRA_S", 0.0)
    monkeypatch.setattr(errors, "DEFAULT_RETRY_S", 0.05)
    monkeypatch.setattr(posting, "SETTLE_S", SHORT_S)
    monkeypatch.setattr(book, "CLAIM_S", 1.0)


@pytest.fixture
def server() -> Iterator[SlackServer]:
    """Return a workspace."""
    with SlackServer(QUICK) as made:
        yield made


async def tell_all(
    server: SlackServer, troubles: tuple[Trouble, ...], at_once: int = AT_ONCE
) -> list[str]:
    """Tell a tale for each fault and step, each in its own channel; return what went wrong."""
    gate = asyncio.Semaphore(at_once)

    async def tell(number: int, trouble: Trouble, step: str) -> list[str]:
        channel = f"C{number}"
        server.channel(channel, f"channel-{number}")
        async with gate:
            return await Tale(server, channel, trouble, step).tell()

    cases = [(trouble, step) for trouble in troubles for step in STEPS]
    told = await asyncio.gather(
        *(tell(number, trouble, step) for number, (trouble, step) in enumerate(cases))
    )
    violations = [one for wrong in told for one in wrong]
    print(f"cases tried: {len(cases)}, violations: {len(violations)}")  # noqa: T201 - the table's sum
    return violations


async def test_faults_of_calls(server: SlackServer) -> None:
    """Whatever Slack answers, and whether or not it did what was asked."""
    assert await tell_all(server, (*HERE, *CALLS)) == []
    assert server.faults_left == 0


async def test_states_of_channels(server: SlackServer) -> None:
    """An archived channel, a bot that was removed: told at once, and all arrives afterwards."""
    assert await tell_all(server, MENDED) == []


async def test_states_of_workspaces(server: SlackServer) -> None:
    """The same for what concerns the whole workspace."""
    assert await tell_all(server, EVERYWHERE, at_once=1) == []


async def test_the_process_dies(server: SlackServer) -> None:
    """It dies while Slack does what was asked; another one takes over."""
    deaths = call("killed", slowing(0.3), kills=True)

    assert await tell_all(server, (deaths,)) == []
