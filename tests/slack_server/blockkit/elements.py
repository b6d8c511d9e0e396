"""Block elements: buttons, menus, inputs, and which of them may stand where."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.slack_server.blockkit.objects import (
    ANY_TEXT,
    check_confirm,
    check_option,
    check_options,
    check_text,
)
from tests.slack_server.blockkit.problems import Json, Problems
from tests.slack_server.limits import ID_CHARS

MENUS = frozenset(
    f"{many}{source}_select"
    for many in ("", "multi_")
    for source in ("static", "external", "users", "conversations", "channels")
)
PICKERS = frozenset({"datepicker", "timepicker", "datetimepicker"})
CHOICES = frozenset({"checkboxes", "radio_buttons"})
TEXT_INPUTS = frozenset(
    {"plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input"}
)
IN_ACTIONS = frozenset({"button", "overflow"}) | MENUS | PICKERS | CHOICES
IN_INPUT = TEXT_INPUTS | MENUS | PICKERS | CHOICES | {"file_input"}
IN_SECTION = IN_ACTIONS | {"image"}
IN_CONTEXT_ACTIONS = frozenset({"feedback_buttons", "icon_button"})
BUTTON_CHARS = 75
VALUE_CHARS = 2_000
CHOICE_OPTIONS = 10
OVERFLOW_OPTIONS = 5
INPUT_CHARS = 3_000
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
TIME = re.compile(r"\d{2}:\d{2}")


def check_element(problems: Problems, node: Any, at: str, allowed: frozenset[str]) -> None:
    """Check an element that stands where only some kinds may."""
    element = problems.want_object(node, at)
    if element is None:
        return
    kind = str(element.get("type"))
    if kind not in allowed or kind not in CHECKS:
        problems.add(f"{at}/type", f"unsupported type: {kind}")
        return
    if kind != "image":
        problems.string(element, at, "action_id", ID_CHARS)
    CHECKS[kind](problems, element, at)
    if element.get("confirm") is not None:
        check_confirm(problems, element["confirm"], f"{at}/confirm")
    if element.get("placeholder") is not None:
        check_text(problems, element["placeholder"], f"{at}/placeholder", 150)
    problems.flag(element, at, "focus_on_load")


def _button(problems: Problems, node: Json, at: str) -> None:
    keys = ("text", "url", "value", "style", "confirm", "accessibility_label", "agent_prompt")
    problems.only(node, at, ("action_id", *keys))
    if problems.has(node, at, "text"):
        check_text(problems, node["text"], f"{at}/text", BUTTON_CHARS)
    problems.string(node, at, "value", VALUE_CHARS)
    problems.string(node, at, "accessibility_label", BUTTON_CHARS)
    problems.one_of(node, at, "style", ("primary", "danger"))
    problems.url(node, at, "url")


def _feedback(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("action_id", "positive_button", "negative_button"))
    for key in ("positive_button", "negative_button"):
        if not problems.has(node, at, key):
            continue
        here = f"{at}/{key}"
        button = problems.want_object(node[key], here)
        if button is None:
            continue
        problems.only(button, here, ("text", "value", "accessibility_label"))
        if problems.has(button, here, "text"):
            check_text(problems, button["text"], f"{here}/text", BUTTON_CHARS)
        problems.string(button, here, "value", VALUE_CHARS, required=True)
        problems.string(button, here, "accessibility_label", BUTTON_CHARS)


def _icon_button(problems: Problems, node: Json, at: str) -> None:
    keys = ("icon", "text", "value", "confirm", "accessibility_label", "visible_to_user_ids")
    problems.only(node, at, ("action_id", *keys))
    problems.string(node, at, "icon", 50, required=True)
    if problems.has(node, at, "text"):
        check_text(problems, node["text"], f"{at}/text", BUTTON_CHARS)
    problems.string(node, at, "value", VALUE_CHARS)


def _overflow(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("action_id", "options", "confirm"))
    if problems.has(node, at, "options"):
        check_options(problems, node["options"], f"{at}/options", OVERFLOW_OPTIONS)


def _choices(problems: Problems, node: Json, at: str) -> None:
    keys = ("options", "initial_options", "initial_option", "confirm", "focus_on_load")
    problems.only(node, at, ("action_id", *keys))
    if problems.has(node, at, "options"):
        check_options(problems, node["options"], f"{at}/options", CHOICE_OPTIONS, ANY_TEXT)
    _initial(problems, node, at)


def _static(problems: Problems, node: Json, at: str) -> None:
    keys = ("options", "option_groups", "initial_option", "initial_options", "max_selected_items")
    problems.only(node, at, ("action_id", *keys, "confirm", "focus_on_load", "placeholder"))
    if node.get("option_groups") is not None:
        groups = problems.want_items(node["option_groups"], f"{at}/option_groups", 100)
        for index, group in enumerate(groups):
            here = f"{at}/option_groups/{index}"
            if problems.want_object(group, here) is not None:
                problems.only(group, here, ("label", "options"))
                check_text(problems, group.get("label"), f"{here}/label", 75)
                check_options(problems, group.get("options"), f"{here}/options")
    elif problems.has(node, at, "options"):
        check_options(problems, node["options"], f"{at}/options")
    _initial(problems, node, at)


def _initial(problems: Problems, node: Json, at: str) -> None:
    """Check that what is chosen at first is among the options, letter by letter."""
    chosen = node.get("initial_options") or []
    if node.get("initial_option") is not None:
        chosen = [*chosen, node["initial_option"]]
    offered = list(node.get("options") or [])
    for group in node.get("option_groups") or []:
        offered += group.get("options", []) if isinstance(group, dict) else []
    for option in chosen:
        check_option(problems, option, f"{at}/initial_option", ANY_TEXT)
        if option not in offered:
            problems.add(f"{at}/initial_option", "must match one of the options")


def _menu(problems: Problems, node: Json, at: str) -> None:
    keys = {"confirm", "focus_on_load", "placeholder", "max_selected_items", "filter"}
    keys |= {"response_url_enabled", "min_query_length", "default_to_current_conversation"}
    initial = {key for key in node if key.startswith("initial_")}
    problems.only(node, at, ("action_id", *keys, *initial))


def _picker(problems: Problems, node: Json, at: str) -> None:
    keys = ("initial_date", "initial_time", "initial_date_time", "timezone")
    problems.only(node, at, ("action_id", *keys, "confirm", "focus_on_load", "placeholder"))
    for key, shape in (("initial_date", DAY), ("initial_time", TIME)):
        value = node.get(key)
        if value is not None and not (isinstance(value, str) and shape.fullmatch(value)):
            problems.add(f"{at}/{key}", f"must match {shape.pattern}")
    problems.whole(node, at, "initial_date_time", 10**9, 10**10 - 1)


def _text_input(problems: Problems, node: Json, at: str) -> None:
    keys = ("initial_value", "multiline", "min_length", "max_length", "dispatch_action_config")
    problems.only(node, at, ("action_id", *keys, "focus_on_load", "placeholder"))
    problems.whole(node, at, "min_length", 0, INPUT_CHARS)
    problems.whole(node, at, "max_length", 1, INPUT_CHARS)
    problems.flag(node, at, "multiline")
    most = node.get("max_length")
    initial = node.get("initial_value")
    if initial is not None and not isinstance(initial, str):
        problems.add(f"{at}/initial_value", "must be a string")
    elif isinstance(initial, str):
        allowed = most if isinstance(most, int) else INPUT_CHARS
        if len(initial) > allowed:
            problems.add(f"{at}/initial_value", f"must be less than {allowed + 1} characters")


def _number_input(problems: Problems, node: Json, at: str) -> None:
    keys = ("is_decimal_allowed", "initial_value", "min_value", "max_value")
    problems.only(node, at, ("action_id", *keys, "dispatch_action_config", "focus_on_load"))
    problems.has(node, at, "is_decimal_allowed")
    problems.flag(node, at, "is_decimal_allowed")
    for key in ("initial_value", "min_value", "max_value"):
        if node.get(key) is not None and not isinstance(node[key], str):
            problems.add(f"{at}/{key}", "must be a string")


def _file_input(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("action_id", "filetypes", "max_files"))
    problems.whole(node, at, "max_files", 1, 10)


def _image(problems: Problems, node: Json, at: str) -> None:
    problems.only(node, at, ("image_url", "slack_file", "alt_text"))
    problems.string(node, at, "alt_text", 2_000, required=True)
    problems.picture(node, at)


Check = Callable[[Problems, Json, str], None]
CHECKS: dict[str, Check] = {
    "button": _button,
    "feedback_buttons": _feedback,
    "icon_button": _icon_button,
    "overflow": _overflow,
    "image": _image,
    "number_input": _number_input,
    "file_input": _file_input,
    "static_select": _static,
    "multi_static_select": _static,
    **dict.fromkeys(MENUS - {"static_select", "multi_static_select"}, _menu),
    **dict.fromkeys(CHOICES, _choices),
    **dict.fromkeys(PICKERS, _picker),
    **dict.fromkeys(TEXT_INPUTS - {"number_input"}, _text_input),
}
