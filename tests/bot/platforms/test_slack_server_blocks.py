"""The strict Slack server refuses the blocks and views that Slack refuses, in Slack's words."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from tests.bot.platforms.slack_cases import BUTTON, CARD, MODAL, client_of, peopled
from tests.slack_server import SlackServer
from tests.slack_server.blockkit import block_problems, view_problems

Json = dict[str, Any]


def plain(text: str = "x") -> Json:
    """Return a plain text."""
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str = "x") -> Json:
    """Return a text with markup."""
    return {"type": "mrkdwn", "text": text}


def section(**fields: Any) -> Json:
    """Return a section."""
    return {"type": "section", **fields}


def actions(*elements: Json) -> Json:
    """Return a row of buttons."""
    return {"type": "actions", "elements": list(elements)}


def button(**fields: Any) -> Json:
    """Return the button with some fields changed."""
    return BUTTON | fields


def menu(**fields: Any) -> Json:
    """Return a menu of two options."""
    options = [{"text": plain("one"), "value": "1"}, {"text": plain("two"), "value": "2"}]
    return {"type": "static_select", "action_id": "menu", "options": options} | fields


def rich(*elements: Json) -> Json:
    """Return rich text."""
    return {"type": "rich_text", "elements": list(elements)}


def words(*elements: Json) -> Json:
    """Return a section of rich text."""
    return {"type": "rich_text_section", "elements": list(elements)}


def task(number: int = 1, **fields: Any) -> Json:
    """Return a task card."""
    made = {"type": "task_card", "task_id": f"t{number}", "title": "Look", "status": "pending"}
    return made | fields


def plan(*tasks: Json, **fields: Any) -> Json:
    """Return a plan."""
    return {"type": "plan", "title": "Find the cause", "tasks": list(tasks)} | fields


def entry(**fields: Any) -> Json:
    """Return an input block with some fields of its element changed."""
    element = {"type": "plain_text_input", "action_id": "v"} | fields
    return {"type": "input", "label": plain(), "element": element}


def feedback(**fields: Any) -> Json:
    """Return thumbs up and down."""
    thumbs = {
        "type": "feedback_buttons",
        "action_id": "thumbs",
        "positive_button": {"text": plain("Good"), "value": "up"},
        "negative_button": {"text": plain("Bad"), "value": "down"},
    }
    return {"type": "context_actions", "elements": [thumbs | fields]}


def icon(**fields: Any) -> Json:
    """Return an icon button with some fields changed."""
    made = {"type": "icon_button", "action_id": "i", "icon": "trash", "text": plain()}
    return {"type": "context_actions", "elements": [made | fields]}


def container(*blocks: Json, **fields: Any) -> Json:
    """Return a container."""
    return {"type": "container", "title": plain(), "child_blocks": list(blocks)} | fields


CONFIRM = {"title": plain(), "text": mrkdwn(), "confirm": plain("Yes"), "deny": plain("No")}
TEXT = {"type": "text", "text": "hello "}
LIST = {"type": "rich_text_list", "style": "bullet", "indent": 0, "elements": [words(TEXT)]}
CODE = {"type": "rich_text_preformatted", "elements": [TEXT]}
LINK = {"type": "link", "url": "https://muster.test/r/1", "text": "run"}
DATE = {"type": "date", "timestamp": 1_700_000_000, "format": "{time}", "fallback": "now"}
CELLS = [{"type": "raw_text", "text": "a"}, rich(words(TEXT))]
IMAGE = {"type": "image", "image_url": "https://muster.test/a.png", "alt_text": "chart"}
SOURCE = {"type": "url", "url": "https://muster.test/e/1", "text": "log"}

GOOD: list[Json] = [
    *CARD,
    {"type": "header", "text": plain("x" * 150)},
    {"type": "divider"},
    {"type": "context", "elements": [mrkdwn(), plain(), IMAGE]},
    {"type": "markdown", "text": "x" * 12_000},
    section(text=mrkdwn("x" * 3_000), accessory=button(confirm=CONFIRM | {"style": "danger"})),
    section(fields=[mrkdwn("x" * 2_000)] * 10),
    actions(*(button(action_id=f"a{number}") for number in range(25))),
    actions(button(text=plain("x" * 75), value="x" * 2_000, style="primary"), menu()),
    plan(*(task(number) for number in range(40))),
    plan(task(details=rich(words(TEXT)), output=rich(LIST, CODE), sources=[SOURCE])),
    task(status="in_progress"),
    rich(words(TEXT, LINK, DATE, {"type": "user", "user_id": "U1"}), LIST, CODE),
    feedback(),
    container(section(text=plain()), is_collapsible=True, default_collapsed=True),
    {"type": "table", "rows": [CELLS] * 100},
    {"type": "alert", "text": plain(), "level": "warning"},
    IMAGE,
    entry(multiline=True, initial_value="x", placeholder=plain()),
    entry(type="number_input", is_decimal_allowed=False, min_value="1"),
    entry(type="datepicker", initial_date="2026-11-21"),
    entry(type="checkboxes", options=menu()["options"]),
    entry(**menu(initial_option=menu()["options"][1])),
    entry(type="timepicker", initial_time="09:30"),
    entry(type="datetimepicker", initial_date_time=1_800_000_000),
    entry(type="email_text_input", min_length=3, max_length=10, initial_value="x" * 10),
    entry(type="file_input", max_files=10),
    entry(type="users_select", initial_user="U1", placeholder=plain("x" * 150)),
    entry(type="radio_buttons", options=menu()["options"]),
    actions(menu(type="overflow"), menu(type="multi_static_select", action_id="many")),
    actions(
        {
            "type": "static_select",
            "action_id": "grouped",
            "option_groups": [{"label": plain(), "options": menu()["options"]}],
            "initial_option": menu()["options"][0],
        }
    ),
    {
        "type": "context_actions",
        "elements": [{"type": "icon_button", "action_id": "i", "icon": "trash", "text": plain()}],
    },
    {"type": "table", "rows": [[{"type": "raw_number", "value": 1}]]},
    container({"type": "divider"}, subtitle=mrkdwn(), width="wide", has_header_divider=True),
    container({"type": "divider"}, rich_text_title=rich(words(TEXT))),
    rich({"type": "rich_text_quote", "elements": [TEXT | {"style": {"bold": True}}]}),
    rich(words({"type": "broadcast", "range": "here"}, {"type": "emoji", "name": "eyes"})),
    section(text=plain("x") | {"emoji": False}, block_id="x" * 255, expand=True),
]

BAD: list[tuple[Json, str]] = [
    (section(text="hi"), "must provide an object [json-pointer:/blocks/0/text]"),
    (section(), "missing required field: text [json-pointer:/blocks/0]"),
    (section(text=mrkdwn("")), "must be more than 0 characters"),
    (section(text=mrkdwn(" ")), "must be more than 0 characters"),
    (section(text=mrkdwn("x" * 3_001)), "must be less than 3001 characters"),
    (section(text=mrkdwn() | {"emoji": True}), "invalid additional property: emoji"),
    (section(text=plain() | {"verbatim": True}), "invalid additional property: verbatim"),
    (section(text={"type": "html", "text": "x"}), "must be a valid enum value"),
    (section(text={"type": "mrkdwn", "text": 1}), "must be a string"),
    (section(text=mrkdwn(), title="x"), "invalid additional property: title"),
    (section(text=mrkdwn(), block_id="x" * 256), "must be less than 256 characters"),
    (section(text=mrkdwn(), expand="yes"), "must be a boolean"),
    (section(fields=[mrkdwn()] * 11), "no more than 10 items allowed"),
    (section(fields=[mrkdwn("x" * 2_001)]), "must be less than 2001 characters"),
    (section(fields=[]), "must have at least 1 item"),
    (section(fields={}), "must provide an array"),
    (section(text=mrkdwn(), accessory=feedback()["elements"][0]), "unsupported type"),
    ({"type": "header", "text": plain("x" * 151)}, "must be less than 151 characters"),
    ({"type": "header", "text": mrkdwn()}, "must be a valid enum value"),
    ({"type": "header"}, "missing required field: text"),
    ({"type": "context", "elements": [mrkdwn()] * 11}, "no more than 10 items allowed"),
    ({"type": "context", "elements": [button()]}, "must be a valid enum value"),
    ({"type": "markdown", "text": "x" * 12_001}, "must be less than 12001 characters"),
    ({"type": "markdown", "text": plain()}, "must be a string"),
    ({"type": "divider", "text": "x"}, "invalid additional property: text"),
    ({"type": "banner"}, "unsupported type: banner [json-pointer:/blocks/0/type]"),
    (actions(), "must have at least 1 item"),
    (actions(*(button(action_id=f"a{number}") for number in range(26))), "no more than 25"),
    (actions(button(), button()), '`action_id` "approve" already exists'),
    (actions(button(text=plain("x" * 76))), "must be less than 76 characters"),
    (actions(button(text=mrkdwn())), "must be a valid enum value"),
    (actions(button(value="x" * 2_001)), "must be less than 2001 characters"),
    (actions(button(action_id="x" * 256)), "must be less than 256 characters"),
    (actions(button(style="warning")), "must be a valid enum value"),
    (actions(button(url="run/1")), "invalid url: run/1"),
    (actions(button(color="red")), "invalid additional property: color"),
    (actions(button(confirm=CONFIRM | {"deny": plain("x" * 31)})), "less than 31 characters"),
    (actions(button(confirm={"title": plain()})), "missing required field: confirm"),
    (actions(button(confirm=CONFIRM | {"text": plain("x" * 301)})), "less than 301 characters"),
    (actions(button(confirm=CONFIRM | {"title": plain("x" * 101)})), "less than 101 characters"),
    (actions(entry()["element"]), "unsupported type: plain_text_input"),
    (actions(menu(options=[])), "must have at least 1 item"),
    (actions(menu(options=menu()["options"] * 51)), "no more than 100 items allowed"),
    (actions(menu(options=[menu()["options"][0]] * 2)), "duplicate value: 1"),
    (actions(menu(options=[{"text": plain(), "value": "x" * 151}])), "less than 151 characters"),
    (actions(menu(options=[{"text": plain("x" * 76), "value": "x"}])), "less than 76 characters"),
    (actions(menu(initial_option={"text": plain("no"), "value": "3"})), "match one of the options"),
    (actions(menu(type="overflow", options=menu()["options"] * 3)), "no more than 5 items"),
    (actions(menu(type="checkboxes", options=menu()["options"] * 6)), "no more than 10 items"),
    (plan(*(task(number) for number in range(41))), "no more than 40 items allowed"),
    (plan(task(), task()), '`task_id` "t1" already exists'),
    (plan(task(), title=""), "must be more than 0 characters"),
    (
        plan(*(task(number, title="x" * 300) for number in range(30))),
        "must be less than 8001 bytes",
    ),
    (plan(task(status="running")), "must be a valid enum value"),
    (plan(task(status=None)), "missing required field: status"),
    (plan(task(output="done")), "must provide an object"),
    (plan(task(output=rich())), "must have at least 1 item"),
    (plan(task(type="section")), "must be a valid enum value"),
    (plan(task(sources=[SOURCE | {"url": "log"}])), "invalid url: log"),
    (task(title=""), "must be more than 0 characters"),
    (task(note="x"), "invalid additional property: note"),
    (rich(), "must have at least 1 item"),
    (rich(TEXT), "unsupported type: text"),
    (rich(words({"type": "text", "text": ""})), "must be more than 0 characters"),
    (rich(words({"type": "text"})), "missing required field: text"),
    (rich(words({"type": "mention"})), "unsupported type: mention"),
    (rich(words(TEXT | {"style": {"red": True}})), "invalid additional property: red"),
    (rich(words(LINK | {"url": "x"})), "invalid url: x"),
    (rich(words(DATE | {"timestamp": "now"})), "must be an integer"),
    (rich(words({"type": "broadcast", "range": "all"})), "must be a valid enum value"),
    (rich(CODE | {"elements": [DATE]}), "unsupported type: date"),
    (rich(LIST | {"elements": [TEXT]}), "unsupported type: text"),
    (rich(LIST | {"indent": 9}), "must be between 0 and 8"),
    (rich(LIST | {"style": "dash"}), "must be a valid enum value"),
    (feedback(positive_button={"text": plain()}), "missing required field: value"),
    (feedback(negative_button={"text": plain("x" * 76), "value": "x"}), "less than 76 characters"),
    (feedback(action_id="x" * 256), "must be less than 256 characters"),
    ({"type": "context_actions", "elements": [button()]}, "unsupported type: button"),
    (container(), "must have at least 1 item"),
    (container(*[section(text=plain())] * 11), "no more than 10 items allowed"),
    (container(container(section(text=plain()))), "unsupported type: container"),
    (container({"type": "divider"}, default_collapsed=True), "requires is_collapsible"),
    (
        container({"type": "divider"}, is_collapsible=True, has_header_divider=True),
        "cannot be used when is_collapsible is true",
    ),
    (container({"type": "divider"}, title=plain("x" * 151)), "less than 151 characters"),
    (container({"type": "divider"}, width="huge"), "must be a valid enum value"),
    ({"type": "table", "rows": [CELLS] * 101}, "no more than 100 items allowed"),
    ({"type": "table", "rows": [CELLS * 11]}, "no more than 20 items allowed"),
    ({"type": "table", "rows": [["a"]]}, "must provide an object"),
    (
        {"type": "table", "rows": [[{"type": "raw_text", "text": "x" * 2_600}] * 4]},
        "must be less than 10001 characters",
    ),
    ({"type": "alert", "text": plain(), "level": "bad"}, "must be a valid enum value"),
    (IMAGE | {"alt_text": ""}, "must be more than 0 characters"),
    (IMAGE | {"alt_text": "x" * 2_001}, "must be less than 2001 characters"),
    (IMAGE | {"image_url": "http://127.0.0.1:8080/a.png"}, "downloading image failed"),
    (IMAGE | {"image_url": "http://muster/a.png"}, "downloading image failed"),
    (IMAGE | {"image_url": "https://a.test/" + "x" * 3_000}, "must be less than 3001"),
    ({"type": "image", "slack_file": {"id": "F0"}, "alt_text": "x"}, "invalid slack file"),
    (entry() | {"label": plain("x" * 2_001)}, "must be less than 2001 characters"),
    (entry() | {"label": mrkdwn()}, "must be a valid enum value"),
    ({"type": "input", "label": plain()}, "missing required field: element"),
    (entry(**button()), "unsupported type: button"),
    (entry(max_length=3_001), "must be between 1 and 3000"),
    (entry(min_length="1"), "must be an integer"),
    (entry(initial_value="xx", max_length=1), "must be less than 2 characters"),
    (entry(placeholder=plain("x" * 151)), "must be less than 151 characters"),
    (entry(type="number_input"), "missing required field: is_decimal_allowed"),
    (entry(type="number_input", is_decimal_allowed=True, min_value=1), "must be a string"),
    (entry(type="datepicker", initial_date="21.11.2026"), "must match"),
    (entry(type="timepicker", initial_time="9am"), "must match"),
    (entry(type="datetimepicker", initial_date_time=1), "must be between"),
    (entry(type="file_input", max_files=11), "must be between 1 and 10"),
    (entry(multiline="yes"), "must be a boolean"),
    (entry(focus_on_load="yes"), "must be a boolean"),
    (entry(initial_value=1), "must be a string"),
    (entry(type="number_input", is_decimal_allowed="no"), "must be a boolean"),
    (entry() | {"hint": plain("x" * 2_001)}, "must be less than 2001 characters"),
    (entry() | {"optional": "yes"}, "must be a boolean"),
    (entry() | {"dispatch_action": 1}, "must be a boolean"),
    ({"type": "input", "element": entry()["element"]}, "missing required field: label"),
    (actions({"type": "button", "action_id": "a"}), "missing required field: text"),
    (actions({"type": "static_select", "action_id": "a"}), "missing required field: options"),
    (actions({"type": "overflow", "action_id": "a"}), "missing required field: options"),
    (actions({"type": "checkboxes", "action_id": "a"}), "missing required field: options"),
    (actions(button(accessibility_label="x" * 76)), "must be less than 76 characters"),
    (actions(button(confirm=CONFIRM | {"style": "red"})), "must be a valid enum value"),
    (actions(button(confirm=CONFIRM | {"text": None})), "missing required field: text"),
    (actions(button(confirm="sure")), "must provide an object"),
    (actions(button(confirm=CONFIRM | {"confirm": plain("x" * 31)})), "less than 31 characters"),
    (icon(icon="x" * 51), "must be less than 51 characters"),
    (
        actions(menu(option_groups=[{"label": plain(), "options": menu()["options"]}] * 101)),
        "no more than 100 items allowed",
    ),
    (
        {
            "type": "context_actions",
            "elements": [icon(action_id=f"i{number}")["elements"][0] for number in range(6)],
        },
        "no more than 5 items allowed",
    ),
    (task(sources=[SOURCE] * 51), "no more than 50 items allowed"),
    (rich(words(*[TEXT] * 1_001)), "no more than 1000 items allowed"),
    (rich(LIST | {"elements": [CODE]}), "unsupported type: rich_text_preformatted"),
    (actions(menu(options=[{"value": "1"}])), "missing required field: text"),
    (actions(menu(options=[{"text": plain()}])), "missing required field: value"),
    (actions(menu(options=["1"])), "must provide an object"),
    (
        actions(menu(options=[{"text": plain(), "value": "1", "description": plain("x" * 76)}])),
        "less than 76 characters",
    ),
    (actions(menu(option_groups=[{"label": plain("x" * 76), "options": []}])), "less than 76"),
    (actions(menu(option_groups=[{"label": plain(), "options": []}])), "at least 1 item"),
    (actions(menu(option_groups=[])), "at least 1 item"),
    (
        actions(menu(type="checkboxes", initial_options=[{"text": plain("no"), "value": "3"}])),
        "match one of the options",
    ),
    (feedback(positive_button="up"), "must provide an object"),
    (feedback(positive_button=None), "missing required field: positive_button"),
    (feedback(positive_button={"value": "up"}), "missing required field: text"),
    (
        feedback(positive_button={"text": plain(), "value": "x" * 2_001}),
        "must be less than 2001 characters",
    ),
    (
        feedback(positive_button={"text": plain(), "value": "x", "accessibility_label": "x" * 76}),
        "must be less than 76 characters",
    ),
    (icon(icon=None), "missing required field: icon"),
    (icon(text=None), "missing required field: text"),
    (icon(text=plain("x" * 76)), "must be less than 76 characters"),
    (icon(value="x" * 2_001), "must be less than 2001 characters"),
    ({"type": "actions"}, "missing required field: elements"),
    ({"type": "context"}, "missing required field: elements"),
    ({"type": "rich_text"}, "missing required field: elements"),
    ({"type": "markdown"}, "missing required field: text"),
    ({"type": "table"}, "missing required field: rows"),
    ({"type": "table", "rows": [[{"type": "raw_number"}]]}, "missing required field: value"),
    ({"type": "table", "rows": [[{"type": "raw_text"}]]}, "missing required field: text"),
    ({"type": "table", "rows": [[{"type": "text", "text": "x"}]]}, "unsupported type: text"),
    ({"type": "table", "rows": [[rich()]]}, "must have at least 1 item"),
    ({"type": "alert"}, "missing required field: text"),
    ({"type": "alert", "text": mrkdwn("x" * 3_001)}, "must be less than 3001 characters"),
    ({"type": "container", "title": plain()}, "missing required field: child_blocks"),
    (container({"type": "divider"}, title=None), "missing required field: title"),
    (container({"type": "divider"}, subtitle=plain("x" * 151)), "less than 151 characters"),
    (container({"type": "divider"}, is_collapsible="yes"), "must be a boolean"),
    (container({"type": "divider"}, rich_text_title=rich()), "must have at least 1 item"),
    (container(section()), "json-pointer:/blocks/0/child_blocks/0"),
    (plan(task(), title=None), "missing required field: title"),
    (plan("look"), "must provide an object"),  # type: ignore[arg-type]
    (task(task_id=None), "missing required field: task_id"),
    (task(task_id="x" * 256), "must be less than 256 characters"),
    (task(title=None), "missing required field: title"),
    (task(title="x" * 3_001), "must be less than 3001 characters"),
    (task(sources=["log"]), "must provide an object"),
    (task(sources=[SOURCE | {"text": None}]), "missing required field: text"),
    (task(sources=[SOURCE | {"url": None}]), "missing required field: url"),
    (task(sources=[]), "must have at least 1 item"),
    (task(output={"type": "text", "elements": [words(TEXT)]}), "must be a valid enum value"),
    (rich("x"), "must provide an object"),  # type: ignore[arg-type]
    (rich(words("x")), "must provide an object"),  # type: ignore[arg-type]
    (rich({"type": "rich_text_section"}), "missing required field: elements"),
    (rich({"type": "rich_text_list", "elements": [words(TEXT)]}), "missing required field: style"),
    (rich(words(TEXT | {"text": "x" * 12_001})), "must be less than 12001 characters"),
    (rich(words(TEXT | {"style": "bold"})), "must provide an object"),
    (IMAGE | {"alt_text": None}, "missing required field: alt_text"),
    (IMAGE | {"image_url": None}, "missing required field: image_url"),
    (IMAGE | {"title": plain("x" * 2_001)}, "must be less than 2001 characters"),
    ({"type": "image", "slack_file": "F1", "alt_text": "x"}, "must provide an object"),
    (
        {"type": "context", "elements": [{"type": "image", "alt_text": "x"}]},
        "missing required field: image_url",
    ),
    (
        {"type": "context", "elements": [IMAGE | {"alt_text": "x" * 2_001}]},
        "must be less than 2001 characters",
    ),
    ({"type": "context", "elements": [mrkdwn("x" * 3_001)]}, "less than 3001 characters"),
]


@pytest.mark.parametrize("block", GOOD, ids=lambda block: str(block["type"]))
def test_good_blocks_are_accepted(block: Json) -> None:
    """What Slack accepts, up to its limits, is accepted."""
    assert block_problems([block]) == []


@pytest.mark.parametrize(("block", "problem"), BAD, ids=lambda part: str(part)[:40])
def test_bad_blocks_are_refused(block: Json, problem: str) -> None:
    """Each rule is told in Slack's words, with a pointer."""
    found = block_problems([block])

    assert any(problem in sentence for sentence in found), found
    assert all("[json-pointer:/blocks" in sentence for sentence in found)


