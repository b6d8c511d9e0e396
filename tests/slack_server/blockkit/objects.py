"""The composition objects: texts, options and confirmations."""

from __future__ import annotations

from typing import Any

from tests.slack_server.blockkit.problems import Problems

PLAIN = frozenset({"plain_text"})
ANY_TEXT = frozenset({"plain_text", "mrkdwn"})
OPTIONS = 100


def check_text(
    problems: Problems, node: Any, at: str, most: int, kinds: frozenset[str] = PLAIN
) -> None:
    """Check a text object; what is wrong inside is told after what is wrong as a whole."""
    before = len(problems.found)
    text = problems.want_object(node, at)
    if text is None:
        return
    kind = text.get("type")
    if kind not in kinds:
        problems.add(f"{at}/type", "must be a valid enum value")
    problems.only(text, at, ("text", "emoji") if kind == "plain_text" else ("text", "verbatim"))
    problems.string(text, at, "text", most, required=True)
    if len(problems.found) > before and len(kinds) > 1:
        problems.found.insert(before, f"failed to match all allowed schemas [json-pointer:{at}]")


def check_confirm(problems: Problems, node: Any, at: str) -> None:
    """Check a confirmation dialog."""
    confirm = problems.want_object(node, at)
    if confirm is None:
        return
    problems.only(confirm, at, ("title", "text", "confirm", "deny", "style"))
    for key, most in (("title", 100), ("confirm", 30), ("deny", 30)):
        if problems.has(confirm, at, key):
            check_text(problems, confirm[key], f"{at}/{key}", most)
    if problems.has(confirm, at, "text"):
        check_text(problems, confirm["text"], f"{at}/text", 300, ANY_TEXT)
    problems.one_of(confirm, at, "style", ("primary", "danger"))


def check_options(
    problems: Problems, node: Any, at: str, most: int = OPTIONS, kinds: frozenset[str] = PLAIN
) -> None:
    """Check a list of options: each with a text and a value of its own."""
    seen: set[str] = set()
    for index, item in enumerate(problems.want_items(node, at, most)):
        here = f"{at}/{index}"
        check_option(problems, item, here, kinds)
        value = item.get("value") if isinstance(item, dict) else None
        if isinstance(value, str):
            if value in seen:
                problems.add(f"{here}/value", f"duplicate value: {value}")
            seen.add(value)


def check_option(problems: Problems, node: Any, at: str, kinds: frozenset[str] = PLAIN) -> None:
    """Check one option."""
    option = problems.want_object(node, at)
    if option is None:
        return
    problems.only(option, at, ("text", "value", "description", "url"))
    if problems.has(option, at, "text"):
        check_text(problems, option["text"], f"{at}/text", 75, kinds)
    problems.string(option, at, "value", 150, required=True)
    if option.get("description") is not None:
        check_text(problems, option["description"], f"{at}/description", 75, kinds)
