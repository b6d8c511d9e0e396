"""Draw a plan from left to right: each step one layer after the last step it waits for."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

NODE_WIDTH = 138
NODE_HEIGHT = 58
LANE_HEIGHT = 10
"""Room for a line that passes between the steps of a layer."""
GAP_X = 25
"""Seven layers of steps fit beside each other on a page of ordinary width."""
GAP_Y = 14
MARGIN = 8
NAME_CHARS = 16
NAME_LINES = 2
SWEEPS = 4
"""How often the layers are reordered; more than a few changes nothing in plans of our size."""

Pair = tuple[str, str]
"""A step and one that waits for it."""


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


def reduced(pairs: Sequence[Pair]) -> list[Pair]:
    """Return the pairs that no longer way says already (the transitive reduction), in order."""
    after: dict[str, set[str]] = {}
    for source, target in pairs:
        after.setdefault(source, set()).add(target)

    def reaches(start: str, end: str) -> bool:
        """Whether a way of two or more lines leads from start to end."""
        seen: set[str] = set()
        waiting = [step for step in after.get(start, ()) if step != end]
        while waiting:
            step = waiting.pop()
            if step == end:
                return True
            if step not in seen:
                seen.add(step)
                waiting += after.get(step, ())
        return False

    return [
        (source, target) for source, target in dict.fromkeys(pairs) if not reaches(source, target)
    ]


def untangle(ordered: Sequence[Sequence[str]], pairs: Sequence[Pair]) -> list[list[str]]:
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
    ordered = layers(both)
    pairs = reduced([(n, step) for step, wanted in both.items() for n in wanted if n in both])
    ways = _with_lanes(ordered, pairs)
    rows = untangle(ordered, [pair for way in ways.values() for pair in pairwise(way)])
    tallest = max((_height(row, both) for row in rows), default=0)
    at: dict[str, tuple[int, int]] = {}
    for column, row in enumerate(rows):
        y = MARGIN + (tallest - _height(row, both)) // 2
        for step in row:
            at[step] = (MARGIN + column * (NODE_WIDTH + GAP_X), y)
            y += (NODE_HEIGHT if step in both else LANE_HEIGHT) + GAP_Y
    width = 2 * MARGIN + len(rows) * NODE_WIDTH + max(0, len(rows) - 1) * GAP_X
    edges = tuple(
        Edge(source, target, _path([at[stop] for stop in way]), source not in needs[target])
        for (source, target), way in ways.items()
    )
    nodes = tuple(Node(step, *at[step]) for row in rows for step in row if step in both)
    return Drawing(width, 2 * MARGIN + tallest, nodes, edges)


def name_lines(title: str) -> list[str]:
    """Return a step's title in the lines that fit into its box; the last says if it was cut."""
    return textwrap.wrap(title, NAME_CHARS, max_lines=NAME_LINES, placeholder="…")


def _with_lanes(ordered: list[list[str]], pairs: Sequence[Pair]) -> dict[Pair, list[str]]:
    """Return each line's stops, adding a lane to the layers that it passes."""
    depth = {step: column for column, row in enumerate(ordered) for step in row}
    ways: dict[Pair, list[str]] = {}
    for source, target in pairs:
        lanes = []
        for column in range(depth[source] + 1, depth[target]):
            lane = f"{source}\n{target}\n{column}"
            ordered[column].append(lane)
            lanes.append(lane)
        ways[source, target] = [source, *lanes, target]
    return ways


def _height(row: Sequence[str], steps: Mapping[str, object]) -> int:
    boxes = sum(NODE_HEIGHT if step in steps else LANE_HEIGHT for step in row)
    return boxes + max(0, len(row) - 1) * GAP_Y


def _path(stops: Sequence[tuple[int, int]]) -> str:
    """Return a line that leaves the first stop on its right, and crosses lanes straight."""
    drawn = []
    for index, ((x1, y1), (x2, y2)) in enumerate(pairwise(stops)):
        is_last = index == len(stops) - 2
        x1, y1 = x1 + NODE_WIDTH, y1 + (LANE_HEIGHT if index else NODE_HEIGHT) // 2
        y2 += (NODE_HEIGHT if is_last else LANE_HEIGHT) // 2
        bend = max(12, (x2 - x1) // 2)
        drawn.append(
            f"{'L' if index else 'M'}{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
        )
    return "".join(drawn)