def nodes(node: Any) -> Iterator[Json]:
    """Yield every object in a block, itself first."""
    if isinstance(node, list):
        for item in node:
            yield from nodes(item)
    elif isinstance(node, dict):
        yield node
        for value in node.values():
            yield from nodes(value)


@pytest.mark.parametrize("block", GOOD, ids=lambda block: str(block["type"]))
def test_unknown_keys_are_refused_everywhere(block: Json) -> None:
    """Whatever object of a block bears a key that Slack does not know, the block is refused."""
    count = len(list(nodes(block)))
    for index in range(min(count, 40)):
        changed = copy.deepcopy(block)
        list(nodes(changed))[index]["colour"] = "red"

        assert any("invalid additional property: colour" in it for it in block_problems([changed]))


def test_a_message_has_50_blocks_with_ids_of_their_own() -> None:
    """51 blocks, one id twice, two tables and a block that is no object are refused."""
    divider = {"type": "divider"}
    table = {"type": "table", "rows": [CELLS]}
    twice = {"type": "divider", "block_id": "b"}

    assert block_problems([divider] * 50) == []
    assert block_problems([divider] * 51) == [
        "no more than 50 items allowed [json-pointer:/blocks]"
    ]
    assert block_problems([twice, twice]) == [
        '`block_id` "b" already exists [json-pointer:/blocks/1/block_id]'
    ]
    assert block_problems([table, table]) == ["only one table allowed [json-pointer:/blocks]"]
    assert block_problems(["x"]) == ["must provide an object [json-pointer:/blocks/0]"]


