"""Slack's blocks as plain dictionaries, within Slack's limits, and the rules that check them.

Dictionaries and not the SDK's models, which drop kinds of blocks that they do not know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from bot.platforms.slack.escape import EMPTY, clip, label, mrkdwn, one_line, plain, width

Block = dict[str, Any]
Element = dict[str, Any]

MAX_BLOCKS: Final = 50
MAX_VIEW_BLOCKS: Final = 100
MAX_TEXT_BYTES: Final = 3_900
"""`chat.update` refuses a text of more than 4,000 bytes."""
MAX_SECTION: Final = 3_000
MAX_HEADER: Final = 150
MAX_MARKDOWN: Final = 12_000
"""Of all markdown blocks of a message together."""
MAX_MESSAGE_BYTES: Final = 10_000
"""All blocks as JSON. Slack refuses a message somewhere above this (`msg_blocks_too_long`) and
says neither where nor how it counts."""
MAX_PLAN_BYTES: Final = 8_000
MAX_TASKS: Final = 40
MAX_TASK_TEXT: Final = 256
"""Ids and titles of a plan and its tasks."""
MAX_CONTEXT_ELEMENTS: Final = 10
MAX_ACTIONS: Final = 25
MAX_BUTTON: Final = 75
MAX_VALUE: Final = 2_000
MAX_ID: Final = 255
MAX_URL: Final = 3_000
MAX_LINK_TEXT: Final = 300
MAX_ADDRESS: Final = 1_000
MAX_CONFIRM_TITLE: Final = 100
MAX_CONFIRM_TEXT: Final = 300
MAX_CONFIRM_BUTTON: Final = 30
MAX_VIEW_TITLE: Final = 24
MAX_PRIVATE_METADATA: Final = 3_000
MAX_INPUT: Final = 3_000
MAX_INPUT_LABEL: Final = 2_000
MAX_PLACEHOLDER: Final = 150
MAX_OPTIONS: Final = 100
MAX_OPTION: Final = 75
MAX_OPTION_VALUE: Final = 150
MAX_ALT: Final = 2_000
TASK_STATUSES: Final = frozenset({"pending", "in_progress", "complete", "error"})

_URL_SAFE = ":/?#[]@!$'()*+,;=%-._~&"


def plain_text(text: str, limit: int) -> Element:
    """Return text that Slack shows as it is."""
    return {"type": "plain_text", "text": one_line(text, limit)}


def marked(text: str) -> Element:
    """Return text in Slack's markup; the parts of others in it have to be escaped already.

    `verbatim` keeps Slack from making links and pings of words that look like some.
    """
    return {"type": "mrkdwn", "text": text or EMPTY, "verbatim": True}


def section(text: str, accessory: Element | None = None) -> Block:
    """Return a paragraph in Slack's markup."""
    extra = {"accessory": accessory} if accessory else {}
    return {"type": "section", "text": marked(text), **extra}


def context(*texts: str) -> Block:
    """Return a line of small print."""
    return {"type": "context", "elements": [marked(text) for text in texts]}


def header(text: str) -> Block:
    """Return a heading."""
    return {"type": "header", "text": plain_text(text, MAX_HEADER)}


def divider() -> Block:
    """Return a line across."""
    return {"type": "divider"}


def markdown_block(text: str) -> Block:
    """Return text in Markdown; the parts of others in it have to be escaped already."""
    return {"type": "markdown", "text": text or EMPTY}


def image(file_id: str, alt: str) -> Block:
    """Return a picture that was uploaded to Slack."""
    return {
        "type": "image",
        "slack_file": {"id": file_id},
        "alt_text": one_line(alt, MAX_ALT),
        "title": plain_text(alt, MAX_ALT),
    }


def words(text: str, **style: bool) -> Element:
    """Return words of rich text, shown as they are."""
    return {"type": "text", "text": text, **({"style": style} if style else {})}


def rich_text(*parts: Element) -> Block:
    """Return rich text made of sections, code and lists."""
    return {"type": "rich_text", "elements": list(parts)}


