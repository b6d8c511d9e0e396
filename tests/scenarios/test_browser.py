"""The console as two people on call use it, in a real Chromium, while the shop really breaks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.needs import need_program
from tests.scenarios.browser import PHONE, Chromium, chromium, picture, sideways
from tests.scenarios.program import Home, muster

INCIDENT_MS = 60_000
STORY_MS = 120_000
NO_RELEASE = "the one before the last, " * 5
"""More than any release has."""
SHORT_RELEASE = 12
"""A release may be named by the beginning of its commit: a different argument, the same effect."""


@pytest.fixture
def executable() -> Path:
    """Return Debian's Chromium."""
    return need_program("chromium", "chromium-browser")


async def test_two_people_bring_the_shop_back(tmp_path: Path, executable: Path) -> None:
    """Sign in, watch, edit, approve, read the answer; the other one sees it all happen."""
    home = Home.new(tmp_path)
    demo = muster("demo", "--baseline-s", "12", home=home)
    async with demo as program, chromium(executable) as browser:
        link = await program.link()
        alice = await browser.person("Alice")
        await alice.goto(link)
        await picture(alice, "01-sign-in")
        await alice.get_by_role("button", name="Continue as Alice").click()
        await expect(alice.locator("#live")).to_have_text("live")
        await picture(alice, "02-nothing-yet")

        await _watch_the_card(alice)
        bob = await _bob_waits(browser, link)
        await _edit(alice)
        await _approve(alice)
        await expect(_fix(bob)).to_have_count(0, timeout=INCIDENT_MS)
        await bob.goto(alice.url)
        await expect(_fix(bob)).to_contain_text("Approved by Alice")
        await _read_the_answer(alice)
        await expect(bob.locator(".m-answer h3")).to_contain_text("rolled back")
        await _look_around(alice, "11-run", "12-incidents", "13-runs")

        thread, run = (
            alice.url,
            await alice.get_by_role("link", name="run page").last.get_attribute("href"),
        )
        pages = [
            thread,
            *(
                f"{home.url}{path}"
                for path in (run, "/c/incidents", "/runs", "/incidents", "/approvals")
            ),
        ]
        await _fits_a_phone(browser, link, pages)
        await _is_dark(browser, link, pages[:2])
        assert "\n".join(browser.complaints) == ""


def _fix(page: Page) -> Locator:
    """Return the approval of the fix; another one, of what the public is told, stands beside it."""
    return page.locator(".approval", has_text="Roll back the release")


async def _watch_the_card(alice: Page) -> None:
    """See the thread appear by itself, and its card go on without a reload."""
    await alice.evaluate("window.isTheSamePage = true")
    await alice.locator(".threads a").first.click(timeout=INCIDENT_MS)
    await alice.evaluate("window.isTheSamePage = true")
    await expect(alice.locator(".m-run .card-head")).to_contain_text("running")
    await picture(alice, "03-running")
    await expect(_fix(alice)).to_be_visible(timeout=INCIDENT_MS)
    await expect(alice.locator(".m-run .approval")).to_have_count(2)  # And what the public is told.
    assert await alice.evaluate("window.isTheSamePage")
    await picture(alice, "04-approval")


async def _bob_waits(browser: Chromium, link: str) -> Page:
    bob = await browser.person("Bob")
    await bob.goto(link)
    await bob.get_by_role("button", name="Continue as Bob").click()
    await bob.get_by_role("link", name="Approvals").click()
    await expect(_fix(bob)).to_contain_text("needs approval")
    await picture(bob, "05-bobs-approvals")
    return bob


async def _edit(alice: Page) -> None:
    """Be told of a wrong release beside its field; make revision 2 with a right one."""
    approval = _fix(alice)
    await approval.locator("summary", has_text="Edit").click()
    # The form that opens takes the focus to its first field: typing before that goes astray.
    await expect(approval.get_by_label("Service")).to_be_focused()
    field = approval.get_by_label("Release")
    release = await field.input_value()
    await field.fill(NO_RELEASE)
    await approval.get_by_role("button", name="Save as revision 2").click()
    await expect(approval.locator(".field.wrong .error")).to_be_visible()
    await expect(field).to_have_value(NO_RELEASE)
    await picture(alice, "06-wrong-release")

    await field.fill(release[:SHORT_RELEASE])
    await approval.get_by_role("button", name="Save as revision 2").click()
    await expect(approval.locator(".said")).to_contain_text("revision 2")
    await expect(approval.locator(".fine")).to_contain_text("revision 2")
    await picture(alice, "07-revision-2")


async def _approve(alice: Page) -> None:
    approval = _fix(alice)
    await approval.locator("summary", has_text="Approve").click()
    await approval.get_by_label("Comment").fill("That release has to go.")
    await picture(alice, "08-confirm")
    await approval.get_by_role("button", name="Yes, approve").click()
    await expect(approval).to_contain_text("Approved by Alice")
    await picture(alice, "09-approved")


async def _read_the_answer(alice: Page) -> None:
    """See the answer come into the open page, with a chart and evidence that are there."""
    answer = alice.locator(".m-answer")
    await expect(answer.locator("h3")).to_contain_text("rolled back", timeout=STORY_MS)
    chart = answer.locator("figure img")
    await chart.scroll_into_view_if_needed()
    await expect(chart).to_have_js_property("complete", True)
    assert await chart.evaluate("image => image.naturalWidth") > 0
    assert await alice.evaluate("window.isTheSamePage")
    await picture(alice, "10-answer")

    thread = alice.url
    await answer.locator("a.cite").first.click()
    await expect(alice.locator("table.evidence mark").first).to_be_visible()
    await picture(alice, "14-evidence")
    await alice.goto(thread)
    await expect(alice.locator("#live")).to_have_text("live")


async def _look_around(alice: Page, run: str, incidents: str, runs: str) -> None:
    thread = alice.url
    await alice.get_by_role("link", name="run page").last.click()
    await expect(alice.locator("svg.graph .node").first).to_be_visible()
    await alice.locator("svg.graph a").first.click()
    await expect(alice.locator(".step-detail[open] h3").first).to_have_text("Inputs")
    await picture(alice, run)
    await alice.get_by_role("link", name="Incidents").click()
    await expect(alice.locator("#incidents")).to_contain_text("resolved", timeout=INCIDENT_MS)
    await picture(alice, incidents)
    await alice.get_by_role("link", name="Runs", exact=True).click()
    await expect(alice.locator("#runs")).to_contain_text("succeeded")
    await picture(alice, runs)
    await alice.goto(thread)


async def _fits_a_phone(browser: Chromium, link: str, addresses: Sequence[str]) -> None:
    """At 360 pixels no page has to be scrolled sideways."""
    phone = await browser.person("Alice on the phone", viewport=PHONE, has_touch=True)
    await phone.goto(f"{link}&person=alice")
    for number, address in enumerate(addresses, start=1):
        await phone.goto(address)
        await picture(phone, f"20-phone-{number}")
        assert await sideways(phone) <= 0, address


async def _is_dark(browser: Chromium, link: str, addresses: Sequence[str]) -> None:
    """Who prefers dark gets dark."""
    night = await browser.person("Alice at night", color_scheme="dark")
    await night.goto(f"{link}&person=alice")
    for number, address in enumerate(addresses, start=1):
        await night.goto(address)
        await expect(night.locator("#live")).to_have_text("live")
        shade = await night.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(int(part) for part in shade[4:-1].split(",")) < 64, shade
        await picture(night, f"30-dark-{number}")
