"""What pages show of a run that a supervisor plans."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given, settings

from bot.web.console.render import Templates
from bot.web.show.plan import draw_plan
from jobs import commands as c
from jobs.state import Run
from tests.bot.planned import GOAL_TEXT, PRESENT, ROOT, nested_runs
from tests.bot.web.conftest import sign_in
from tests.bot.web.planned_story import PlannedStory, planned_house
from tests.bot.web.sample import RUN_ID, House

EXAMPLES = 60


@pytest.fixture
def house() -> House:
    """Return a house whose catalogue has supervisors."""
    return planned_house()


@pytest.fixture
def story(house: House) -> PlannedStory:
    """Return a goal that is planned as it goes."""
    return PlannedStory(house)


async def pages(client: httpx.AsyncClient, story: PlannedStory) -> tuple[str, str]:
    """Return the thread's page and the run's page as Alice sees them."""
    await sign_in(client)
    assert story.thread is not None
    thread = await client.get(f"/c/incidents/{story.thread.id}")
    run = await client.get(f"/runs/{RUN_ID}")
    assert (thread.status_code, run.status_code) == (200, 200)
    return thread.text, run.text


async def test_first_card_says_planning(client: httpx.AsyncClient, story: PlannedStory) -> None:
    """Before there is a plan the page shows the goal, who plans it, and a box to write in."""
    await story.begin_planned()
    thread, run = await pages(client, story)

    for page in (thread, run):
        assert "Planning" in page
        assert GOAL_TEXT in page
        assert 'class="reply"' in page
    assert "Supervisor" in thread
    assert "No model was called so far" in run


async def test_pages_show_the_plan_as_it_changes(
    client: httpx.AsyncClient, story: PlannedStory
) -> None:
    """Steps inside steps, why the plan changed, who handed over, what is asked, what it cost."""
    await story.begin_planned(is_late=True)
    await story.plan()
    await story.find()
    await story.draft()
    await story.chat()
    await story.send(c.FireTimer(c.TimerKind.SERVICE_LEVEL, ""), 60.0)
    thread, run = await pages(client, story)

    for said in (
        "child d-2",
        "Writer → Billing",
        "US customers ask about double charges",
        "The plan was changed <b",
        "Which region&#39;s logs should I read first?",
        "Asked by Log analyst",
        "$0.0261, 20,156 tokens, 5 model calls",
        "it should have taken 1m 00s at most",
        "<b>Alice</b>",
        "group:web:",
        "after Word it",
    ):
        assert said in thread, said
    for said in (
        'class="node group n-running"',
        "Checkout waits for payments: look there",
        "Draft the customer update, plan 1",
        "planning anew",
        "openai/gpt-5-mini",
        "read from the provider's cache",
        "Compare p95 of checkout before and after 12:00 UTC.",
        "billing: US customers ask about double charges",
    ):
        assert said in run, said


async def test_answer_says_what_it_took(client: httpx.AsyncClient, story: PlannedStory) -> None:
    """Models, money and time stand under the answer; cites of earlier runs lead to those."""
    await story.begin_planned()
    await story.plan()
    await story.find()
    await story.draft()
    await story.chat()
    await story.end()
    thread, run = await pages(client, story)

    for page in (thread, run):
        assert "$0.0378, 26,784 tokens, 6 model calls" in page
        assert "models used: openai/gpt-5, openai/gpt-5-mini" in page
        assert f"/runs/{RUN_ID}/evidence/ev-latency?quote=" in page
        assert "/runs/run-0/evidence/ev-old?quote=" in page
    assert "No model was used" not in thread


@settings(max_examples=EXAMPLES)
@given(nested_runs())
def test_any_run_is_rendered(run: Run) -> None:
    """Whatever supervisors planned, card and graph show each step once."""
    view = PRESENT.run_view(run)
    templates = Templates()
    card = templates.render("_card.html", view=view, obstacles={}, now=0.0, csrf="x")
    root = view.planner.id if view.planner else ""
    drawing = draw_plan(run, root)
    drawn = [node.id for node in (*drawing.nodes, *drawing.groups)]
    graph = templates.render(
        "_graph.html", drawing=drawing, steps={s.id: s for s in run.all_steps()}, run=run
    )

    assert card.count('<li class="step ') == len(run.steps)
    assert len(drawn) == len(set(drawn))
    assert set(drawn) <= set(run.steps)
    assert root == ROOT or not root
    assert graph.count("<title>") == len(drawn)
    for node in drawing.nodes:
        assert 0 <= node.x <= drawing.width - node.width
        assert 0 <= node.y <= drawing.height - node.height
