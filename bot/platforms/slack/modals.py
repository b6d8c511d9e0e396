"""Dialogs: editing a proposed call, and answering in one's own words. Views out, values back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agents.domain import JsonObject
from bot.platforms.slack import arguments as args_of
from bot.platforms.slack.arguments import Argument, ArgumentError, arguments, option_text
from bot.platforms.slack.blocks import (
    MAX_INPUT,
    MAX_INPUT_LABEL,
    MAX_OPTION,
    MAX_OPTION_VALUE,
    MAX_OPTIONS,
    MAX_PRIVATE_METADATA,
    MAX_VIEW_BLOCKS,
    MAX_VIEW_TITLE,
    Block,
    Element,
    context,
    plain_text,
    section,
)
from bot.platforms.slack.clicks import PREFIX, Click, read_click
from bot.platforms.slack.escape import bold, clip, mrkdwn, one_line, width
from bot.views import ApprovalView, CallView, QuestionView

EDIT: Final = f"{PREFIX}edit"
REPLY: Final = f"{PREFIX}reply"
FIELD: Final = f"{PREFIX}field"
ANSWER_BLOCK: Final = "answer"
MAX_FIELDS: Final = MAX_VIEW_BLOCKS - 4
MAX_HINT_CHARS: Final = 300
MAX_NAME_CHARS: Final = 100
MAX_ANSWER_CHARS: Final = 2_000
MAX_SINGLE_LINE_CHARS: Final = 120
YES: Final = "Yes"
NO: Final = "No"


@dataclass(frozen=True, slots=True)
class Filled:
    """What a dialog gives: the arguments, or errors by block, as Slack shows them at fields."""

    args: JsonObject = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)


def edit_modal(approval: ApprovalView, call: CallView) -> Block:
    """Return the dialog in which a proposed call's arguments are changed."""
    shown, kept = _split(call)
    blocks = [section(_about(call)), *(_field(argument, call) for argument in shown)]
    if kept:
        names = one_line(", ".join(argument.name for argument in kept), 1_000, mrkdwn)
        blocks.append(context(f"Stay as they are, because Slack has no room for them: {names}"))
    blocks.append(
        context("Saving makes a new revision: it has to be approved again before it runs.")
    )
    click = Click("edit", approval.id, approval.run_id, approval.revision, call_key=call.key)
    return _modal(EDIT, "Edit the call", "Save", click, blocks)


def read_edit(call: CallView, state: Mapping[str, Any]) -> Filled:
    """Return the arguments as they were filled in; those without a field keep their value."""
    shown, kept = _split(call)
    args: JsonObject = {one.name: call.args[one.name] for one in kept if one.name in call.args}
    errors: dict[str, str] = {}
    for argument in shown:
        text = _given(state, argument)
        if not text:
            if _may_be_empty(argument, call):
                args[argument.name] = call.args[argument.name]
            elif argument.is_required:
                errors[block_id(argument.name)] = "This has to be filled in."
            continue
        try:
            args[argument.name] = args_of.read(argument, text)
        except ArgumentError as error:
            errors[block_id(argument.name)] = str(error)
    order = [argument.name for argument in arguments(call.schema, call.args)]
    return Filled({name: args[name] for name in order if name in args}, errors)


def field_errors(call: CallView, errors: Mapping[str, str]) -> dict[str, str]:
    """Return errors by argument as errors by block; one about all of it stands at the first."""
    shown, _ = _split(call)
    names = [argument.name for argument in shown]
    placed: dict[str, str] = {}
    for name, sentence in errors.items():
        outer = name.partition(".")[0]
        target = outer if outer in names else (names[0] if names else "")
        if target:
            said = sentence if outer == target else f"{name}: {sentence}" if name else sentence
            placed[block_id(target)] = said
    return placed


def reply_modal(question: QuestionView) -> Block:
    """Return the dialog in which a question is answered in one's own words."""
    entry: Element = {
        "type": "plain_text_input",
        "action_id": FIELD,
        "multiline": True,
        "max_length": MAX_ANSWER_CHARS,
        "focus_on_load": True,
    }
    blocks = [
        section(clip(question.text, 2_500, mrkdwn)),
        {
            "type": "input",
            "block_id": ANSWER_BLOCK,
            "label": plain_text("Your answer", MAX_INPUT_LABEL),
            "element": entry,
        },
    ]
    click = Click("reply", question.id, question.run_id)
    return _modal(REPLY, "Answer", "Send", click, blocks)


def read_reply(state: Mapping[str, Any]) -> str:
    """Return what was answered."""
    given = _element(state, ANSWER_BLOCK).get("value")
    return given.strip() if isinstance(given, str) else ""


def read_context(view: Mapping[str, Any]) -> Click | None:
    """Return what a dialog is about; None when it is none of ours."""
    return read_click(str(view.get("private_metadata", "")))


def block_id(name: str) -> str:
    """Return the id of an argument's field: a name may hold anything and be of any length."""
    return "arg-" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _about(call: CallView) -> str:
    title = call.title.removeprefix(call.tool).strip()
    tool = bold(call.tool, MAX_NAME_CHARS)
    return f"{tool} {one_line(title, MAX_HINT_CHARS, mrkdwn)}" if title else tool


