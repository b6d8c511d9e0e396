"""What a person enters in a modal, as Slack's client checks it and sends it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.slack_server.state import Json, View

TEXT_KINDS = frozenset({"plain_text_input", "email_text_input", "url_text_input", "number_input"})
SELECTED = {
    "datepicker": ("selected_date", "initial_date"),
    "timepicker": ("selected_time", "initial_time"),
    "datetimepicker": ("selected_date_time", "initial_date_time"),
    "users_select": ("selected_user", "initial_user"),
    "channels_select": ("selected_channel", "initial_channel"),
    "conversations_select": ("selected_conversation", "initial_conversation"),
    "rich_text_input": ("rich_text_value", "initial_value"),
}
ONE_OF = frozenset({"static_select", "radio_buttons", "external_select"})
SOME_OF = frozenset({"checkboxes", "multi_static_select"})


class CannotError(Exception):
    """A person could not do this in Slack's client: the test asks for the impossible."""


def filled(view: View, values: Mapping[str, Any]) -> Json:
    """Return `state.values` of a modal. Values are named by block id or action id."""
    state: Json = {}
    left = set(values)
    for block in view.blocks:
        element = block.get("element") or block.get("accessory") or {}
        if block["type"] != "input" or not element:
            continue
        names = {block["block_id"], element.get("action_id", "")}
        given = [values[name] for name in names if name in values]
        left -= names
        entry = _entry(element, given)
        if _is_empty(entry) and not block.get("optional"):
            raise CannotError(f"{block['block_id']} is required: fill it in")
        state[block["block_id"]] = {element.get("action_id", "x"): entry}
    if left:
        raise CannotError(f"the modal has no input {', '.join(sorted(left))}")
    return state


def _entry(element: Json, given: list[Any]) -> Json:
    kind = str(element["type"])
    if kind in TEXT_KINDS:
        value = given[0] if given else element.get("initial_value")
        return {"type": kind, "value": _checked(element, value)}
    if kind in ONE_OF:
        chosen = _option(element, given[0]) if given else element.get("initial_option")
        return {"type": kind, "selected_option": chosen}
    if kind in SOME_OF:
        many = [_option(element, value) for value in given[0]] if given else None
        return {"type": kind, "selected_options": many or element.get("initial_options", [])}
    key, initial = SELECTED[kind]
    return {"type": kind, key: given[0] if given else element.get(initial)}


def _checked(element: Json, value: Any) -> str | None:
    """Return what was typed; the client keeps to the field's limits."""
    if value is None or value == "":
        return None
    text = str(value)
    most, least = element.get("max_length", 3_000), element.get("min_length", 0)
    if not least <= len(text) <= most:
        raise CannotError(f"{element.get('action_id')} takes {least} to {most} characters")
    if element["type"] == "number_input":
        try:
            number = float(text)
        except ValueError as error:
            raise CannotError(f"{element.get('action_id')} takes numbers") from error
        if not element["is_decimal_allowed"] and not number.is_integer():
            raise CannotError(f"{element.get('action_id')} takes whole numbers")
        low, high = element.get("min_value"), element.get("max_value")
        if (low is not None and number < float(low)) or (high is not None and number > float(high)):
            raise CannotError(f"{element.get('action_id')} is out of range")
    return text


def option_of(element: Json, value: str) -> Json:
    """Return the option with a value."""
    return _option(element, value)


def _option(element: Json, value: Any) -> Json:
    options = list(element.get("options") or [])
    for group in element.get("option_groups") or []:
        options += group["options"]
    for option in options:
        if option["value"] == value:
            return dict(option)
    raise CannotError(f"{element.get('action_id')} does not offer {value}")


def _is_empty(entry: Json) -> bool:
    return all(value in (None, [], "") for key, value in entry.items() if key != "type")
