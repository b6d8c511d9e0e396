"""Take the pictures of docs/slack.md from the preview page, again.

    .venv/bin/python docs/images/take_slack.py

It draws `muster preview slack` into a temporary folder and takes one picture per scene, light,
and one of them dark. It needs Chromium and the packages in requirements-dev.lock.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Browser, async_playwright

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
WIDTH = 800
HEIGHT = 900
SCALE = 1.5
MARGIN_PX = 12
MAX_BYTES = 260_000
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LIGHT = ("running", "approval", "question", "answer", "storm", "modal", "home")
DARK = ("approval",)


async def main() -> None:
    """Take all pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("There is no Chromium on this machine: install it, then try again.")
    sys.path.insert(0, str(ROOT))
    from bot.preview.page import page_of

    with tempfile.TemporaryDirectory(prefix="muster-") as folder:
        page = Path(folder) / "slack.html"
        page.write_text(page_of("slack"), encoding="utf-8")
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=chromium, args=CHROMIUM_ARGUMENTS
            )
            await _take(browser, page, "light", LIGHT)
            await _take(browser, page, "dark", DARK)
            await browser.close()


async def _take(browser: Browser, page: Path, theme: str, scenes: Sequence[str]) -> None:
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        device_scale_factor=SCALE,
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    tab = await context.new_page()
    await tab.goto(page.as_uri())
    for scene in scenes:
        box = await tab.locator(f"#{scene} .slack").first.bounding_box()
        if box is None:
            raise SystemExit(f"The page has no scene {scene}: see bot/preview/slack.py.")
        path = HERE / (f"slack-{scene}.png" if theme == "light" else f"slack-{scene}-dark.png")
        await tab.screenshot(
            path=path,
            full_page=True,
            clip={
                "x": box["x"] - MARGIN_PX,
                "y": box["y"] - MARGIN_PX,
                "width": box["width"] + 2 * MARGIN_PX,
                "height": box["height"] + 2 * MARGIN_PX,
            },
        )
        _report(path)
    await context.close()


def _report(path: Path) -> None:
    size = path.stat().st_size
    sys.stdout.write(f"{path.relative_to(ROOT)}: {size // 1_000} kB\n")
    if size > MAX_BYTES:
        raise SystemExit(f"{path.name} is larger than {MAX_BYTES // 1_000} kB: take it smaller.")


if __name__ == "__main__":
    asyncio.run(main())