def test_an_image_may_name_an_uploaded_file() -> None:
    """A file is named by its id or by its private address, and has to be known."""
    image = {"type": "image", "alt_text": "chart"}
    by_address = {"url": "https://files.slack.test/files-pri/T1/F1/chart.png"}

    assert block_problems([image | {"slack_file": {"id": "F1"}}], files=["F1"]) == []
    assert block_problems([image | {"slack_file": by_address}], files=["F1"]) == []
    assert block_problems([image | {"slack_file": by_address}], files=["F2"]) == [
        "invalid slack file [json-pointer:/blocks/0/slack_file]"
    ]
    assert block_problems([image | {"slack_file": {"id": "F1", "size": 1}}], files=["F1"]) == [
        "invalid additional property: size [json-pointer:/blocks/0/slack_file]"
    ]


async def test_refused_blocks_have_slacks_shape() -> None:
    """Over the wire: the error, `errors`, and `response_metadata` with the outer problem first."""
    with SlackServer() as server:
        client = client_of(peopled(server))
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(
                channel="C1", text="x", blocks=[section(text=mrkdwn("x" * 3_001))]
            )

    answer = caught.value.response
    assert (answer["ok"], answer["error"]) == (False, "invalid_blocks")
    assert answer["response_metadata"]["messages"] == [
        "[ERROR] failed to match all allowed schemas [json-pointer:/blocks/0/text]",
        "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
    ]
    assert answer["errors"][0].startswith("failed to match")
    assert server.refused[0].error == "invalid_blocks"


