"""The console in a real Chromium: what only a browser can get wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, async_playwright, expect

from agents.domain import Moment
from jobs import commands as c
from tests.bot.web.planned_story import PlannedStory
from tests.bot.web.sample import ALICE, APPROVAL_ID, BOB, DEMO_KEY, RUN_ID, House, Story
from tests.needs import need_program

WAIT_MS = 8_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture
async def page(address: str) -> AsyncIterator[Page]:
    """Return a browser's page; at its end nothing may have been reported on its console."""
    chromium = need_program("chromium", "chromium-browser")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        context = await browser.new_context(base_url=address)
        opened = await context.new_page()
        opened.set_default_timeout(WAIT_MS)
        complaints: list[str] = []
        opened.on(
            "console",
            lambda message: complaints.append(message.text) if message.type == "error" else None,
        )
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        yield opened
        assert complaints == []
        await browser.close()


async def _open_thread(page: Page, story: Story) -> None:
    assert story.thread is not None
    target = f"/c/{story.thread.channel}/{story.thread.id}"
    await page.goto(f"/login?key={DEMO_KEY}&person=alice&next={target}")
    await expect(page.locator("#live")).to_have_text("live", timeout=WAIT_MS)


async def test_the_card_changes_while_it_is_looked_at(page: Page, story: Story) -> None:
    """Steps that start and end show in the open page, without a reload."""
    await story.begin()
    await _open_thread(page, story)

    await story.send(c.StartStep("metrics", 1, "w"))

    await expect(page.locator(".step").first).to_contain_text("running", timeout=WAIT_MS)


async def test_a_form_that_is_filled_in_survives_updates(page: Page, story: Story) -> None:
    """A card that changes leaves an open form, its text and the focus alone."""
    await story.begin()
    await story.look()
    await story.ask()
    await _open_thread(page, story)
    await page.locator("summary", has_text="Approve").click()
    await page.get_by_label("Comment").fill("half a sen")

    await story.send(c.Signal(Moment(1.0, "Alert repeated", "note")))
    await story.note("Something else was said.", "warning")
    await expect(page.get_by_text("Something else was said.")).to_be_visible(timeout=WAIT_MS)

    await expect(page.get_by_label("Comment")).to_have_value("half a sen")
    await expect(page.get_by_label("Comment")).to_be_focused()


async def test_edit_then_approve(page: Page, house: House, story: Story) -> None:
    """A wrong argument is marked in place; a right one makes a revision, which can be approved."""
    await story.begin()
    await story.look()
    await story.ask()
    await _open_thread(page, story)
    await page.locator("summary", has_text="Edit").click()
    await page.get_by_label("Release").fill("nope")
    await page.get_by_role("button", name="Save as revision 2").click()
    await expect(page.locator(".field.wrong")).to_contain_text("pattern", timeout=WAIT_MS)

    await page.get_by_label("Release").fill("77b01aa")
    await page.get_by_role("button", name="Save as revision 2").click()
    await expect(page.locator(".approval .said")).to_contain_text("revision 2", timeout=WAIT_MS)
    await story.show(await house.runs.get(RUN_ID))
    await expect(page.locator(".approval .fine")).to_contain_text("revision 2", timeout=WAIT_MS)
    await page.locator("summary", has_text="Approve").click()
    await page.get_by_role("button", name="Yes, approve").click()
    await expect(page.locator(".approval .said")).to_contain_text(
        "Approved by Alice", timeout=WAIT_MS
    )

    approval = (await house.runs.get(RUN_ID)).approvals[APPROVAL_ID]
    assert (approval.status, approval.revision) == ("approved", 2)
    assert approval.calls[0].args["release"] == "77b01aa"


async def test_approving_by_keyboard(page: Page, house: House, story: Story) -> None:
    """Tab, Enter and Escape are enough, and the focus stays with the approval afterwards."""
    await story.begin()
    await story.look()
    await story.ask()
    await _open_thread(page, story)
    approve = page.locator("summary", has_text="Approve")
    await approve.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Comment")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(approve).to_be_focused()
    await expect(page.get_by_label("Comment")).to_be_hidden()

    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Comment")).to_be_focused()
    await page.keyboard.type("go")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".approval .said")).to_contain_text("Approved by Alice")
    await story.show(await house.runs.get(RUN_ID))

    await expect(page.locator(".approval")).to_contain_text("Approved by Alice at")
    await expect(page.locator(".approval")).to_be_focused()