def rich_section(*elements: Element) -> Element:
    """Return a paragraph of rich text."""
    return {"type": "rich_text_section", "elements": list(elements)}


def code(text: str) -> Element:
    """Return a block of code: rich text reads no markup, so nothing gets out of it."""
    return {"type": "rich_text_preformatted", "elements": [words(text or EMPTY)]}


def task(
    id_: str,
    title: str,
    status: str,
    *,
    details: Sequence[Element] = (),
    output: Sequence[Element] = (),
    sources: Sequence[tuple[str, str]] = (),
) -> Block:
    """Return a card of a plan; `sources` are pairs of address and text."""
    card: Block = {
        "type": "task_card",
        "task_id": one_line(id_, MAX_TASK_TEXT),
        "title": one_line(title, MAX_TASK_TEXT),
        "status": status,
    }
    if details:
        card["details"] = rich_text(rich_section(*details))
    if output:
        card["output"] = rich_text(rich_section(*output))
    if sources:
        card["sources"] = [
            {"type": "url", "url": url, "text": one_line(text, MAX_BUTTON)} for url, text in sources
        ]
    return card


def plan(title: str, tasks: Sequence[Block]) -> Block:
    """Return Slack's own card of a run: tasks that open and close."""
    return {"type": "plan", "title": one_line(title, MAX_TASK_TEXT), "tasks": list(tasks)}


def button(
    text: str,
    action_id: str,
    value: str = "",
    *,
    url: str = "",
    style: str = "",
    confirm: Element | None = None,
) -> Element | None:
    """Return a button; None when what it would send is longer than Slack lets it be."""
    if width(value) > MAX_VALUE or width(url) > MAX_URL:
        return None
    extra = {"value": value, "url": url, "style": style, "confirm": confirm}
    return {
        "type": "button",
        "text": plain_text(text, MAX_BUTTON),
        "action_id": action_id,
        **{key: given for key, given in extra.items() if given},
    }


def actions(*elements: Element | None) -> list[Block]:
    """Return a row of buttons; nothing when there are none."""
    present = [element for element in elements if element is not None][:MAX_ACTIONS]
    return [{"type": "actions", "elements": present}] if present else []


def confirm(title: str, text: str, yes: str, no: str = "Cancel", *, is_grave: bool) -> Element:
    """Return the dialog that asks again before a click counts."""
    return {
        "title": plain_text(title, MAX_CONFIRM_TITLE),
        "text": {"type": "plain_text", "text": clip(text, MAX_CONFIRM_TEXT, plain)},
        "confirm": plain_text(yes, MAX_CONFIRM_BUTTON),
        "deny": plain_text(no, MAX_CONFIRM_BUTTON),
        "style": "danger" if is_grave else "primary",
    }


def feedback(action_id: str, good: str, bad: str) -> list[Block]:
    """Return Slack's thumbs up and down."""
    buttons = {
        "type": "feedback_buttons",
        "action_id": action_id,
        "positive_button": {"text": plain_text("Helpful", MAX_BUTTON), "value": good},
        "negative_button": {"text": plain_text("Not helpful", MAX_BUTTON), "value": bad},
    }
    return [{"type": "context_actions", "elements": [buttons]}]


def address(url: str) -> str:
    """Return an address that can stand in either markup; empty when it is none of the web.

    So is a very long one: a link would need more room than what it belongs to.
    """
    written = quote(url, safe=_URL_SAFE, errors="replace")
    is_web = written.startswith(("https://", "http://")) and len(written) <= MAX_ADDRESS
    return written.replace("(", "%28").replace(")", "%29") if is_web else ""


def link(url: str, text: str, limit: int = MAX_LINK_TEXT) -> str:
    """Return a link in Slack's markup; the text alone when there is nowhere to go."""
    shown = one_line(label(text), limit, mrkdwn)
    target = address(url)
    return f"<{target.replace('&', '&amp;')}|{shown}>" if target else shown


def date(at: float, form: str = "{date_short_pretty} {time}") -> str:
    """Return a time that each reader sees in their own time zone."""
    return f"<!date^{int(at)}^{form}|{utc(at)}>"


