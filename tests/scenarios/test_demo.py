"""`muster demo`, run as a visitor runs it: every story, Ctrl-C, and coming back."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scenarios.program import Home, assert_gone, kill, muster

STORY_S = 240
"""The most that one story may take on a busy machine."""
MEMBERS = 11
"""The demo, Redis, the bot, the parent of two workers, the shop's director and its four."""


@dataclass(frozen=True, slots=True)
class Story:
    """How the demo is asked to run, and what it has to say."""

    name: str
    arguments: tuple[str, ...]
    says: tuple[str, ...]
    never_says: tuple[str, ...] = ()


STORIES = (
    Story(
        "approved",
        ("--baseline-s", "12"),
        (
            "Incident CheckoutErrorRateHigh: open",
            "Roll back the release: approved by Alice",
            "Incident CheckoutErrorRateHigh: resolved",
            "Answer: Checkout was failing because release",
        ),
    ),
    Story(
        "denied",
        ("--baseline-s", "12", "--deny"),
        ("Incident CheckoutErrorRateHigh: open", "Roll back the release: denied by Alice"),
        ("approved by", "Incident CheckoutErrorRateHigh: resolved"),
    ),
    Story(
        "slow-payments",
        ("--baseline-s", "20", "--fault", "slow-payments"),
        (
            "Restart the dependency: approved by Alice",
            "Incident CheckoutErrorRateHigh: resolved",
        ),
        ("? Roll back the release",),
    ),
    Story(
        "nothing-wrong",
        ("--baseline-s", "12", "--fault", "none"),
        ("Incident CheckoutErrorsSeen: open", "Answer: "),
        ("Waits for group", "approved by"),
    ),
)


async def test_every_story_ends_as_it_should(tmp_path: Path) -> None:
    """Each fault is judged right from its evidence, and what was denied is not done."""
    problems = await asyncio.gather(*(_told(story, tmp_path / story.name) for story in STORIES))

    assert "".join(problems) == ""


async def _told(story: Story, directory: Path) -> str:
    """Run one story and return what is wrong with it, with its logs; empty when nothing is."""
    home = Home.new(directory)
    arguments = ("demo", "--unattended", *story.arguments)
    try:
        async with muster(*arguments, home=home) as program:
            code = await program.ends(STORY_S)
            said = program.said
    except AssertionError as error:
        return f"--- {story.name}: {error}\n{_logs(home)}"
    wrong = [f"it ended with {code}"] if code else []
    wrong += [f"it did not say: {text}" for text in story.says if text not in said]
    wrong += [f"it said: {text}" for text in story.never_says if text in said]
    if "As it should be." not in said:
        wrong.append("it did not judge itself right")
    if not wrong:
        return ""
    return f"--- {story.name}: {'; '.join(wrong)}\n{said}\n{_logs(home)}"


def _logs(home: Home) -> str:
    state = home.state_dir / "demo"
    files = [state / "muster.log", state / "shop.log", *sorted((state / "shop/logs").glob("*.err"))]
    return "\n".join(f"-- {path}\n{path.read_text()}" for path in files if path.exists())


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_stops_everything(tmp_path: Path, sign: signal.Signals) -> None:
    """Ctrl-C ends every process of the demo, and the same state directory serves again."""
    home = Home.new(tmp_path)
    for _ in range(2):
        async with muster("demo", "--baseline-s", "60", home=home) as program:
            await program.link()
            family = program.family()
            assert len(family) >= MEMBERS
            os.killpg(program.pid, sign)

            assert await program.ends(30) == 0
            await assert_gone(family)
            assert "Traceback" not in program.said


async def test_a_killed_demo_leaves_a_place_to_start_again(tmp_path: Path) -> None:
    """After kill -9 of the demo itself the next one takes over its state directory."""
    home = Home.new(tmp_path)
    async with muster("demo", "--baseline-s", "60", home=home, name="first") as program:
        await program.link()
        family = program.family()
        redis = program.redis()
        program.process.kill()
        await program.ends(10)
        try:
            # Redis is the one that may stay: all it acknowledged is on its disk.
            await assert_gone([one for one in family if one != redis])

            async with muster("demo", "--baseline-s", "60", home=home) as second:
                await second.link()
        finally:
            kill(family)
    await assert_gone(family)
