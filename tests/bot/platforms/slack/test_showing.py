"""From the best blocks down to bare text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.showing import (
    ENTITY_CHARS,
    MAX_TEXT_BYTES,
    fitted_text,
    is_about_kinds,
    rungs,
)
from bot.platforms.slack.style import Style
from tests.bot.platforms.slack.stage import Stage
from tests.contracts.platform import CARD
from tests.slack_server import refusing


def test_each_way_is_simpler_than_the_one_before() -> None:
    """Pictures go first, then native blocks, then all blocks."""
    ways = [
        (rung.style.is_native, bool(rung.style.files), rung.has_blocks)
        for rung in rungs(Style(files={"ev-1": "F1"}))
    ]

    assert ways == [
        (True, True, True),
        (True, False, True),
        (False, False, True),
        (False, False, False),
    ]
    assert len(list(rungs(Style(is_native=False)))) == 2


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=6_000))
def test_text_fits_in_bytes(text: str) -> None:
    """What is cut ends with a sign, and never within a character or an entity."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    fitted = fitted_text(escaped)

    assert len(fitted.encode()) <= MAX_TEXT_BYTES
    if fitted != escaped:
        kept = fitted.removesuffix("…")
        assert escaped.startswith(kept)
        last = kept.rfind("&")
        assert last < len(kept) - ENTITY_CHARS or ";" in kept[last:] or last < 0


def test_wrong_contents_are_not_taken_for_an_old_workspace() -> None:
    """Only a block's kind being unknown makes a workspace plain."""
    unknown = {"response_metadata": {"messages": ["[ERROR] unsupported type: plan"]}}
    wrong = {"response_metadata": {"messages": ["[ERROR] must be less than 76 characters"]}}

    assert is_about_kinds(SlackRefusedError("invalid_blocks", details=unknown))
    assert is_about_kinds(SlackRefusedError("invalid_blocks"))
    assert not is_about_kinds(SlackRefusedError("invalid_blocks", details=wrong))


async def test_a_message_that_is_too_long_is_shown_more_simply(stage: Stage) -> None:
    """Slack's word on length is taken like one on blocks, and the workspace stays native."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.fault("chat.update", refusing("msg_blocks_too_long"), times=2)

    card = await stage.platform.post(thread, CARD, "run-1:card")

    assert stage.server.message(card.id).blocks == []
    assert CARD.headline in stage.server.message(card.id).text
