"""A real Chromium that remembers everything a page complained about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, Request, Response, async_playwright

ARTEFACTS = Path(__file__).resolve().parents[1] / "artefacts"
"""Where pictures of the console are kept for people to look at; git ignores it."""
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WAIT_MS = 20_000
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 360, "height": 740}
_CUT_OFF = "net::ERR_ABORTED"
"""What a stream says of itself when its page is left."""


@dataclass(slots=True)
class Chromium:
    """A browser in which several people can be signed in at once."""

    browser: Browser
    complaints: list[str] = field(default_factory=list)

    async def person(self, name: str, **options: Any) -> Page:
        """Return a page of a fresh context, as another person on another machine has it."""
        context = await self.browser.new_context(**({"viewport": DESKTOP} | options))
        context.set_default_timeout(WAIT_MS)
        page = await context.new_page()

        def complain(text: str) -> None:
            self.complaints.append(f"{name} on {page.url}: {text}")

        def failed(request: Request) -> None:
            if request.failure != _CUT_OFF:
                complain(f"{request.method} {request.url} failed: {request.failure}")

        def answered(response: Response) -> None:
            if response.status >= 400:
                complain(f"{response.request.method} {response.url}: {response.status}")

        page.on("pageerror", lambda error: complain(str(error)))
        page.on("requestfailed", failed)
        page.on("response", answered)
        page.on(
            "console",
            lambda message: (
                complain(message.text) if message.type in ("error", "warning") else None
            ),
        )
        return page


@asynccontextmanager
async def chromium(executable: Path) -> AsyncIterator[Chromium]:
    """Run a browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        try:
            yield Chromium(browser)
        finally:
            await browser.close()


async def picture(page: Page, name: str) -> None:
    """Keep a picture of the whole page."""
    ARTEFACTS.mkdir(exist_ok=True)
    # The page scrolls to its top, or a heading that sticks would stand across the middle; and it
    # keeps its caret: hiding it takes an inline style, which the console rightly forbids.
    await page.evaluate("window.scrollTo(0, 0)")
    # The window grows to hold the page, or the box to reply in would stand across the middle.
    size = page.viewport_size
    tall: int = await page.evaluate("document.documentElement.scrollHeight")
    if size is not None and tall > size["height"]:
        await page.set_viewport_size({"width": size["width"], "height": tall})
    await page.screenshot(path=ARTEFACTS / f"{name}.png", full_page=True, caret="initial")
    if size is not None:
        await page.set_viewport_size(size)


async def sideways(page: Page) -> int:
    """Return by how many pixels the page can be scrolled sideways."""
    wider: int = await page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return wider
