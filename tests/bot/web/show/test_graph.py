"""Plans are drawn so that lines lead from left to right and boxes never overlap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.web.show.graph import NODE_HEIGHT, NODE_WIDTH, draw, layers


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
