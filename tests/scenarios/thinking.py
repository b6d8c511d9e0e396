"""The demo with a model: where the scripted one is declared, and what people do on its pages."""

from __future__ import annotations

from pathlib import Path

import yaml
from playwright.async_api import Locator, Page, expect

from tests.model_server import ModelServer
from tests.scenarios.program import Home

MODEL = "openai/test-model"
ALIASES = ("smart", "fast", "code")
USD_IN, USD_OUT = 3.0, 15.0
"""Per million tokens; litellm knows no price of a server on this machine."""
GOAL = "find out why p95 of checkout doubled since noon, and draft an update for customers"
FOLLOW_UP = "is it still that slow? then fit the update to whoever should read it"
LAST_GOAL = "keep an eye on checkout, and tell me when it is over"


def declare_model(home: Home, server: ModelServer) -> None:
    """Let the demo of this home use the server for every alias, at a price."""
    spec = {
        "model": MODEL,
        "base_url": server.base_url,
        "input_usd_per_million": USD_IN,
        "output_usd_per_million": USD_OUT,
    }
    config_dir(home).mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({"models": {alias: [spec] for alias in ALIASES}})
    (config_dir(home) / "models.yaml").write_text(text)


def config_dir(home: Home) -> Path:
    """Return where the demo of this home has its catalogue."""
    return home.state_dir / "demo" / "config"


async def ask(page: Page, goal: str) -> None:
    """Type a goal, and land in its thread."""
    await page.get_by_label("New goal in").fill(goal)
    await page.get_by_role("button", name="Start").click()
    await expect(page.locator("#thread-head h1")).to_contain_text(goal[:30])
    await expect(page.locator("#live")).to_have_text("live")


async def reply(page: Page, text: str) -> None:
    """Write in the thread that is open."""
    await page.get_by_label("Write in this thread").fill(text)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_label("Write in this thread")).to_have_value("")


def card(page: Page) -> Locator:
    """Return the card of the thread's latest run."""
    return page.locator(".m-run").last


def answer(page: Page) -> Locator:
    """Return the latest answer of the thread."""
    return page.locator(".m-answer").last


def row(page: Page, title: str) -> Locator:
    """Return a step of the latest run."""
    named = page.locator(".what b").get_by_text(title, exact=True)
    return card(page).locator(".step", has=named)
