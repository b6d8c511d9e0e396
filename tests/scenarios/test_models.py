"""The demo with a model, over HTTP and in a real Chromium: plans, findings, questions, answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.async_api import Page, expect

from demo.info import ShopInfo, health
from tests.model_server import ModelServer
from tests.needs import need_program
from tests.scenarios import thinking
from tests.scenarios.browser import PHONE, Chromium, chromium, picture, sideways
from tests.scenarios.program import Home, command, muster, until
from tests.scenarios.rules import planner
from tests.scenarios.rules.analysts import READERS
from tests.scenarios.rules.shop import PLAN, ShopModel
from tests.scenarios.thinking import answer, card, reply, row

WAIT_MS = 20_000
STORY_MS = 120_000
"""The most that one part of a story may take on a busy machine."""
NEW_LINE = re.compile(r"payments (WARN|ERROR) new, \d+ times")
BASELINE_S = "8"
LONG_S = "600"
"""A healthy time that no test outlasts."""


@pytest.fixture(autouse=True)
def patience() -> None:
    """Wait long enough for a busy machine."""
    expect.set_options(timeout=WAIT_MS)


@pytest.fixture
def executable() -> Path:
    """Return Debian's Chromium."""
    return need_program("chromium", "chromium-browser")


@pytest.fixture
def model() -> ShopModel:
    """Return a model that plays everybody of the demo shop."""
    return ShopModel()


@pytest.fixture
def server(model: ShopModel) -> Iterator[ModelServer]:
    """Serve the model as any provider does."""
    with ModelServer(model) as server:
        yield server
        model.let_go()


async def test_a_goal_in_plain_words(
    tmp_path: Path, executable: Path, model: ShopModel, server: ModelServer
) -> None:
    """It is planned, done, replanned and answered from evidence; then the incident is mended."""
    home = Home.new(tmp_path)
    thinking.declare_model(home, server)
    demo = muster("demo", "--fault", "slow-payments", "--baseline-s", BASELINE_S, home=home)
    async with demo as program, chromium(executable) as browser:
        link = await program.link()
        alice = await browser.person("Alice")
        await alice.goto(f"{link}&person=alice")
        incident = alice.locator(".threads a").first
        await incident.wait_for(timeout=STORY_MS)
        incident_path = await incident.get_attribute("href")

        first = await _plan_and_answer(alice, model)
        await _follow_up(alice, model, first)
        await _stop(alice, model)
        pages = [alice.url, first, f"{home.url}{incident_path}"]
        await _mend(alice, home, pages[-1])
        await _fits_a_phone_and_the_night(browser, link, pages)
        assert "\n".join(browser.complaints) == ""
    assert server.ledger.refused == []
    assert server.ledger.repeated == []


async def _plan_and_answer(alice: Page, model: ShopModel) -> str:
    """See a goal being planned, its plan change for a reason, and the answer; return its run."""
    planned = model.hold(PLAN)
    looks = [model.hold(cue) for cue in (planner.LATENCY, planner.RELEASES, planner.LOGS)]
    cause = model.hold(planner.CAUSE)
    await thinking.ask(alice, thinking.GOAL)
    await expect(card(alice).locator(".headline")).to_contain_text("Planning")
    await picture(alice, "40-planning")

    planned.set()
    for title, who in (
        (planner.LATENCY, "Researcher"),
        (planner.RELEASES, "Change analyst"),
        (planner.LOGS, "Log analyst"),
    ):
        await expect(row(alice, title)).to_contain_text("running")
        await expect(row(alice, title)).to_contain_text(who)
    for title in (planner.COMPARE, planner.DRAFT):
        await expect(row(alice, title)).to_contain_text("pending")
        await expect(row(alice, title)).to_contain_text("after")
    await picture(alice, "41-in-parallel")

    looks[0].set()
    looks[1].set()
    changed = card(alice).locator(".changed")
    await expect(changed).to_contain_text("The plan was changed 1 time")
    await changed.locator("summary").click()
    await expect(changed).to_contain_text("Checkout waits for payments, whose p95 rose to")
    await expect(changed.locator("s")).to_contain_text(planner.COMPARE)
    await expect(row(alice, planner.COMPARE)).to_contain_text("skipped")
    await expect(row(alice, planner.CAUSE)).to_contain_text("running")
    await picture(alice, "42-revised")

    cause.set()
    looks[2].set()
    await expect(answer(alice).locator("h3")).to_have_text(
        "Checkout is slow because it waits for payments."
    )
    await picture(alice, "43-answer")
    await expect(answer(alice)).to_contain_text("paying takes longer than usual")
    foot = answer(alice).locator(".foot")
    for said in ("$0.", "model calls", thinking.MODEL, "took"):
        await expect(foot).to_contain_text(said)
    await _claims_hold(alice, at_least=3)
    thread = alice.url
    await answer(alice).locator("a.cite").last.click()
    await expect(alice.locator("table.evidence mark").first).to_have_text(NEW_LINE)
    await picture(alice, "44-evidence")
    await alice.goto(thread)
    path = await answer(alice).get_by_role("link", name="run page").get_attribute("href")
    return f"{thread.partition('/c/')[0]}{path}"


async def _claims_hold(alice: Page, at_least: int) -> None:
    """Follow every quote of the latest answer: it stands in what a tool gave."""
    cites = await answer(alice).locator("a.cite").all()
    assert len(cites) >= at_least
    assert await answer(alice).locator(".struck").count() == 0
    for cite in cites:
        href = await cite.get_attribute("href")
        page = await alice.request.get(f"{alice.url.partition('/c/')[0]}{href}")
        assert page.ok
        assert "<mark>" in await page.text(), unquote(str(href))


