"""Blocks: which kinds a surface shows, and what each holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from tests.slack_server.blockkit.elements import (
    IN_ACTIONS,
    IN_CONTEXT_ACTIONS,
    IN_INPUT,
    IN_SECTION,
    check_element,
)
from tests.slack_server.blockkit.objects import ANY_TEXT, check_text
from tests.slack_server.blockkit.problems import Json, Problems
from tests.slack_server.blockkit.richtext import check_rich_text
from tests.slack_server.limits import (
    BLOCKS_A_MESSAGE,
    ID_CHARS,
    MARKDOWN_CHARS,
    PLAN_BYTES,
    PLAN_TASKS,
)
from tests.slack_server.state import readable

SECTION_CHARS = 3_000
FIELD_CHARS = 2_000
HEADER_CHARS = 150
LABEL_CHARS = 2_000
TASK_STATUSES = ("pending", "in_progress", "complete", "error")
TABLE_ROWS = 100
TABLE_COLUMNS = 20
TABLE_CHARS = 10_000
CONTAINER_BLOCKS = 10
IN_VIEWS = frozenset(
    {"section", "header", "context", "actions", "divider", "input", "image", "rich_text", "alert"}
)


def block_problems(
    blocks: Any,
    at: str = "/blocks",
    *,
    most: int = BLOCKS_A_MESSAGE,
    kinds: Collection[str] | None = None,
    files: Collection[str] = (),
    refused: Collection[str] = (),
) -> list[str]:
    """Return what Slack would say about these blocks; nothing when it accepts them."""
    problems = Problems(files, refused)
    check_blocks(problems, blocks, at, most, CHECKS.keys() if kinds is None else kinds)
    return problems.found


def markdown_chars(blocks: list[Json]) -> int:
    """Return how much text the markdown blocks hold together."""
    return sum(len(str(block.get("text"))) for block in blocks if block.get("type") == "markdown")


def check_blocks(
    problems: Problems, blocks: Any, at: str, most: int, kinds: Collection[str]
) -> None:
    """Check a list of blocks that stands on one surface."""
    ids: set[str] = set()
    tables = 0
    for index, node in enumerate(problems.want_items(blocks, at, most, least=0)):
        here = f"{at}/{index}"
        block = problems.want_object(node, here)
        if block is None:
            continue
        kind = str(block.get("type"))
        if kind not in kinds or kind not in CHECKS or kind in problems.refused:
            problems.add(f"{here}/type", f"unsupported type: {kind}")
            continue
        problems.string(block, here, "block_id", ID_CHARS)
        block_id = block.get("block_id")
        if isinstance(block_id, str):
            if block_id in ids:
                problems.add(f"{here}/block_id", f'`block_id` "{block_id}" already exists')
            ids.add(block_id)
        CHECKS[kind](problems, block, here)
        tables += kind == "table"
    if tables > 1:
        problems.add(at, "only one table allowed")


def _section(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("block_id", "text", "fields", "accessory", "expand"))
    problems.flag(node, at, "expand")
    if node.get("text") is None and node.get("fields") is None:
        problems.add(at, "missing required field: text")
    if node.get("text") is not None:
        check_text(problems, node["text"], f"{at}/text", SECTION_CHARS, ANY_TEXT)
    if node.get("fields") is not None:
        for index, item in enumerate(problems.want_items(node["fields"], f"{at}/fields", 10)):
            check_text(problems, item, f"{at}/fields/{index}", FIELD_CHARS, ANY_TEXT)
    if node.get("accessory") is not None:
        check_element(problems, node["accessory"], f"{at}/accessory", IN_SECTION)


def _header(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("block_id", "text", "level"))
    if problems.has(node, at, "text"):
        check_text(problems, node["text"], f"{at}/text", HEADER_CHARS)


def _context(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("block_id", "elements"))
    if not problems.has(node, at, "elements"):
        return
    for index, item in enumerate(problems.want_items(node["elements"], f"{at}/elements", 10)):
        here = f"{at}/elements/{index}"
        if isinstance(item, dict) and item.get("type") == "image":
            check_element(problems, item, here, frozenset({"image"}))
        else:
            check_text(problems, item, here, SECTION_CHARS, ANY_TEXT)


def _elements(problems: Problems, node: Json, at: str, most: int, allowed: frozenset[str]) -> None:
    """Check elements whose ids have to differ within their block."""
    problems.only(node, at, ("block_id", "elements"))
    if not problems.has(node, at, "elements"):
        return
    ids: set[str] = set()
    for index, item in enumerate(problems.want_items(node["elements"], f"{at}/elements", most)):
        here = f"{at}/elements/{index}"
        check_element(problems, item, here, allowed)
        action_id = item.get("action_id") if isinstance(item, dict) else None
        if isinstance(action_id, str):
            if action_id in ids:
                problems.add(f"{here}/action_id", f'`action_id` "{action_id}" already exists')
            ids.add(action_id)


def _actions(problems: Problems, node: Json, at: str) -> None:
    _elements(problems, node, at, 25, IN_ACTIONS)


def _context_actions(problems: Problems, node: Json, at: str) -> None:
    _elements(problems, node, at, 5, IN_CONTEXT_ACTIONS)


def _divider(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("block_id",))


def _markdown(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("block_id", "text"))
    problems.string(node, at, "text", MARKDOWN_CHARS, required=True)


def _image(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("block_id", "image_url", "slack_file", "alt_text", "title"))
    problems.string(node, at, "alt_text", 2_000, required=True)
    problems.picture(node, at)
    if node.get("title") is not None:
        check_text(problems, node["title"], f"{at}/title", 2_000)


def _input(problems: Problems, node: Json, at: str) -> None:
    keys = ("label", "element", "hint", "optional", "dispatch_action")
    problems.only(node, at, ("block_id", *keys))
    problems.flag(node, at, "optional", "dispatch_action")
    if problems.has(node, at, "label"):
        check_text(problems, node["label"], f"{at}/label", LABEL_CHARS)
    if node.get("hint") is not None:
        check_text(problems, node["hint"], f"{at}/hint", LABEL_CHARS)
    if problems.has(node, at, "element"):
        check_element(problems, node["element"], f"{at}/element", IN_INPUT)


def _task(problems: Problems, node: Json, at: str) -> None:
    keys = ("task_id", "title", "status", "details", "output", "sources", "icon", "hide_title")
    problems.only(node, at, ("block_id", *keys))
    problems.string(node, at, "task_id", ID_CHARS, required=True)
    problems.string(node, at, "title", SECTION_CHARS, required=True)
    problems.has(node, at, "status")
    problems.one_of(node, at, "status", TASK_STATUSES)
    for key in ("details", "output"):
        if node.get(key) is not None:
            check_rich_text(problems, node[key], f"{at}/{key}")
    if node.get("sources") is not None:
        for index, item in enumerate(problems.want_items(node["sources"], f"{at}/sources", 50)):
            here = f"{at}/sources/{index}"
            source = problems.want_object(item, here)
            if source is not None:
                problems.only(source, here, ("url", "text"))
                problems.url(source, here, "url", required=True)
                problems.string(source, here, "text", SECTION_CHARS, required=True)


def _plan(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("block_id", "title", "tasks", "plan_id"))
    problems.string(node, at, "title", SECTION_CHARS, required=True)
    ids: set[str] = set()
    tasks = problems.want_items(node.get("tasks") or [], f"{at}/tasks", PLAN_TASKS, least=0)
    for index, item in enumerate(tasks):
        here = f"{at}/tasks/{index}"
        task = problems.want_object(item, here)
        if task is None:
            continue
        problems.one_of(task, here, "type", ("task_card",))
        _task(problems, task, here)
        task_id = str(task.get("task_id"))
        if task_id in ids:
            problems.add(f"{here}/task_id", f'`task_id` "{task_id}" already exists')
        ids.add(task_id)
    if len(json.dumps(node, ensure_ascii=False).encode()) > PLAN_BYTES:
        problems.add(at, f"must be less than {PLAN_BYTES + 1} bytes")


def _alert(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("block_id", "text", "level"))
    problems.one_of(node, at, "level", ("default", "info", "warning", "error", "success"))
    if problems.has(node, at, "text"):
        check_text(problems, node["text"], f"{at}/text", SECTION_CHARS, ANY_TEXT)


def _container(problems: Problems, node: Json, at: str) -> None:
    keys = ("title", "rich_text_title", "subtitle", "child_blocks", "width", "icon")
    flags = ("is_collapsible", "default_collapsed", "has_header_divider")
    problems.only(node, at, ("block_id", *keys, *flags))
    problems.flag(node, at, *flags)
    problems.one_of(node, at, "width", ("narrow", "standard", "wide", "full"))
    if node.get("rich_text_title") is not None:
        check_rich_text(problems, node["rich_text_title"], f"{at}/rich_text_title")
    else:
        problems.has(node, at, "title")
    if node.get("title") is not None:
        check_text(problems, node["title"], f"{at}/title", HEADER_CHARS)
    if node.get("subtitle") is not None:
        check_text(problems, node["subtitle"], f"{at}/subtitle", HEADER_CHARS, ANY_TEXT)
    if node.get("is_collapsible") is True and node.get("has_header_divider") is True:
        problems.add(f"{at}/has_header_divider", "cannot be used when is_collapsible is true")
    if node.get("default_collapsed") is True and node.get("is_collapsible") is not True:
        problems.add(f"{at}/default_collapsed", "requires is_collapsible to be true")
    if problems.has(node, at, "child_blocks"):
        here = f"{at}/child_blocks"
        problems.want_items(node["child_blocks"], here, CONTAINER_BLOCKS)
        kinds = CHECKS.keys() - {"container"}
        check_blocks(problems, node["child_blocks"], here, CONTAINER_BLOCKS, kinds)


def _table(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("block_id", "rows", "column_settings"))
    if not problems.has(node, at, "rows"):
        return
    for index, row in enumerate(problems.want_items(node["rows"], f"{at}/rows", TABLE_ROWS)):
        cells = problems.want_items(row, f"{at}/rows/{index}", TABLE_COLUMNS)
        for column, cell in enumerate(cells):
            _cell(problems, cell, f"{at}/rows/{index}/{column}")
    if sum(len(word) for word in readable(node["rows"])) > TABLE_CHARS:
        problems.add(f"{at}/rows", f"must be less than {TABLE_CHARS + 1} characters")


def _cell(problems: Problems, node: Any, at: str) -> None:
    cell = problems.want_object(node, at)
    if cell is None:
        return
    if cell.get("type") == "rich_text":
        check_rich_text(problems, cell, at)
    elif cell.get("type") == "raw_text":
        problems.only(cell, at, ("text",))
        problems.string(cell, at, "text", SECTION_CHARS, required=True)
    elif cell.get("type") == "raw_number":
        problems.only(cell, at, ("value",))
        problems.has(cell, at, "value")
    else:
        problems.add(f"{at}/type", f"unsupported type: {cell.get('type')}")


CHECKS: dict[str, Callable[[Problems, Json, str], None]] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _actions,
    "context_actions": _context_actions,
    "divider": _divider,
    "markdown": _markdown,
    "rich_text": check_rich_text,
    "image": _image,
    "input": _input,
    "plan": _plan,
    "task_card": _task,
    "alert": _alert,
    "container": _container,
    "table": _table,
}
