"""Text made harmless, and cut where a word ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.slack.escape import (
    CUT,
    EMPTY,
    JOINER,
    clip,
    exact,
    markdown,
    mrkdwn,
    one_line,
    pieces,
    plain,
    width,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("<!channel> and <@U1>", "&lt;!channel&gt; and &lt;@U1&gt;"),
        ("@here, all", f"@{JOINER}here, all"),
        ("mail a@here.example", "mail a@here.example"),
        ("```x```", f"`{JOINER}`{JOINER}`x`{JOINER}`{JOINER}`"),
        ("a\tb\r\nc\x00\u202e", "a    b\nc"),
    ],
)
def test_nothing_in_a_text_acts(text: str, shown: str) -> None:
    """Links, pings, code and changes of direction are only words."""
    assert mrkdwn(text) == shown


def test_labels_cannot_lie() -> None:
    """No link of somebody's own, no picture, no heading, no table gets into Markdown."""
    text = markdown("# big\n[good](https://evil.example) ![p](x)\n| a |\n- item\n**bold**")

    assert "](" not in text
    assert "![" not in text
    assert not any(line.startswith(("#", "|")) for line in text.splitlines())
    assert "- item\n**bold**" in text


def test_a_cut_ends_with_a_word() -> None:
    """What is cut says so, and no word is halved."""
    assert clip("one two three", 9) == f"one two{CUT}"
    assert clip("one two three", 13) == "one two three"
    assert one_line("  one\n two ", 20) == "one two"
    assert clip("", 5) == EMPTY


def test_a_cut_counts_what_is_written() -> None:
    """An escaped character needs more room, and is never halved."""
    assert clip("&&&&", 12, mrkdwn) == f"&amp;&amp;{CUT}"
    assert clip("😀😀😀", 5) == f"😀😀{CUT}"


def test_arguments_hide_nothing() -> None:
    """What is approved is seen: odd characters stand there as numbers, the rest as it is."""
    assert exact({"path": "a\u202eb\u00a0c é"}) == '{\n  "path": "a\\u202eb\\u00a0c é"\n}'
    assert exact("\ud800😀") == '"\\ud800😀"'


@given(st.text(), st.integers(1, 40), st.sampled_from([plain, mrkdwn, markdown]))
def test_a_cut_is_within_its_limit(text: str, limit: int, write: object) -> None:
    """Whatever is cut, and however it is written."""
    assert callable(write)

    assert 0 < width(clip(text, limit, write)) <= limit


@given(st.text(), st.integers(30, 60))
def test_pieces_lose_nothing_but_spaces(text: str, limit: int) -> None:
    """A long text in pieces is the same text."""
    parts = pieces(text, limit, mrkdwn)

    assert all(width(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(mrkdwn(text).split())
