"""Take the pictures of the README from the real demo, again.

    .venv/bin/python docs/images/take.py

It starts `muster demo` on a free port with its state in a temporary folder, waits until an
approval is asked (console.png), approves as Alice, and waits for the answer (answer.png). It takes
about two minutes, and needs Chromium and the packages in requirements-dev.lock.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, async_playwright

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BASELINE_S = 30
WIDTH, HEIGHT = 1280, 1000
ALERT_MS = 120_000
STORY_MS = 240_000
STOP_S = 20
MAX_BYTES = 260_000
TOP_BAR_PX = 60
BELOW_PX = 14
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


async def main() -> None:
    """Take both pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("There is no Chromium on this machine: install it, then try again.")
    async with _demo() as link, async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=CHROMIUM_ARGUMENTS
        )
        context = await browser.new_context(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="light",
            reduced_motion="reduce",
        )
        page = await context.new_page()
        await page.goto(f"{link}&person=alice")
        await page.locator(".newest a").click(timeout=ALERT_MS)
        await _take_console(page)
        await _take_answer(page)
        await browser.close()


async def _take_console(page: Page) -> None:
    """Show the thread from its top down to the approval, once all of it is there."""
    approval = page.locator(".approval.open")
    await approval.wait_for(timeout=STORY_MS)
    await approval.locator("summary", has_text="Deny").wait_for()
    await page.locator(".diagnosis").first.wait_for()
    end = await approval.evaluate(
        "it => it.closest('article').getBoundingClientRect().bottom + scrollY"
    )
    await page.set_viewport_size({"width": WIDTH, "height": int(end) + BELOW_PX})
    await page.evaluate("scrollTo(0, 0)")
    await _save(page, "console.png")


async def _take_answer(page: Page) -> None:
    """Approve, and show the top of the answer with its chart."""
    await page.locator("summary", has_text="Approve").click()
    await page.get_by_label("Comment").fill("the evidence is clear")
    await page.get_by_role("button", name="Yes, approve").click()
    answer = page.locator(".m-answer")
    await answer.wait_for(timeout=STORY_MS)
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    chart = answer.locator("figure img")
    await chart.evaluate("it => it.decode()")
    await answer.evaluate(f"it => scrollTo(0, it.offsetTop - {TOP_BAR_PX})")
    await _save(page, "answer.png")


async def _save(page: Page, name: str) -> None:
    path = HERE / name
    await page.mouse.move(0, 0)
    await page.screenshot(path=path)
    size = path.stat().st_size
    sys.stdout.write(f"{path.relative_to(ROOT)}: {size // 1_000} kB\n")
    if size > MAX_BYTES:
        raise SystemExit(f"{name} is larger than {MAX_BYTES // 1_000} kB: take it smaller.")


@asynccontextmanager
async def _demo() -> AsyncIterator[str]:
    """Run the demo for as long as needed; gives the link to sign in with."""
    with tempfile.TemporaryDirectory(prefix="muster-") as folder:
        environ = {**os.environ, "MUSTER_STATE_DIR": folder, "MUSTER_PORT": str(_free_port())}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-m", "bot", "demo", "--baseline-s", str(BASELINE_S)),
            cwd=ROOT,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert process.stdout is not None  # noqa: S101 - it is piped, two lines above
        try:
            link = await _link(process.stdout)
            reading = asyncio.create_task(_pass_on(process.stdout))
            yield link
        finally:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), STOP_S)
        await reading


async def _link(lines: asyncio.StreamReader) -> str:
    async for line in lines:
        words = line.decode().split()
        if words[:1] == ["Open"]:
            return words[1]
    raise SystemExit("The demo did not start: run `make demo` to see why.")


async def _pass_on(lines: asyncio.StreamReader) -> None:
    """Say what the demo says, so that its pipe never fills up."""
    async for line in lines:
        sys.stdout.write(line.decode())
        sys.stdout.flush()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    asyncio.run(main())
