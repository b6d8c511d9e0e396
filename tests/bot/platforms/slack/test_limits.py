"""Whatever a view holds: Slack takes it, nothing pings, no link lies, and clicks mean it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from bot.platforms.slack.blocks import MAX_VALUE, Block, problems, view_problems
from bot.platforms.slack.clicks import read_click
from bot.platforms.slack.escape import width
from bot.platforms.slack.home import home
from bot.platforms.slack.modals import edit_modal, reply_modal
from bot.platforms.slack.render import render
from bot.platforms.slack.style import Style
from bot.views import AnswerView, HomeView, IncidentView, NoteView, RunView, View
from jobs.state import Run
from tests.bot.planned import PRESENT, nested_runs
from tests.bot.platforms.slack.anything import (
    ANSWERS,
    APPROVALS,
    INCIDENTS,
    NOTES,
    QUESTIONS,
    RUNS,
)

STYLES = st.builds(
    Style,
    is_native=st.booleans(),
    public_url=st.sampled_from(["", "https://muster.example"]),
    workspace_url=st.just("https://shop.slack.example/"),
    files=st.just({}),
)
SLOW = settings(
    deadline=None,
    max_examples=20,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # what is this large shrinks for minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
OURS = re.compile(
    r"!date\^\d+\^[^|]*\|[^|]*|https://(?:muster|shop\.slack)\.example[^|\s]*\|[^|]*.*"
)
PINGS = re.compile(r"@[UW][A-Z0-9]+|!subteam\^S[A-Z0-9]+")


def texts(block: Any, kind: str) -> Iterator[str]:
    """Yield all texts of a kind in a block."""
    if isinstance(block, list):
        for part in block:
            yield from texts(part, kind)
    elif isinstance(block, dict):
        if block.get("type") == kind and isinstance(block.get("text"), str):
            yield block["text"]
        for part in block.values():
            yield from texts(part, kind)


def values(block: Any) -> Iterator[tuple[str, str]]:
    """Yield what every button of a block sends."""
    if isinstance(block, list):
        for part in block:
            yield from values(part)
    elif isinstance(block, dict):
        if "action_id" in block and "value" in block:
            yield block["action_id"], block["value"]
        for part in block.values():
            yield from values(part)


def check(view: View, style: Style) -> list[Block]:
    """Hold a message to every rule; return its blocks."""
    rendered = render(view, style)

    assert problems(rendered.blocks, rendered.text) == []
    json.dumps(rendered.blocks, ensure_ascii=False).encode()
    pinged = isinstance(view, NoteView)
    for text in [rendered.text, *texts(rendered.blocks, "mrkdwn")]:
        safe(text, may_ping=pinged)
    for text in texts(rendered.blocks, "markdown"):
        assert "<" not in text
        assert "```" not in text
        assert all(
            url.startswith("https://muster.example/") for url in re.findall(r"\]\(([^)]*)\)", text)
        )
    for action_id, value in values(rendered.blocks):
        click = read_click(value)
        assert click is not None
        assert action_id.startswith(click.action_id)
        assert width(value) <= MAX_VALUE
    return rendered.blocks


def safe(text: str, *, may_ping: bool = False) -> None:
    """Hold a text in Slack's markup to what the bot itself may write in it."""
    for token in re.findall(r"<([^>]*)>", text):
        assert OURS.fullmatch(token) or (may_ping and PINGS.fullmatch(token)), token
    outside = re.sub(r"<[^>]*>", "", text)
    assert not set("<>") & set(outside)
    assert not re.search(r"(?<![\w.])@(?:channel|here|everyone)\b", outside, re.IGNORECASE)


@SLOW
@given(RUNS, STYLES)
def test_any_run_fits(view: RunView, style: Style) -> None:
    """Any card fits, in both styles."""
    check(view, style)


@SLOW
@given(nested_runs(), STYLES)
def test_any_run_that_can_happen_fits(run: Run, style: Style) -> None:
    """So does that of any run that the rules of runs lead to."""
    check(PRESENT.run_view(run), style)


@SLOW
@given(ANSWERS, STYLES)
def test_any_answer_fits(view: AnswerView, style: Style) -> None:
    """Any answer fits, with all its charts uploaded as without."""
    charts = {item.id: "F0CHART" for item in view.evidence[::2]}

    check(view, replace(style, files=charts))


@SLOW
@given(INCIDENTS, STYLES)
def test_any_incident_fits(view: IncidentView, style: Style) -> None:
    """Any incident fits."""
    check(view, style)


@SLOW
@given(NOTES, STYLES)
def test_any_note_fits(view: NoteView, style: Style) -> None:
    """Any short message fits, and pings those it names and nobody else."""
    blocks = check(view, style)

    pings = {ping for text in texts(blocks, "mrkdwn") for ping in re.findall(r"<@(\w+)>", text)}
    assert pings <= ({"U42"} if "slack:T1:U42" in view.mentions else set())


@settings(SLOW, max_examples=8)
@given(
    st.builds(
        HomeView,
        person=st.just("Alice"),
        at=st.just(0.0),
        approvals=st.lists(APPROVALS, max_size=9).map(tuple),
        questions=st.lists(QUESTIONS, max_size=5).map(tuple),
        runs=st.lists(RUNS, max_size=3).map(lambda some: tuple(some * 5)),
        incidents=st.lists(INCIDENTS, max_size=13).map(tuple),
        waiting_for_others=st.integers(0, 99),
    ),
    STYLES,
)
def test_any_home_fits(view: HomeView, style: Style) -> None:
    """Any Home tab fits and pings nobody."""
    shown = home(view, style)

    assert view_problems(shown) == []
    for text in texts(shown["blocks"], "mrkdwn"):
        safe(text)


@SLOW
@given(APPROVALS, QUESTIONS)
def test_any_dialog_fits(approval: Any, question: Any) -> None:
    """Any call can be edited and any question answered in a dialog that Slack takes."""
    for call in approval.calls:
        assert view_problems(edit_modal(approval, call)) == []
    assert view_problems(reply_modal(question)) == []


@pytest.mark.parametrize("is_native", [True, False])
def test_the_largest_card_still_says_what_it_is(is_native: bool) -> None:
    """However little room is left: title, headline and the buttons to decide are there."""
    from bot.preview.samples import APPROVAL, WAITING

    huge = replace(
        WAITING,
        title="T" + "😀" * 3_000,
        headline="H" + "字" * 3_000,
        steps=tuple(
            replace(step, id=f"{step.id}{n}", note="&" * 2_000)
            for n in range(30)
            for step in WAITING.steps
        ),
        approvals=(replace(APPROVAL, reason="R" * 9_000),) * 9,
    )
    blocks = render(huge, Style(is_native=is_native)).blocks

    buttons = [e["text"]["text"] for b in blocks if b["type"] == "actions" for e in b["elements"]]
    assert {"Approve", "Edit…", "Deny"} <= set(buttons)
    assert "more approvals wait" in json.dumps(blocks)
