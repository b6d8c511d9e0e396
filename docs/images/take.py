"""Take the pictures of the README from the real demo, again.

    .venv/bin/python docs/images/take.py

It starts `muster demo` twice on a free port with its state in a temporary folder. Without a model
it waits until an approval is asked (console.png), approves as Alice, and waits for the answer
(answer.png). With a scripted model it types a goal (planning.png), waits until its plan was changed
(plan.png) and answered (model-answer.png), and follows up with what leads to a question
(question.png). It takes about three minutes, and needs Chromium and the packages in
requirements-dev.lock.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, async_playwright, expect

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))

from tests.model_server import ModelServer  # noqa: E402 - its folder was named right above
from tests.scenarios import thinking  # noqa: E402
from tests.scenarios.program import Home  # noqa: E402
from tests.scenarios.rules import planner  # noqa: E402
from tests.scenarios.rules.shop import PLAN, ShopModel  # noqa: E402

BASELINE_S = 30
SHORT_BASELINE_S = 10
WIDTH, HEIGHT = 1280, 1000
WAIT_MS = 30_000
ALERT_MS = 120_000
STORY_MS = 240_000
STOP_S = 20
MAX_BYTES = 260_000
TOP_BAR_PX = 60
BELOW_PX = 14
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


async def main() -> None:
    """Take all pictures."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise SystemExit("There is no Chromium on this machine: install it, then try again.")
    expect.set_options(timeout=WAIT_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=CHROMIUM_ARGUMENTS
        )
        with tempfile.TemporaryDirectory(prefix="muster-") as folder:
            await _without_model(browser, Home.new(Path(folder)))
        model = ShopModel()
        with tempfile.TemporaryDirectory(prefix="muster-") as folder, ModelServer(model) as server:
            home = Home.new(Path(folder))
            thinking.declare_model(home, server)
            await _with_model(browser, home, model)
            model.let_go()
        await browser.close()


async def _without_model(browser: Browser, home: Home) -> None:
    async with _demo(home, "--baseline-s", f"{BASELINE_S}") as link:
        page = await _signed_in(browser, link)
        await page.locator(".newest a").click(timeout=ALERT_MS)
        await _take_console(page)
        await _take_answer(page)


async def _with_model(browser: Browser, home: Home, model: ShopModel) -> None:
    """Hold the model back wherever a picture is taken."""
    fault = ("--fault", "slow-payments", "--baseline-s", f"{SHORT_BASELINE_S}")
    async with _demo(home, *fault) as link:
        page = await _signed_in(browser, link)
        await page.locator(".threads a").first.wait_for(timeout=ALERT_MS)
        planned, logs = model.hold(PLAN), model.hold(planner.LOGS)
        cause, now = model.hold(planner.CAUSE), model.hold(planner.NOW)
        await thinking.ask(page, thinking.GOAL)
        await expect(thinking.card(page).locator(".headline")).to_contain_text("Planning")
        await _take(page, page.locator(".reply"), "planning.png")

        planned.set()
        await thinking.card(page).locator(".changed summary").click()
        await expect(thinking.row(page, planner.CAUSE)).to_contain_text("running")
        await expect(thinking.row(page, planner.RELEASES)).to_contain_text("succeeded")
        await _take(page, page.locator(".reply"), "plan.png")

        cause.set()
        logs.set()
        answer = thinking.answer(page)
        await expect(answer).to_contain_text("waits for payments")
        await _take(page, answer, "model-answer.png", is_alone=True)

        await thinking.reply(page, thinking.FOLLOW_UP)
        card = thinking.card(page)
        await expect(card).to_contain_text("needs an answer")
        await expect(thinking.row(page, planner.NOW)).to_contain_text("running")
        await _take(page, card, "question.png", is_alone=True)
        now.set()


async def _signed_in(browser: Browser, link: str) -> Page:
    context = await browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="light",
        reduced_motion="reduce",
    )
    page = await context.new_page()
    await page.goto(f"{link}&person=alice")
    return page


async def _take_console(page: Page) -> None:
    """Show what was found, down to the fix that is asked about."""
    fix = page.locator(".approval.open", has_text="Roll back the release")
    await fix.locator("summary", has_text="Deny").wait_for(timeout=STORY_MS)
    found = page.locator(".diagnosis").first
    begin: float = await found.evaluate("it => it.getBoundingClientRect().top + scrollY")
    end: float = await fix.evaluate("it => it.getBoundingClientRect().bottom + scrollY")
    reply: float = await page.locator(".reply").evaluate("it => it.offsetHeight")
    height = int(end - begin + reply) + TOP_BAR_PX + 2 * BELOW_PX
    await page.set_viewport_size({"width": WIDTH, "height": height})
    await page.evaluate(f"scrollTo(0, {begin - TOP_BAR_PX})")
    await _save(page, "console.png")
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


async def _take_answer(page: Page) -> None:
    """Approve, and show the top of the answer with its chart."""
    fix = page.locator(".approval.open", has_text="Roll back the release")
    await fix.locator("summary", has_text="Approve").click()
    await fix.get_by_label("Comment").fill("the evidence is clear")
    await fix.get_by_role("button", name="Yes, approve").click()
    answer = page.locator(".m-answer")
    await answer.wait_for(timeout=STORY_MS)
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    chart = answer.locator("figure img")
    await chart.evaluate("it => it.decode()")
    await answer.evaluate(f"it => scrollTo(0, it.offsetTop - {TOP_BAR_PX})")
    await _save(page, "answer.png")


async def _take(page: Page, last: Locator, name: str, *, is_alone: bool = False) -> None:
    """Show the page from its top down to an element, or that element alone."""
    await page.evaluate("scrollTo(0, 0)")
    whole: int = await page.evaluate("document.documentElement.scrollHeight")
    await page.set_viewport_size({"width": WIDTH, "height": whole})  # Nothing sticks over it.
    if is_alone:
        await _save(page, name, last)
    else:
        end: float = await last.evaluate("it => it.getBoundingClientRect().bottom")
        await page.set_viewport_size({"width": WIDTH, "height": int(end) + BELOW_PX})
        await _save(page, name)
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


async def _save(page: Page, name: str, part: Locator | None = None) -> None:
    path = HERE / name
    await page.mouse.move(0, 0)
    await (part or page).screenshot(path=path)
    size = path.stat().st_size
    sys.stdout.write(f"{path.relative_to(ROOT)}: {size // 1_000} kB\n")
    if size > MAX_BYTES:
        raise SystemExit(f"{name} is larger than {MAX_BYTES // 1_000} kB: take it smaller.")


@asynccontextmanager
async def _demo(home: Home, *arguments: str) -> AsyncIterator[str]:
    """Run the demo for as long as needed; gives the link to sign in with."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-u", "-m", "bot", "demo", *arguments),
        cwd=ROOT,
        env=home.environ(),
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


if __name__ == "__main__":
    asyncio.run(main())
