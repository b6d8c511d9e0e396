"""The one place where Jinja expressions are read, run and taken apart.

Expressions come from files that people review, and from plans that models write: they run in
`config.sandbox`, are pure and deterministic, and give JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.parser import Parser
from pydantic import JsonValue

from config.nearest import hint
from config.plain import MAX_TEXT_CHARS, Refused, to_json, to_text
from config.sandbox import METHOD_NAMES, SANDBOX, begin_work, present

MAX_EXPRESSION_CHARS = 2_000
SHOWN_CHARS = 120


class ExpressionError(ValueError):
    """An expression that cannot be read or has no JSON value; `reason` says why."""

    def __init__(self, expression: str, reason: str) -> None:
        self.expression = expression
        self.reason = reason
        shown = expression if len(expression) <= SHOWN_CHARS else expression[:SHOWN_CHARS] + "…"
        super().__init__(f"expression {shown!r}: {reason}")


def evaluate(expression: str, variables: Mapping[str, Any]) -> JsonValue:
    """Return the JSON value of an expression; a name without a value counts as none."""
    run = _compiled(expression)
    try:
        given = {name: present(value) for name, value in variables.items()}
        begin_work()
        return to_json(run(given))
    except Exception as error:
        raise ExpressionError(expression, _reason(error)) from error


def check(expression: str) -> None:
    """Raise ExpressionError when the expression cannot be read."""
    _compiled(expression)


def fill(value: JsonValue, variables: Mapping[str, Any]) -> JsonValue:
    """Return the value with every `{{ expression }}` in its strings replaced.

    A string that is exactly one expression becomes that expression's value, whatever its type.
    """
    if isinstance(value, str):
        return _fill_text(value, variables) if "{{" in value else value
    if isinstance(value, dict):
        return {key: fill(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, variables) for item in value]
    return value


def fill_marked(text: str, variables: Mapping[str, Any], mark: Callable[[str, str], str]) -> str:
    """Return the text with its expressions replaced by what `mark` makes of each and its text."""
    filled = [
        mark(part.source, to_text(evaluate(part.source, variables)))
        if isinstance(part, _Hole)
        else part
        for part in _parts(text)
    ]
    return _joined(text, filled)


def references(value: JsonValue) -> set[tuple[str, ...]]:
    """Return the attribute paths that the expressions in a value read, such as (steps, a, x)."""
    found: set[tuple[str, ...]] = set()
    for expression in expressions(value):
        found |= paths(expression)
    return found


def expressions(value: JsonValue) -> list[str]:
    """Return the expressions that stand in the strings of a value, in order."""
    if isinstance(value, str):
        return [part.source for part in _parts(value) if isinstance(part, _Hole)]
    if isinstance(value, dict):
        return [found for item in value.values() for found in expressions(item)]
    if isinstance(value, list):
        return [found for item in value for found in expressions(item)]
    return []


@lru_cache(maxsize=2_048)
def paths(expression: str) -> frozenset[tuple[str, ...]]:
    """Return the attribute paths that one bare expression reads."""
    return frozenset(_walk(_parsed(expression)))


def bare_path(expression: str) -> tuple[str, ...] | None:
    """Return the path of an expression that is nothing but a path, else None."""
    return _path(_parsed(expression))


def sole_expression(text: str) -> str | None:
    """Return the expression when the text is exactly one `{{ expression }}`, else None."""
    parts = _parts(text)
    return parts[0].source if len(parts) == 1 and isinstance(parts[0], _Hole) else None


@dataclass(frozen=True, slots=True)
class _Hole:
    """An expression that stands in a text."""

    source: str


def _fill_text(text: str, variables: Mapping[str, Any]) -> JsonValue:
    parts = _parts(text)
    if len(parts) == 1 and isinstance(parts[0], _Hole):
        return evaluate(parts[0].source, variables)
    filled = [
        to_text(evaluate(part.source, variables)) if isinstance(part, _Hole) else part
        for part in parts
    ]
    return _joined(text, filled)


def _joined(text: str, filled: list[str]) -> str:
    if sum(map(len, filled)) > MAX_TEXT_CHARS:
        raise ExpressionError(text, f"the text grows beyond {MAX_TEXT_CHARS} characters")
    return "".join(filled)


@lru_cache(maxsize=2_048)
def _parts(text: str) -> tuple[str | _Hole, ...]:
    """Split a text at its holes; white space around a sole hole is dropped."""
    if "{{" not in text:
        return (text,)
    parts: list[str | _Hole] = []
    source: list[str] | None = None
    try:
        for _, kind, token in SANDBOX.lex(text):
            if kind == "variable_begin":
                source = []
            elif kind == "variable_end" and source is not None:
                parts.append(_Hole("".join(source).strip()))
                source = None
            elif source is not None:
                source.append(token)
            elif kind == "data":
                parts.append(token)
            else:
                raise ExpressionError(text, "only {{ expressions }} are known, no {% or {# tags")
    except TemplateSyntaxError as error:
        raise ExpressionError(text, error.message or "cannot be read") from error
    except (RecursionError, ValueError) as error:
        if isinstance(error, ExpressionError):
            raise
        raise ExpressionError(text, "cannot be read") from error
    if source is not None:
        raise ExpressionError(text, "a {{ is never closed; write }} after the expression")
    holes = [part for part in parts if isinstance(part, _Hole)]
    if len(holes) == 1 and not any(isinstance(part, str) and part.strip() for part in parts):
        return (holes[0],)
    return tuple(parts)


@lru_cache(maxsize=2_048)
def _parsed(expression: str) -> nodes.Expr:
    if len(expression) > MAX_EXPRESSION_CHARS:
        raise ExpressionError(expression, f"is longer than {MAX_EXPRESSION_CHARS} characters")
    try:
        parser = Parser(SANDBOX, expression, state="variable")
        node = parser.parse_expression()
        if not parser.stream.eos:
            raise Refused(f"unexpected {parser.stream.current.value!r} after the expression")
    except Exception as error:
        raise ExpressionError(expression, _reason(error)) from error
    return node


@lru_cache(maxsize=2_048)
def _compiled(expression: str) -> TemplateExpression:
    _check_tree(expression, _parsed(expression))
    try:
        return SANDBOX.compile_expression(expression)
    except Exception as error:
        raise ExpressionError(expression, _reason(error)) from error


def _check_tree(expression: str, tree: nodes.Expr) -> None:
    """Refuse what Jinja would find out late: unknown filters and tests, endless numbers."""
    for const in (tree, *tree.find_all(nodes.Const)):
        value = const.value if isinstance(const, nodes.Const) else 0
        if isinstance(value, float) and not math.isfinite(value):
            raise ExpressionError(expression, "holds a number that is not finite")
    kinds = (nodes.Filter, nodes.Test)
    own = [tree] if isinstance(tree, kinds) else []
    for node in [*own, *tree.find_all(kinds)]:
        is_filter = isinstance(node, nodes.Filter)
        known = SANDBOX.filters if is_filter else SANDBOX.tests
        if node.name not in known:
            kind = "filter" if is_filter else "test"
            raise ExpressionError(
                expression, f'there is no {kind} "{node.name}"; {hint(node.name, known)}'
            )


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError | MemoryError):
        return "is nested too deeply"
    if isinstance(error, SecurityError):
        return "calls something that is not allowed"
    if isinstance(error, TemplateError | Refused):
        said = str(error.message if isinstance(error, TemplateError) else error)
        return said.replace("unexpected 'end of template'", "ends too early") or "cannot be read"
    if isinstance(error, ZeroDivisionError):
        return "divides by zero"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _walk(node: nodes.Node) -> Iterator[tuple[str, ...]]:
    found = _path(node)
    if found is not None:
        if found[0] not in SANDBOX.globals:
            yield found
        return
    if (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Getattr)
        and node.node.attr in METHOD_NAMES
    ):
        yield from _walk(node.node.node)
        for argument in node.args:
            yield from _walk(argument)
        return
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _path(node: nodes.Node) -> tuple[str, ...] | None:
    """Return the path that a chain of names, keys and constant indexes spells."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        base = _path(node.node)
        return None if base is None else (*base, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        base = _path(node.node)
        key = node.arg.value
        is_key = isinstance(key, str) or (isinstance(key, int) and not isinstance(key, bool))
        return (*base, str(key)) if base is not None and is_key else None
    return None
