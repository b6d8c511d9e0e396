"""Rich text: sections, lists, quotes and code, down to the single word."""

from __future__ import annotations

from typing import Any

from tests.slack_server.blockkit.problems import Problems

STYLES = ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight")
WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "text": (("text",), ("style",)),
    "link": (("url",), ("text", "style", "unsafe")),
    "emoji": (("name",), ("unicode", "url", "style")),
    "user": (("user_id",), ("style",)),
    "usergroup": (("usergroup_id",), ("style",)),
    "channel": (("channel_id",), ("style",)),
    "broadcast": (("range",), ("style",)),
    "date": (("timestamp", "format"), ("url", "fallback", "style")),
    "color": (("value",), ("style",)),
    "team": (("team_id",), ("style",)),
}
"""What each inline element must and may have."""
GROUPS: dict[str, tuple[str, ...]] = {
    "rich_text_section": (),
    "rich_text_list": ("style", "indent", "offset", "border"),
    "rich_text_quote": ("border",),
    "rich_text_preformatted": ("border", "language"),
}
ITEMS = 1_000
MAX_INDENT = 8
CHARS = 12_000


def check_rich_text(problems: Problems, node: Any, at: str) -> None:
    """Check a rich_text block."""
    block = problems.want_object(node, at)
    if block is None:
        return
    if block.get("type") != "rich_text":
        problems.add(f"{at}/type", "must be a valid enum value")
    problems.only(block, at, ("block_id", "elements"))
    if problems.has(block, at, "elements"):
        items = problems.want_items(block["elements"], f"{at}/elements", ITEMS)
        for index, item in enumerate(items):
            _group(problems, item, f"{at}/elements/{index}")


def _group(problems: Problems, node: Any, at: str) -> None:
    group = problems.want_object(node, at)
    if group is None:
        return
    kind = str(group.get("type"))
    if kind not in GROUPS:
        problems.add(f"{at}/type", f"unsupported type: {kind}")
        return
    problems.only(group, at, ("elements", *GROUPS[kind]))
    if kind == "rich_text_list":
        problems.has(group, at, "style")
        problems.one_of(group, at, "style", ("bullet", "ordered"))
        problems.whole(group, at, "indent", 0, MAX_INDENT)
    if not problems.has(group, at, "elements"):
        return
    items = problems.want_items(group["elements"], f"{at}/elements", ITEMS)
    for index, item in enumerate(items):
        here = f"{at}/elements/{index}"
        if kind == "rich_text_list":
            _list_item(problems, item, here)
        else:
            _word(problems, item, here, is_code=kind == "rich_text_preformatted")


def _list_item(problems: Problems, node: Any, at: str) -> None:
    if isinstance(node, dict) and node.get("type") != "rich_text_section":
        problems.add(f"{at}/type", f"unsupported type: {node.get('type')}")
        return
    _group(problems, node, at)


def _word(problems: Problems, node: Any, at: str, *, is_code: bool) -> None:
    word = problems.want_object(node, at)
    if word is None:
        return
    kind = str(word.get("type"))
    if kind not in WORDS or (is_code and kind not in {"text", "link"}):
        problems.add(f"{at}/type", f"unsupported type: {kind}")
        return
    needed, optional = WORDS[kind]
    problems.only(word, at, (*needed, *optional))
    for key in needed:
        problems.has(word, at, key)
    if kind == "text" and isinstance(word.get("text"), str):
        # A word may be a space: only nothing at all is refused.
        if not word["text"]:
            problems.add(f"{at}/text", "must be more than 0 characters")
        if len(word["text"]) > CHARS:
            problems.add(f"{at}/text", f"must be less than {CHARS + 1} characters")
    if kind == "link":
        problems.url(word, at, "url")
    if kind == "date" and not isinstance(word.get("timestamp"), int):
        problems.add(f"{at}/timestamp", "must be an integer")
    if kind == "broadcast":
        problems.one_of(word, at, "range", ("here", "channel", "everyone"))
    if word.get("style") is not None:
        style = problems.want_object(word["style"], f"{at}/style")
        if style is not None:
            problems.only(style, f"{at}/style", STYLES)
