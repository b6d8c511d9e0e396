"""Long evidence is shown in parts, and every part can be reached."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.paging import MAX_LINE_CHARS, MAX_MATCHES, excerpt, matches, page

TEXT = "\n".join(f"line {n}" for n in range(1, 101))
TEXTS = st.lists(st.text(st.characters(exclude_categories=("C", "Z")), max_size=2_500)).map(
    "\n".join
)


def test_short_text_is_shown_as_it_is() -> None:
    """Nothing is added to it."""
    assert excerpt(TEXT, "ev-1") == TEXT


def test_long_text_shows_head_and_tail() -> None:
    """The line between says how much is missing and where it begins."""
    shown = excerpt(TEXT, "ev-1", 200).splitlines()

    assert (shown[0], shown[-1]) == ("line 1", "line 100")
    (between,) = [line for line in shown if line.startswith("…")]
    head = shown.index(between)
    left_out = 100 - len(shown) + 1
    assert between == f"… {left_out} more lines: evidence__read(ev-1, from_line={head + 1})"


def test_page_says_where_it_is_and_how_to_go_on() -> None:
    """Its lines are those of the text, unchanged, so that they can be quoted."""
    assert page(TEXT, 10, 2).splitlines() == [
        "lines 10 to 11 of 100; go on with from_line=12",
        "line 10",
        "line 11",
    ]
    assert page(TEXT, 100, 5).splitlines() == ["lines 100 to 100 of 100", "line 100"]
    assert page(TEXT, 101, 5) == "there are only 100 lines"


def test_matches_are_found_whatever_their_case() -> None:
    """Each with its number; too many are counted, not shown."""
    assert matches(TEXT, "LINE 42") == "1 lines hold 'LINE 42'\n42: line 42"
    assert matches(TEXT, "nothing") == "no line holds 'nothing'"
    many = matches(TEXT, "line").splitlines()
    assert many[0] == f"100 lines hold 'line'; the first {MAX_MATCHES} are"
    assert len(many) == MAX_MATCHES + 1


@given(TEXTS, st.integers(100, 5_000))
def test_excerpt_is_not_much_longer_than_its_limit(text: str, limit: int) -> None:
    """Whatever the lines are like."""
    assert len(excerpt(text, "ev-1", limit)) <= limit + MAX_LINE_CHARS + 100


@given(TEXTS)
def test_whole_text_can_be_read_page_by_page(text: str) -> None:
    """Nothing of a text is out of reach, however long its lines."""
    seen = ""
    from_line = 1
    while True:
        head, *lines = page(text, from_line, 50).splitlines()
        seen += "".join(lines)
        if "go on with" not in head:
            break
        from_line = int(head.rpartition("=")[2])

    assert seen == "".join(text.splitlines())