def _modal(id_: str, title: str, submit: str, click: Click, blocks: Sequence[Block]) -> Block:
    if width(click.value) > MAX_PRIVATE_METADATA:
        raise ValueError("the ids of this dialog are longer than Slack keeps")
    return {
        "type": "modal",
        "callback_id": id_,
        "private_metadata": click.value,
        "title": plain_text(title, MAX_VIEW_TITLE),
        "submit": plain_text(submit, MAX_VIEW_TITLE),
        "close": plain_text("Cancel", MAX_VIEW_TITLE),
        "blocks": list(blocks),
    }


def _split(call: CallView) -> tuple[list[Argument], list[Argument]]:
    """Return the arguments that get a field, and those that Slack has no room for."""
    all_ = arguments(call.schema, call.args)
    shown = [one for one in all_ if width(one.text) <= MAX_INPUT][:MAX_FIELDS]
    return shown, [one for one in all_ if one not in shown]


def _field(argument: Argument, call: CallView) -> Block:
    hint = clip(argument.description, MAX_HINT_CHARS) if argument.description.strip() else ""
    if argument.kind == args_of.LINES:
        hint = f"{hint} One per line.".strip()
    if argument.kind == args_of.JSON:
        hint = f"{hint} As JSON.".strip()
    block: Block = {
        "type": "input",
        "block_id": block_id(argument.name),
        "label": plain_text(argument.label, MAX_NAME_CHARS),
        "optional": not argument.is_required or _may_be_empty(argument, call),
        "element": {**_entry(argument), "action_id": FIELD},
    }
    return {**block, "hint": plain_text(hint, MAX_INPUT_LABEL)} if hint else block


def _entry(argument: Argument) -> Element:
    match argument.kind:
        case args_of.BOOLEAN:
            options = [_option(YES, args_of.TRUE), _option(NO, args_of.FALSE)]
            return _select("radio_buttons" if argument.is_required else "", options, argument.text)
        case args_of.CHOICE if _is_selectable(argument):
            texts = [option_text(option) for option in argument.options]
            return _select("", [_option(text, text) for text in texts], argument.text)
        case args_of.INTEGER | args_of.NUMBER:
            return _number(argument)
        case args_of.MOMENT:
            at = int(args_of.moment_of(argument.text)) if argument.text else None
            return {"type": "datetimepicker", **({"initial_date_time": at} if at else {})}
        case args_of.DAY:
            initial = {"initial_date": argument.text} if argument.text else {}
            return {"type": "datepicker", **initial}
        case _:
            return _text(argument)


def _select(type_: str, options: list[Element], chosen: str) -> Element:
    initial = next((option for option in options if option["value"] == chosen), None)
    kind = type_ or "static_select"
    return {
        "type": kind,
        "options": options,
        **({"initial_option": initial} if initial else {}),
    }


def _option(text: str, value: str) -> Element:
    return {"text": plain_text(text, MAX_OPTION), "value": value}


def _is_selectable(argument: Argument) -> bool:
    """Whether Slack's menus have room for all options; else they are typed."""
    texts = [option_text(option) for option in argument.options]
    return len(texts) <= MAX_OPTIONS and all(
        0 < width(text) <= MAX_OPTION_VALUE and text.strip() for text in texts
    )


def _number(argument: Argument) -> Element:
    bounds = {"min_value": argument.minimum, "max_value": argument.maximum}
    return {
        "type": "number_input",
        "is_decimal_allowed": argument.kind == args_of.NUMBER,
        **{name: json.dumps(bound) for name, bound in bounds.items() if bound is not None},
        **({"initial_value": argument.text} if argument.text else {}),
    }


def _text(argument: Argument) -> Element:
    is_long = (
        argument.kind in {args_of.LINES, args_of.JSON}
        or "\n" in argument.text
        or len(argument.text) > MAX_SINGLE_LINE_CHARS
        or (argument.max_chars or 0) > MAX_SINGLE_LINE_CHARS
    )
    most = argument.max_chars if argument.kind == args_of.TEXT else None
    is_sane = most is not None and width(argument.text) <= most <= MAX_INPUT and most > 0
    return {
        "type": "plain_text_input",
        "multiline": is_long,
        "max_length": most if is_sane else MAX_INPUT,
        **({"initial_value": argument.text} if argument.text else {}),
    }


def _may_be_empty(argument: Argument, call: CallView) -> bool:
    """Whether a field that is left empty held nothing before: then it stays as it was."""
    return argument.name in call.args and call.args[argument.name] in ("", None, [])


def _given(state: Mapping[str, Any], argument: Argument) -> str:
    """Return what a field holds, as the text that its argument reads; empty when nothing."""
    element = _element(state, block_id(argument.name))
    option = element.get("selected_option")
    if isinstance(option, dict):
        return str(option.get("value", ""))
    if (moment := element.get("selected_date_time")) is not None:
        return _moment(argument, int(moment))
    for name in ("value", "selected_date"):
        if element.get(name) is not None:
            return str(element[name])
    return ""


def _moment(argument: Argument, at: int) -> str:
    """Return the time as it was written before, unless it was changed: pickers know no seconds."""
    if argument.text and int(args_of.moment_of(argument.text)) // 60 == at // 60:
        return argument.text
    return args_of.moment_text(at)


def _element(state: Mapping[str, Any], block: str) -> Mapping[str, Any]:
    values = state.get("values", {})
    found = values.get(block, {}).get(FIELD, {}) if isinstance(values, dict) else {}
    return found if isinstance(found, dict) else {}
