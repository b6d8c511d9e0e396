"""Views: modals and Home tabs."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from tests.slack_server.blockkit.blocks import IN_VIEWS, check_blocks
from tests.slack_server.blockkit.objects import check_text
from tests.slack_server.blockkit.problems import Problems
from tests.slack_server.limits import (
    BLOCKS_A_VIEW,
    ID_CHARS,
    PRIVATE_METADATA_CHARS,
    VIEW_BYTES,
    VIEW_TITLE_CHARS,
)

COMMON = ("blocks", "private_metadata", "callback_id", "external_id")
OF_MODAL = ("title", "submit", "close", "clear_on_close", "notify_on_close", "submit_disabled")


def view_problems(
    view: Any, kinds: tuple[str, ...] = ("modal",), *, files: Collection[str] = ()
) -> list[str]:
    """Return what Slack would say about a view; nothing when it accepts it."""
    problems = Problems(files)
    node = problems.want_object(view, "/view")
    if node is None:
        return problems.found
    problems.one_of(node, "/view", "type", kinds)
    problems.has(node, "/view", "type")
    is_modal = node.get("type") == "modal"
    problems.only(node, "/view", (*COMMON, *OF_MODAL) if is_modal else COMMON)
    metadata = node.get("private_metadata")
    if isinstance(metadata, str) and len(metadata) > PRIVATE_METADATA_CHARS:
        limit = PRIVATE_METADATA_CHARS + 1
        problems.add("/view/private_metadata", f"must be less than {limit} characters")
    for key in ("callback_id", "external_id"):
        if node.get(key) != "":
            problems.string(node, "/view", key, ID_CHARS)
    if problems.has(node, "/view", "blocks"):
        check_blocks(problems, node["blocks"], "/view/blocks", BLOCKS_A_VIEW, IN_VIEWS)
    if is_modal:
        problems.has(node, "/view", "title")
        for key in ("title", "submit", "close"):
            if node.get(key) is not None:
                check_text(problems, node[key], f"/view/{key}", VIEW_TITLE_CHARS)
        problems.flag(node, "/view", "clear_on_close", "notify_on_close", "submit_disabled")
        has_input = any(
            isinstance(block, dict) and block.get("type") == "input"
            for block in node.get("blocks") or []
        )
        if has_input and node.get("submit") is None:
            problems.add("/view", "missing required field: submit")
    if len(json.dumps(node).encode()) > VIEW_BYTES:
        problems.add("/view", f"must be less than {VIEW_BYTES + 1} bytes")
    return problems.found