def utc(at: float) -> str:
    """Return a time for programs that show no dates of Slack's."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%d %H:%M UTC")


def size(blocks: Sequence[Block]) -> int:
    """Return how many bytes the blocks are as JSON."""
    return len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")).encode())


# What Slack refuses, as sentences. Sending is not held up by this: it is how tests know.


def problems(blocks: Sequence[Block], text: str) -> list[str]:
    """Return what Slack would refuse of a message, or what would be cut off by it."""
    found = [] if text.strip() else ["text is empty"]
    if len(text.encode()) > MAX_TEXT_BYTES:
        found.append(f"text is {len(text.encode())} bytes, at most {MAX_TEXT_BYTES}")
    found += _of_blocks(blocks, MAX_BLOCKS)
    if size(blocks) > MAX_MESSAGE_BYTES:
        found.append(f"the blocks are {size(blocks)} bytes, at most {MAX_MESSAGE_BYTES}")
    marks = sum(width(block["text"]) for block in blocks if block["type"] == "markdown")
    if marks > MAX_MARKDOWN:
        found.append(f"markdown is {marks} characters in all, at most {MAX_MARKDOWN}")
    return found


def view_problems(view: Block) -> list[str]:
    """Return what Slack would refuse of a modal or a Home tab."""
    found = list(_of_blocks(view["blocks"], MAX_VIEW_BLOCKS))
    for name in ("title", "submit", "close"):
        if name in view:
            found += _text(f"the view's {name}", view[name], MAX_VIEW_TITLE)
    found += _length("callback_id", view.get("callback_id", EMPTY), MAX_ID)
    if width(view.get("private_metadata", "")) > MAX_PRIVATE_METADATA:
        found.append("private_metadata is too long")
    if any(block["type"] in {"markdown", "plan", "task_card"} for block in view["blocks"]):
        found.append("a view has a block that only messages may have")
    ids = [block["block_id"] for block in view["blocks"] if "block_id" in block]
    if len(ids) != len(set(ids)):
        found.append("two blocks have the same block_id")
    return found


def _of_blocks(blocks: Sequence[Block], most: int) -> Iterator[str]:
    if not 0 < len(blocks) <= most:
        yield f"there are {len(blocks)} blocks, at most {most}"
    for block in blocks:
        if "block_id" in block:
            yield from _length("block_id", block["block_id"], MAX_ID)
        yield from _of_block(block)


def _of_block(block: Block) -> Iterable[str]:
    match block["type"]:
        case "section":
            accessory = block.get("accessory")
            return [
                *_text("a section", block["text"], MAX_SECTION),
                *(_of_element(accessory) if accessory else ()),
            ]
        case "header":
            return _text("a header", block["text"], MAX_HEADER)
        case "divider":
            return ()
        case "markdown":
            return _length("a markdown block", block["text"], MAX_MARKDOWN)
        case "context":
            return _of_many(block["elements"], MAX_CONTEXT_ELEMENTS, _of_small_print)
        case "actions":
            return [*_of_many(block["elements"], MAX_ACTIONS, _of_element), *_same_ids(block)]
        case "context_actions":
            return _of_many(block["elements"], 5, _of_feedback)
        case "image":
            return [
                *_length("alt_text", block["alt_text"], MAX_ALT),
                *_text("an image's title", block["title"], MAX_ALT),
            ]
        case "rich_text":
            return _of_rich_text(block)
        case "plan":
            return _of_plan(block)
        case "input":
            return _of_input(block)
        case kind:
            return [f"there is no block {kind}"]


def _of_plan(block: Block) -> Iterator[str]:
    yield from _length("a plan's title", block["title"], MAX_TASK_TEXT)
    tasks = block["tasks"]
    if not 0 < len(tasks) <= MAX_TASKS:
        yield f"a plan has {len(tasks)} tasks, at most {MAX_TASKS}"
    if size([block]) > MAX_PLAN_BYTES:
        yield f"a plan is {size([block])} bytes, at most {MAX_PLAN_BYTES}"
    ids = [one["task_id"] for one in tasks]
    if len(ids) != len(set(ids)):
        yield "two tasks have the same id"
    for one in tasks:
        yield from _length("a task's id", one["task_id"], MAX_TASK_TEXT)
        yield from _length("a task's title", one["title"], MAX_TASK_TEXT)
        if one["status"] not in TASK_STATUSES:
            yield f"a task has the status {one['status']}"
        for name in ("details", "output"):
            if name in one:
                yield from _of_rich_text(one[name])
        for source in one.get("sources", ()):
            yield from _length("a source's text", source["text"], MAX_BUTTON)
            yield from _length("a source's address", source["url"], MAX_URL)


def _of_rich_text(block: Block) -> Iterator[str]:
    if not block["elements"]:
        yield "rich text is empty"
    for part in block["elements"]:
        if not part["elements"]:
            yield "a part of rich text is empty"
        for element in part["elements"]:
            if "text" in element:
                yield from _length("rich text", element["text"], MAX_SECTION)


def _of_small_print(element: Element) -> Iterable[str]:
    return _text("a context", element, MAX_SECTION)


def _of_feedback(element: Element) -> Iterator[str]:
    for name in ("positive_button", "negative_button"):
        yield from _text("a feedback button", element[name]["text"], MAX_BUTTON)
        yield from _length("a feedback value", element[name]["value"], MAX_VALUE)


def _of_element(element: Element) -> Iterator[str]:
    yield from _length("action_id", element["action_id"], MAX_ID)
    if element["type"] == "button":
        yield from _text("a button", element["text"], MAX_BUTTON)
        if width(element.get("value", "")) > MAX_VALUE:
            yield "a button's value is too long"
        if width(element.get("url", "")) > MAX_URL:
            yield "a button's address is too long"
        if "confirm" in element:
            yield from _of_confirm(element["confirm"])


def _of_confirm(dialog: Element) -> Iterator[str]:
    yield from _text("a dialog's title", dialog["title"], MAX_CONFIRM_TITLE)
    yield from _text("a dialog's text", dialog["text"], MAX_CONFIRM_TEXT)
    yield from _text("a dialog's yes", dialog["confirm"], MAX_CONFIRM_BUTTON)
    yield from _text("a dialog's no", dialog["deny"], MAX_CONFIRM_BUTTON)


def _of_input(block: Block) -> Iterator[str]:
    yield from _text("a field's name", block["label"], MAX_INPUT_LABEL)
    if "hint" in block:
        yield from _text("a field's hint", block["hint"], MAX_INPUT_LABEL)
    element = block["element"]
    yield from _length("action_id", element["action_id"], MAX_ID)
    if width(element.get("initial_value", "")) > element.get("max_length", MAX_INPUT):
        yield "a field's text is too long"
    if not 0 < element.get("max_length", MAX_INPUT) <= MAX_INPUT:
        yield "a field lets people write too much"
    if "placeholder" in element:
        yield from _text("a field's placeholder", element["placeholder"], MAX_PLACEHOLDER)
    if "options" in element:
        options = element["options"]
        if not 0 < len(options) <= MAX_OPTIONS:
            yield f"a field has {len(options)} options"
        for option in options:
            yield from _text("an option", option["text"], MAX_OPTION)
            yield from _length("an option's value", option["value"], MAX_OPTION_VALUE)
        if "initial_option" in element and element["initial_option"] not in options:
            yield "a field begins with an option that it does not have"


def _of_many(elements: Sequence[Element], most: int, check: Any) -> list[str]:
    found = [] if 0 < len(elements) <= most else [f"there are {len(elements)} elements"]
    return found + [problem for element in elements for problem in check(element)]


def _same_ids(block: Block) -> list[str]:
    ids = [element["action_id"] for element in block["elements"]]
    return [] if len(ids) == len(set(ids)) else ["two elements have the same action_id"]


def _text(name: str, text: Element, most: int) -> list[str]:
    return _length(name, text["text"], most)


def _length(name: str, text: str, most: int) -> list[str]:
    if not text.strip():
        return [f"{name} is empty"]
    return [f"{name} is {width(text)} long, at most {most}"] if width(text) > most else []
