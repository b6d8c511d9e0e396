"""The rules that check blocks: each refuses what is one too many."""

from __future__ import annotations

from typing import Any

import pytest

from bot.platforms.slack import blocks as b
from bot.platforms.slack.clicks import Click, read_click

TASK = b.task("t", "Look", "complete")
(BUTTON,) = b.actions(b.button("Go", "go", "x"))[0]["elements"]


@pytest.mark.parametrize(
    ("blocks", "sentence"),
    [
        ([], "0 blocks"),
        ([b.divider()] * 51, "51 blocks"),
        ([b.section("x" * 3_001)], "at most 3000"),
        ([{"type": "header", "text": {"text": "x" * 151}}], "at most 150"),
        ([b.markdown_block("x" * 6_001)] * 2, "12002 characters in all"),
        ([b.section("x" * 2_900)] * 4, "the blocks are"),
        ([b.plan("P", [{**TASK, "task_id": str(n)} for n in range(41)])], "41 tasks"),
        (
            [b.plan("P", [{**TASK, "title": "字" * 250, "task_id": str(n)} for n in range(12)])],
            "8000",
        ),
        ([b.plan("P", [TASK, TASK])], "same id"),
        ([b.plan("P", [{**TASK, "status": "done"}])], "status done"),
        ([b.context(*["x"] * 11)], "11 elements"),
        ([{"type": "actions", "elements": [BUTTON, BUTTON]}], "same action_id"),
        ([{"type": "actions", "elements": [{**BUTTON, "value": "x" * 2_001}]}], "value"),
        ([{"type": "actions", "elements": [{**BUTTON, "action_id": "x" * 256}]}], "at most 255"),
        ([b.section(" ")], "empty"),
        ([{"type": "carousel"}], "no block carousel"),
    ],
)
def test_what_slack_refuses_is_named(blocks: list[Any], sentence: str) -> None:
    """A sentence says which limit was passed."""
    assert any(sentence in problem for problem in b.problems(blocks, "text"))


def test_the_text_of_a_message_is_counted_in_bytes() -> None:
    """An edit with a longer text is refused, and one without says nothing in notifications."""
    assert b.problems([b.divider()], "字" * 1_301) == ["text is 3903 bytes, at most 3900"]
    assert b.problems([b.divider()], " ") == ["text is empty"]
    assert b.problems([b.divider()], "fine") == []


def test_a_button_that_cannot_carry_its_click_is_left_out() -> None:
    """Half a click would mean something else."""
    assert b.button("Go", "go", "x" * 2_001) is None
    assert b.actions(None) == []


def test_addresses_of_the_web_only() -> None:
    """No other scheme becomes a link, and none leaves its markup."""
    assert b.address("javascript:alert(1)") == ""
    assert b.address("https://x.example/a|b>(c)") == "https://x.example/a%7Cb%3E%28c%29"
    assert b.link("", "a <b>") == "a &lt;b&gt;"


@pytest.mark.parametrize(
    "click",
    [
        Click("approve", "ap-1", "run-1", 3, "ab" * 32),
        Click("answer", "q-1", "run-1", choice="Ja, „sofort“ \ud800"),
        Click("acknowledge", "inc-1"),
    ],
)
def test_a_click_means_what_it_meant(click: Click) -> None:
    """What a button carries comes back whole."""
    assert read_click(click.value) == click


@pytest.mark.parametrize(
    "value",
    ["", "x", "[]", "{}", '{"do": 1}', '{"do": "approve", "rev": "1"}', '{"do":"a","rev":true}'],
)
def test_what_is_no_click_of_ours_means_nothing(value: str) -> None:
    """Values of other apps, or forged ones, are not guessed at."""
    assert read_click(value) is None


def test_a_click_of_a_later_release_is_understood() -> None:
    """Fields that are not known yet are left aside."""
    assert read_click('{"do":"stop","id":"run-1","new":[1]}') == Click("stop", "run-1")
