"""Draw a plan from left to right: each step one layer after the last step it waits for.

A step that planned others is a group: a frame with its own plan drawn inside.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
HEADER_HEIGHT = 38
"""Room for a group's name and state above its plan."""
HEADER_CHAR_WIDTH = 7
NAME_CHARS = 16
NAME_LINES = 2
SWEEPS = 4
"""How often the layers are reordered; more than a few changes nothing in plans of our size."""

Pair = tuple[str, str]
"""A step and one that waits for it."""
Size = tuple[int, int]
"""Width and height in pixels."""
BOX: Size = (NODE_WIDTH, NODE_HEIGHT)


@dataclass(frozen=True, slots=True)
class Node:
    """A step's box, by its upper left corner."""

    id: str
    x: int
    y: int
    width: int = NODE_WIDTH
    height: int = NODE_HEIGHT


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from a step to one that waits for it; `is_soft` when any end of it will do.

    `x` and `y` say where the drawing that `path` belongs to begins.
    """

    source: str
    target: str
    path: str
    is_soft: bool
    x: int = 0
    y: int = 0


@dataclass(frozen=True, slots=True)
class Drawing:
    """A graph ready to be drawn, in pixels; `groups` frame the plans that steps made."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    groups: tuple[Node, ...] = ()


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
    needs: Mapping[str, Sequence[str]],
    soft: Mapping[str, Sequence[str]] | None = None,
    sizes: Mapping[str, Size] | None = None,
) -> Drawing:
    """Return where to draw each step; `soft` are the steps that only have to have ended.

    `sizes` are those of steps that are larger than a box.
    """
    soft, sizes = soft or {}, sizes or {}
    both = {step: (*wanted, *soft.get(step, ())) for step, wanted in needs.items()}
    ordered = layers(both)
    pairs = reduced([(n, step) for step, wanted in both.items() for n in wanted if n in both])
    ways = _with_lanes(ordered, pairs)
    rows = untangle(ordered, [pair for way in ways.values() for pair in pairwise(way)])
    size = {step: sizes.get(step, BOX) for step in both}
    widths = [max(size[step][0] if step in size else 0 for step in row) for row in rows]
    tallest = max((_height(row, size) for row in rows), default=0)
    at: dict[str, _Stop] = {}
    x = MARGIN
    for row, column_width in zip(rows, widths, strict=True):
        y = MARGIN + (tallest - _height(row, size)) // 2
        for step in row:
            width, height = size.get(step, (column_width, LANE_HEIGHT))
            at[step] = _Stop(x, y, width, height, x + column_width)
            y += height + GAP_Y
        x += column_width + GAP_X
    edges = tuple(
        Edge(source, target, _path([at[stop] for stop in way]), source not in needs[target])
        for (source, target), way in ways.items()
    )
    nodes = tuple(
        Node(step, at[step].x, at[step].y, *size[step])
        for row in rows
        for step in row
        if step in both
    )
    return Drawing(max(x - GAP_X, MARGIN) + MARGIN, 2 * MARGIN + tallest, nodes, edges)


def nested(
    top: Sequence[str],
    members: Mapping[str, Sequence[str]],
    titles: Mapping[str, str],
    needs: Mapping[str, Sequence[str]],
    soft: Mapping[str, Sequence[str]],
) -> Drawing:
    """Return the drawing of steps of which some are groups: `members` are a group's own steps."""
    inner = {
        step: nested(members[step], members, titles, needs, soft) for step in top if step in members
    }
    sizes = {
        step: (
            max(one.width, 3 * MARGIN + HEADER_CHAR_WIDTH * len(titles[step])),
            one.height + HEADER_HEIGHT,
        )
        for step, one in inner.items()
    }
    drawing = draw({step: needs[step] for step in top}, soft, sizes)
    nodes, groups, edges = [], [], list(drawing.edges)
    for node in drawing.nodes:
        if node.id not in inner:
            nodes.append(node)
            continue
        groups.append(node)
        inside, x, y = inner[node.id], node.x, node.y + HEADER_HEIGHT
        nodes += [replace(one, x=one.x + x, y=one.y + y) for one in inside.nodes]
        groups += [replace(one, x=one.x + x, y=one.y + y) for one in inside.groups]
        edges += [replace(one, x=one.x + x, y=one.y + y) for one in inside.edges]
    return replace(drawing, nodes=tuple(nodes), groups=tuple(groups), edges=tuple(edges))


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


def _height(row: Sequence[str], size: Mapping[str, Size]) -> int:
    boxes = sum(size[step][1] if step in size else LANE_HEIGHT for step in row)
    return boxes + max(0, len(row) - 1) * GAP_Y


@dataclass(frozen=True, slots=True)
class _Stop:
    """A box or a lane on a line's way; `column_end` is where its column ends."""

    x: int
    y: int
    width: int
    height: int
    column_end: int


def _path(stops: Sequence[_Stop]) -> str:
    """Return a line that leaves the first stop on its right, and crosses columns straight."""
    drawn = []
    for index, (start, end) in enumerate(pairwise(stops)):
        x1, y1 = start.x + start.width, start.y + start.height // 2
        x2, y2 = end.x, end.y + end.height // 2
        drawn.append(f"{'L' if index else 'M'}{x1} {y1}")
        if start.column_end != x1:
            x1 = start.column_end
            drawn.append(f"L{x1} {y1}")
        bend = max(12, (x2 - x1) // 2)
        drawn.append(f"C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}")
    return "".join(drawn)