async def _follow_up(alice: Page, model: ShopModel, first: str) -> None:
    """Go on in the thread: a question waits while the rest is done, and old evidence is cited."""
    now = model.hold(planner.NOW)
    await reply(alice, thinking.FOLLOW_UP)
    question = card(alice).locator("section", has_text="who is the update for?")
    await expect(question).to_contain_text("needs an answer")
    await expect(question).to_contain_text("the other steps go on meanwhile")
    await expect(row(alice, planner.NOW)).to_contain_text("running")
    await picture(alice, "45-question")
    now.set()
    await expect(row(alice, planner.NOW)).to_contain_text("succeeded")
    await expect(question).to_contain_text("needs an answer")

    await question.get_by_role("button", name=READERS[1]).click()
    await expect(answer(alice).locator("h3")).to_contain_text("payments still takes")
    await expect(answer(alice)).to_contain_text("For enterprise customers: Dear partners")
    run_path = first.rpartition("/runs/")[2]
    earlier = answer(alice).locator(f'a.cite[href^="/runs/{run_path}/evidence/"]')
    await expect(earlier).to_have_text(NEW_LINE)
    await _claims_hold(alice, at_least=2)
    await picture(alice, "46-follow-up")


async def _stop(alice: Page, model: ShopModel) -> None:
    """Say stop, and the run ends."""
    watching = model.hold(planner.WATCH)
    await reply(alice, thinking.LAST_GOAL)
    await expect(row(alice, planner.WATCH)).to_contain_text("running")
    await reply(alice, "stop")
    await expect(card(alice).locator(".card-head")).to_contain_text("cancelled")
    watching.set()


async def _mend(alice: Page, home: Home, thread: str) -> None:
    """Approve what the analysts propose for the incident, and see the shop back to normal."""
    await alice.goto(thread)
    fix = alice.locator(".approval", has_text="Restart the dependency")
    await expect(fix).to_contain_text("needs approval", timeout=STORY_MS)
    await fix.locator("summary", has_text="Approve").click()
    await fix.get_by_role("button", name="Yes, approve").click()
    await expect(answer(alice).locator("h3")).to_contain_text("payments", timeout=STORY_MS)
    await expect(answer(alice)).to_contain_text("restarted")
    await expect(answer(alice).locator(".foot")).to_contain_text(thinking.MODEL)
    await picture(alice, "47-mended")
    await _claims_hold(alice, at_least=3)
    info = ShopInfo.load(home.state_dir / "demo" / "shop")
    assert [(one["kind"], one["service"]) for one in _effects(info)] == [("restart", "payments")]
    assert (await health(info))["healthy"]


def _effects(info: ShopInfo) -> list[dict[str, str]]:
    """Return what was done to the shop."""
    return [json.loads(line) for line in Path(info.layout.effects).read_text().splitlines()]


async def _fits_a_phone_and_the_night(
    browser: Chromium, link: str, addresses: Sequence[str]
) -> None:
    """At 360 pixels no page has to be scrolled sideways; who prefers dark gets dark."""
    phone = await browser.person("Alice on the phone", viewport=PHONE, has_touch=True)
    night = await browser.person("Alice at night", color_scheme="dark")
    for page in (phone, night):
        await page.goto(f"{link}&person=alice")
    for number, address in enumerate(addresses, start=1):
        for page, name in ((phone, "phone"), (night, "dark")):
            await page.goto(address)
            await picture(page, f"48-{name}-{number}")
        assert await sideways(phone) <= 0, address


async def test_runbooks_take_over(
    tmp_path: Path, executable: Path, model: ShopModel, server: ModelServer
) -> None:
    """A model server that dies in the middle of a run leaves runbooks, and answers that say so."""
    home = Home.new(tmp_path)
    thinking.declare_model(home, server)  # The demo heeds the variables instead.
    declared = home.environ(MUSTER_CONFIG_DIR=str(thinking.config_dir(home)))
    variables = {"MUSTER_MODEL_NAME": thinking.MODEL, "MUSTER_MODEL_BASE_URL": server.base_url}
    environ = home.environ(**variables)
    demo = muster("demo", "--baseline-s", LONG_S, home=home, environ=environ)
    async with demo as program, chromium(executable) as browser:
        alice = await browser.person("Alice")
        await alice.goto(f"{await program.link()}&person=alice")
        reachable = command("models", home=home, environ=declared, name="models-up")
        looking = asyncio.create_task(reachable)

        held = model.hold(planner.DEPLOYS)
        await thinking.ask(alice, "what was deployed to checkout lately?")
        await expect(row(alice, planner.DEPLOYS)).to_contain_text("running")
        await until(lambda: _is_held(server), 30, "the step asks the model")
        code, said = await looking
        assert (code, said.count(" yes ")) == (0, 3), said
        assert all(said.count(price) == 3 for price in ("3.00", "15.00")), said
        server.stop()
        held.set()
        await expect(answer(alice)).to_be_visible(timeout=STORY_MS)
        followed = f"{planner.DEPLOYS}: no model answered, so Change analyst followed its runbook"
        await expect(answer(alice)).to_contain_text(followed)
        await picture(alice, "50-cut-off")

        await reply(alice, "what is wrong with payments?")
        await expect(answer(alice)).to_contain_text("No model was used", timeout=STORY_MS)
        await picture(alice, "51-runbooks")

        code, said = await command("models", home=home, environ=environ, name="models-down")
        assert (code, said.count(" no ")) == (1, 3), said
        assert "No model answers for smart" in said
        assert "\n".join(browser.complaints) == ""


async def _is_held(server: ModelServer) -> bool:
    return any(planner.DEPLOYS in asked.transcript for asked in server.calls)