async def test_the_answer_and_its_chart_appear(page: Page, story: Story) -> None:
    """The answer comes into the open thread with its chart; the run page draws the plan."""
    await story.begin()
    await story.look()
    await story.ask()
    await _open_thread(page, story)
    await story.decide(BOB)
    await story.finish()

    await expect(page.locator(".m-answer h3")).to_contain_text("broke checkout", timeout=WAIT_MS)
    image = page.locator("figure img")
    await image.scroll_into_view_if_needed()
    await expect(image).to_have_js_property("naturalWidth", 640, timeout=WAIT_MS)
    await page.goto(f"/runs/{RUN_ID}")
    await expect(page.locator("svg.graph .node")).to_have_count(9)
    await page.locator("svg.graph a").first.click()
    await expect(page.locator(".step-detail[open] h3").first).to_have_text("Inputs")


async def test_the_plan_fits_on_an_ordinary_screen(page: Page, story: Story) -> None:
    """At 1280 pixels the graph is not scrolled, and no line of text leaves its box."""
    await page.set_viewport_size({"width": 1280, "height": 800})
    await story.begin()
    await _open_thread(page, story)
    await page.goto(f"/runs/{RUN_ID}")

    box = page.get_by_role("region", name="Graph of the steps")
    assert await box.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert await page.evaluate(
        """[...document.querySelectorAll(".node")].every(node => {
            const edge = node.querySelector("rect").getBoundingClientRect().right;
            return [...node.querySelectorAll("text")].every(
                text => text.getBoundingClientRect().right < edge);
        })"""
    )


async def test_no_page_is_wider_than_a_phone(page: Page, story: Story) -> None:
    """At 360 pixels nothing has to be scrolled sideways but the graph in its own box."""
    await page.set_viewport_size({"width": 360, "height": 740})
    await story.begin(ALICE)
    await story.look()
    await story.ask(calls=2, quorum=2, title="Roll back checkout " + "x" * 90)
    await _open_thread(page, story)
    assert story.thread is not None

    thread = f"/c/{story.thread.channel}/{story.thread.id}"
    for path in ("/c/incidents", thread, "/runs", f"/runs/{RUN_ID}", "/approvals", "/incidents"):
        await page.goto(path)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, path


async def test_a_reply_is_sent_by_keyboard_and_shows_in_the_thread(
    page: Page, house: House
) -> None:
    """Enter sends; the words appear in the thread, and the box is empty and focused again."""
    story = PlannedStory(house)
    await story.begin_planned()
    await _open_thread(page, story)
    box = page.get_by_label("Write in this thread")
    await box.fill("only the EU")
    await box.press("Enter")

    await expect(page.locator(".by-person")).to_contain_text("only the EU", timeout=WAIT_MS)
    await expect(page.locator(".reply .notice")).to_contain_text("timeline", timeout=WAIT_MS)
    await expect(box).to_have_value("")
    await expect(box).to_be_focused()
    await box.fill("stop")
    await box.press("Enter")
    await expect(page.locator(".reply .notice")).to_contain_text("being stopped", timeout=WAIT_MS)
    assert (await house.runs.get(RUN_ID)).stopped_by == "Alice"


async def test_planned_run_fits_on_a_phone(page: Page, house: House) -> None:
    """Plans inside plans, model calls and revisions need no sideways scrolling at 360 pixels."""
    await page.set_viewport_size({"width": 360, "height": 740})
    story = PlannedStory(house)
    await story.begin_planned(is_late=True)
    await story.plan()
    await story.find()
    await story.draft()
    await story.chat()
    await _open_thread(page, story)
    assert story.thread is not None

    for path in (f"/c/incidents/{story.thread.id}", f"/runs/{RUN_ID}"):
        await page.goto(path)
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360, path