async def test_an_older_workspace_refuses_plans() -> None:
    """A workspace may not know some kinds yet: for posts and for edits."""
    with SlackServer() as server:
        client = client_of(peopled(server))
        ts = (await client.chat_postMessage(channel="C1", text="x", blocks=[plan(task())]))["ts"]
        server.refuse_blocks("plan", "task_card")
        with pytest.raises(SlackApiError, match="unsupported type: plan"):
            await client.chat_update(channel="C1", ts=ts, text="x", blocks=[plan(task())])
        with pytest.raises(SlackApiError, match="unsupported type: task_card"):
            await client.chat_postMessage(channel="C1", text="x", blocks=[task()])
        await client.chat_update(channel="C1", ts=ts, text="x", blocks=CARD)


VIEWS: list[tuple[Json, str]] = [
    ({"title": plain("x" * 25)}, "must be less than 25 characters [json-pointer:/view/title/text]"),
    ({"title": None}, "missing required field: title"),
    ({"title": mrkdwn()}, "must be a valid enum value"),
    ({"submit": plain("x" * 25)}, "must be less than 25 characters"),
    ({"submit": None}, "missing required field: submit"),
    ({"close": plain("x" * 25)}, "must be less than 25 characters"),
    ({"private_metadata": "x" * 3_001}, "must be less than 3001 characters"),
    ({"callback_id": "x" * 256}, "must be less than 256 characters"),
    ({"external_id": "x" * 256}, "must be less than 256 characters"),
    ({"blocks": [{"type": "divider"}] * 101}, "no more than 100 items allowed"),
    ({"blocks": None}, "missing required field: blocks"),
    ({"blocks": [{"type": "markdown", "text": "x"}]}, "unsupported type: markdown"),
    ({"blocks": [plan(task())]}, "unsupported type: plan"),
    ({"blocks": [feedback()]}, "unsupported type: context_actions"),
    ({"type": None}, "missing required field: type"),
    ({"type": "popup"}, "must be a valid enum value"),
    ({"type": "home"}, "must be a valid enum value"),
    ({"notify_on_close": "yes"}, "must be a boolean"),
    ({"color": "red"}, "invalid additional property: color"),
    ({"blocks": [section(text=mrkdwn("x" * 3_000))] * 90}, "must be less than 250001 bytes"),
]


@pytest.mark.parametrize(("change", "problem"), VIEWS, ids=lambda part: str(part)[:40])
def test_bad_modals_are_refused(change: Json, problem: str) -> None:
    """Each rule of a modal is told with a pointer into the view."""
    found = view_problems(MODAL | change)

    assert any(problem in sentence for sentence in found), found


def test_good_views_are_accepted() -> None:
    """A modal and a Home tab up to their limits are accepted; a Home tab has no title."""
    home = {"type": "home", "blocks": [{"type": "divider"}] * 100}

    assert view_problems(MODAL | {"private_metadata": "x" * 3_000, "callback_id": ""}) == []
    assert view_problems(home, ("home",)) == []
    assert view_problems(home | {"title": plain()}, ("home",)) == [
        "invalid additional property: title [json-pointer:/view]"
    ]
    assert view_problems("x") == ["must provide an object [json-pointer:/view]"]
