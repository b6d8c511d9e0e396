"""Draw a plan from left to right: each step one layer after the last step it waits for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

NODE_WIDTH = 184
NODE_HEIGHT = 54
GAP_X = 44
GAP_Y = 16
MARGIN = 8
SWEEPS = 4
"""How often the layers are reordered; more than a few changes nothing in plans of our size."""


@dataclass(frozen=True, slots=True)
class Node:
    """A step's box, by its upper left corner."""

    id: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from a step to one that waits for it; `is_soft` when any end of it will do."""

    source: str
    target: str
    path: str
    is_soft: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph ready to be drawn, in pixels."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def layers(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the steps by the length of the longest way to them, in the order given.

    Needs that name no step are ignored; a graph with a cycle becomes one layer.
    """
    known = {step: [need for need in wanted if need in needs] for step, wanted in needs.items()}
    try:
        order = list(TopologicalSorter(known).static_order())
    except CycleError:
        return [list(needs)] if needs else []
    depth: dict[str, int] = {}
    for step in order:
        depth[step] = 1 + max((depth[need] for need in known[step]), default=-1)
    result: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for step in needs:
        result[depth[step]].append(step)
    return result


def untangle(ordered: Sequence[Sequence[str]], pairs: Sequence[tuple[str, str]]) -> list[list[str]]:
    """Reorder each layer so that a step stands near the middle of its neighbours."""
    rows = [list(layer) for layer in ordered]
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for source, target in pairs:
        before.setdefault(target, []).append(source)
        after.setdefault(source, []).append(target)
    for sweep in range(SWEEPS):
        neighbours = before if sweep % 2 == 0 else after
        for layer in rows if sweep % 2 == 0 else reversed(rows):
            place = {
                step: (index + 0.5) / len(row) for row in rows for index, step in enumerate(row)
            }
            middle = {
                step: sum(near) / len(near)
                if (near := [place[other] for other in neighbours.get(step, []) if other in place])
                else place[step]
                for step in layer
            }
            layer.sort(key=middle.__getitem__)
    return rows


def draw(
    needs: Mapping[str, Sequence[str]], soft: Mapping[str, Sequence[str]] | None = None
) -> Drawing:
    """Return where to draw each step; `soft` are the steps that only have to have ended."""
    soft = soft or {}
    both = {step: (*wanted, *soft.get(step, ())) for step, wanted in needs.items()}
    pairs = [(need, step) for step, wanted in both.items() for need in wanted if need in both]
    rows = untangle(layers(both), pairs)
    tallest = max((len(row) for row in rows), default=0)
    height = 2 * MARGIN + tallest * NODE_HEIGHT + max(0, tallest - 1) * GAP_Y
    at: dict[str, tuple[int, int]] = {}
    for column, row in enumerate(rows):
        used = len(row) * NODE_HEIGHT + (len(row) - 1) * GAP_Y
        top = (height - used) // 2
        for index, step in enumerate(row):
            x = MARGIN + column * (NODE_WIDTH + GAP_X)
            at[step] = (x, top + index * (NODE_HEIGHT + GAP_Y))
    width = 2 * MARGIN + len(rows) * NODE_WIDTH + max(0, len(rows) - 1) * GAP_X
    edges = tuple(
        Edge(source, target, _path(at[source], at[target]), source not in needs[target])
        for source, target in pairs
    )
    return Drawing(width, height, tuple(Node(id_, *place) for id_, place in at.items()), edges)


def _path(source: tuple[int, int], target: tuple[int, int]) -> str:
    x1, y1 = source[0] + NODE_WIDTH, source[1] + NODE_HEIGHT // 2
    x2, y2 = target[0], target[1] + NODE_HEIGHT // 2
    bend = min(GAP_X, max(12, (x2 - x1) // 2))
    return f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
