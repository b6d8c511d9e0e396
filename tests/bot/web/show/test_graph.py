"""Plans are drawn so that lines lead from left to right and boxes never overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.web.show.graph import (
    NAME_CHARS,
    NAME_LINES,
    NODE_HEIGHT,
    NODE_WIDTH,
    Pair,
    draw,
    layers,
    name_lines,
    reduced,
)

PAGE_WIDTH = 1138
"""What a graph has on a page that is 1280 pixels wide."""


@st.composite
def plans(draw_: st.DrawFn) -> dict[str, list[str]]:
    """Return acyclic needs: a step may need only earlier ones."""
    count = draw_(st.integers(0, 12))
    ids = [f"s{n}" for n in range(count)]
    return {
        id_: draw_(st.lists(st.sampled_from(ids[:n]), unique=True)) if n else []
        for n, id_ in enumerate(ids)
    }


@given(plans())
def test_steps_stand_right_of_what_they_need(needs: dict[str, list[str]]) -> None:
    """Every line goes to the right, every step is drawn once, inside the drawing, apart."""
    drawing = draw(needs)
    at = {node.id: node for node in drawing.nodes}

    assert set(at) == set(needs)
    for edge in drawing.edges:
        assert at[edge.source].x + NODE_WIDTH < at[edge.target].x
    places = [(node.x, node.y) for node in drawing.nodes]
    for x, y in places:
        assert 0 <= x <= drawing.width - NODE_WIDTH
        assert 0 <= y <= drawing.height - NODE_HEIGHT
    for n, (x, y) in enumerate(places):
        assert all(x != x2 or abs(y - y2) >= NODE_HEIGHT for x2, y2 in places[n + 1 :])


def test_a_step_waits_for_the_longest_way() -> None:
    """A step stands one layer after the last of its needs."""
    assert layers({"a": [], "b": ["a"], "c": ["a", "b"], "d": []}) == [["a", "d"], ["b"], ["c"]]


def test_a_cycle_is_still_drawn() -> None:
    """A plan that should not exist becomes one layer, not an error."""
    assert layers({"a": ["b"], "b": ["a"]}) == [["a", "b"]]


def test_soft_needs_are_marked() -> None:
    """A line from a step that only has to have ended is told apart."""
    (edge,) = draw({"a": [], "b": []}, {"b": ["a"]}).edges

    assert edge.is_soft


def _reach(pairs: list[Pair]) -> set[Pair]:
    """Return every step with every step that some way leads to."""
    found = set(pairs)
    while True:
        more = {(a, d) for a, b in found for c, d in pairs if b == c} - found
        if not more:
            return found
        found |= more


@given(plans())
def test_only_lines_that_say_something_are_drawn(needs: dict[str, list[str]]) -> None:
    """What is left says the same order, and no line of it could be spared."""
    pairs = [(need, step) for step, wanted in needs.items() for need in wanted]

    kept = reduced(pairs)

    assert _reach(kept) == _reach(pairs)
    for pair in kept:
        assert pair not in _reach([other for other in kept if other != pair])


def test_an_answer_that_waits_for_all_gets_one_line() -> None:
    """In a chain whose end waits for every step, only the chain is drawn."""
    drawing = draw({"a": [], "b": ["a"], "c": ["b"]}, {"c": ["a", "b"]})

    assert [(edge.source, edge.target) for edge in drawing.edges] == [("a", "b"), ("b", "c")]


def test_a_line_passes_between_boxes() -> None:
    """A line over several layers keeps clear of the steps in between."""
    drawing = draw({"a": [], "b": ["a"], "far": [], "end": ["b", "far"]})
    (line,) = (edge.path for edge in drawing.edges if edge.source == "far")
    box = next(node for node in drawing.nodes if node.id == "b")
    (across,) = (part for part in line.split("C")[1:] if "L" in part)
    lane_y = int(across.split("L")[1].split()[1])

    assert not box.y <= lane_y <= box.y + NODE_HEIGHT


def test_seven_layers_fit_on_a_page() -> None:
    """The incident workflow is read without scrolling."""
    chain = {f"s{n}": [f"s{n - 1}"] if n else [] for n in range(7)}

    assert draw(chain).width <= PAGE_WIDTH


@given(st.text(max_size=80))
def test_names_fit_into_their_box(title: str) -> None:
    """A name has at most two short lines."""
    lines = name_lines(title)

    assert len(lines) <= NAME_LINES
    assert all(len(line) <= NAME_CHARS for line in lines)
