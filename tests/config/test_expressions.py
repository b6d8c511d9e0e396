"""Expressions: what they may read, what they may not do, and what they give."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from config.expressions import (
    MAX_EXPRESSION_CHARS,
    ExpressionError,
    bare_path,
    evaluate,
    fill,
    paths,
    references,
)
from config.sandbox import MAX_RANGE

VARIABLES: dict[str, JsonValue] = {
    "goal": {"text": "why?", "inputs": {"service": "checkout"}},
    "steps": {
        "rank": {
            "confidence": 0.7,
            "items": [1, 2, 3],
            "nothing": None,
            "list": [{"a": 1}, {"a": None}, {"b": "x"}],
        },
        "skipped": None,
        "with-dash": {"x": 1},
    },
    "status": {"rank": "succeeded"},
    "item": None,
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        *("goal", "steps", "rank", "items", "list", "item", "nope", "range", "none", "true"),
        *(".", "[", "]", "(", ")", "{", "}", ",", ":", "'a'", '"', "0", "1e9", "9", "-1"),
        *("+", "-", "*", "/", "//", "%", "**", "~", "<", ">=", "==", "not", "and", "in", "is"),
        *("|", "map", "sort", "length", "sum", "join", "replace", "percent", "utc", "duration"),
        *("if", "else", "attribute=", "__class__", "get", "keys", "split", "{{", "}}", "{%"),
    ]
)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("steps.rank.confidence > 0.5", True),
        ("steps['with-dash'].x", 1),
        ("steps.rank.items", [1, 2, 3]),
        ("steps.rank.list[0].a", 1),
        ("steps.rank.list | map(attribute='a')", [1, None, None]),
        ("steps.rank.list | selectattr('a') | length", 1),
        ("steps.rank.list | last", {"b": "x"}),
        ("status.rank == 'succeeded' and steps.rank.confidence", 0.7),
        ("'check' in goal.inputs.service", True),
        ("goal.inputs.service.upper()", "CHECKOUT"),
        ("{'a': {'b': 1}}.a", {"b": 1}),
        ("range(3)", [0, 1, 2]),
        ("{'b': 1, 'a': 2} | items | list", [["b", 1], ["a", 2]]),
        ("[3, 1, 2] | sort | join('-')", "1-2-3"),
        ("2 ** 8 + 7 % 4 * 2", 262),
        ("1.25 | round(1)", 1.2),
        ("'a.b' | replace('.', '/')", "a/b"),
        ("[1, 'a', none] | tojson", '[1, "a", null]'),
        ("'abc'[::-1]", "cba"),
    ],
)
def test_expression_has_a_json_value(expression: str, value: JsonValue) -> None:
    """An expression reads its variables and gives plain JSON."""
    assert evaluate(expression, VARIABLES) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("steps.nope", None),
        ("steps.skipped.proposal.tool", None),
        ("steps.skipped.confidence > 0.5", False),
        ("steps.skipped.confidence < 0.5", False),
        ("steps.rank.nothing > 1", False),
        ("steps.skipped.a + 1", None),
        ("item is none", True),
        ("steps.nope == none", True),
        ("steps.nope != 'x'", True),
        ("steps.nope is defined", False),
        ("'x' in steps.skipped", False),
        ("steps.nope | default(3)", 3),
        ("steps.nope or 'else'", "else"),
        ("steps.nope | length", 0),
        ("steps.nope | percent", ""),
        ("steps.nope | items", []),
        ("[steps.nope, {'k': steps.nope}]", [None, {"k": None}]),
        ("-steps.nope * 2 ** steps.nope", None),
    ],
)
def test_what_is_not_there_is_none(expression: str, value: JsonValue) -> None:
    """A step that was skipped has no output, and reading it is no error."""
    assert evaluate(expression, VARIABLES) == value


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("1 +", "ends too early"),
        ("a }} b", "unexpected '}}'"),
        ("1 | percnt", 'did you mean "percent"?'),
        ("1 if true else (1 | nope)", "no filter"),
        ("1 is nope", "no test"),
        ("1 / 0", "divides by zero"),
        ("'a' * 1000000000", "numbers on both sides"),
        ("'%1000000000d' % 1", "numbers on both sides"),
        ("9 ** 9 ** 9", "power"),
        (f"range({MAX_RANGE + 1})", str(MAX_RANGE)),
        ("range('a')", "whole numbers"),
        ("1 | round(1000000000)", "digits"),
        ("lipsum(1)", "not allowed"),
        ("goal.text.format(1)", "not allowed"),
        ("goal.update({'a': 1})", "not allowed"),
        ("goal()", "not allowed"),
        ("{1: 2}", "keys"),
        ("1e999", "finite"),
        ("'\\ud800'", "half a character"),
        ("(" * 900 + "1" + ")" * 900, "nested too deeply"),
        ("1" * (MAX_EXPRESSION_CHARS + 1), "longer than"),
        ("'a' | percent", "not a number"),
        ("1 < 'a'", "not supported"),
    ],
)
def test_refused_expression_says_why(expression: str, reason: str) -> None:
    """What cannot be read, could grow without bound or is no JSON is refused with a reason."""
    with pytest.raises(ExpressionError, match="expression") as caught:
        evaluate(expression, VARIABLES)

    assert reason in caught.value.reason
    assert caught.value.expression == expression


@pytest.mark.parametrize(
    "expression",
    ["''.__class__", "steps.__class__.__mro__", "goal['__init__']", "range.__globals__"],
)
def test_the_insides_of_python_are_not_there(expression: str) -> None:
    """Attributes of Python objects do not exist for an expression."""
    assert evaluate(expression, VARIABLES) is None


def test_text_cannot_grow_without_bound() -> None:
    """Filters and operators that make text refuse to make too much of it."""
    big = {"t": "x" * 900_000}

    for expression in ("t + t", "t | replace('x', 'yy')", "[t, t] | join", "[t, t]"):
        with pytest.raises(ExpressionError, match="grows beyond"):
            evaluate(expression, big)
    with pytest.raises(ExpressionError, match="grows beyond"):
        fill("{{ t }} and {{ t }}", big)


@pytest.mark.parametrize(
    "expression",
    [
        "t | list | select('in', t | list) | list",
        "t | list | map('replace', 'x', t) | list",
        "range(1000) | map('string') | map('replace', '1', t) | map('list') | list",
        "range(1000) | map('string') | map('list') | sum(start=t | list) | length",
    ],
)
def test_work_cannot_grow_without_bound(expression: str) -> None:
    """A model may write what takes a minute or a gigabyte; it is refused before that."""
    with pytest.raises(ExpressionError, match="goes through more than"):
        evaluate(expression, {"t": "x" * 32_000})


def test_each_expression_may_work_anew() -> None:
    """What one expression went through is not held against the next."""
    for _ in range(200):
        assert evaluate("t | list | length", {"t": "x" * 32_000}) == 32_000


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("45 | duration", "45 s"),
        ("180 | duration", "3 min"),
        ("3900 | duration", "1 h 5 min"),
        ("3600 | duration", "1 h"),
        ("183600 | duration", "2 d 3 h"),
        ("-90 | duration", "-2 min"),
        ("1795210205 | utc", "21:30:05Z"),
        ("0.1234 | percent", "12.3 %"),
        ("0.1234 | percent(0)", "12 %"),
    ],
)
def test_filters_for_people(expression: str, text: str) -> None:
    """Durations, times and ratios can be said as people say them."""
    assert evaluate(expression, {}) == text


def test_fill_keeps_the_type_of_a_sole_expression() -> None:
    """A string that is one expression becomes its value; mixed text becomes text."""
    value: JsonValue = {
        "sole": "{{ steps.rank.items }}",
        "spaced": "  {{ steps.rank.confidence }}\n",
        "mixed": "for {{ goal.inputs.service }}: {{ steps.rank.items }}{{ steps.nope }}",
        "braces": "{{ {'x': {'y': 1}} }}",
        "quoted": "{{ 'a }} b' }}",
        "plain": ["text {% x", 1, None, True],
    }

    assert fill(value, VARIABLES) == {
        "sole": [1, 2, 3],
        "spaced": 0.7,
        "mixed": "for checkout: [1, 2, 3]",
        "braces": {"x": {"y": 1}},
        "quoted": "a }} b",
        "plain": ["text {% x", 1, None, True],
    }


@pytest.mark.parametrize("text", ["{{ a", "{{ }}", "{{ a }} {% if x %}", "{# {{ a }}", "{{ a ' }}"])
def test_broken_text_is_refused(text: str) -> None:
    """A text whose expressions cannot be told apart is an error, not left as it is."""
    with pytest.raises(ExpressionError):
        fill(text, VARIABLES)


def test_references_are_the_paths_that_are_read() -> None:
    """The paths of names, keys and constant indexes are found, methods and filters left out."""
    value: JsonValue = {
        "a": "{{ steps.rank.x.lower() ~ goal.inputs['service'] }} {{ a[b.c].d }}",
        "b": ["{{ steps['with-dash'][0].y | map(attribute='z') }}", "plain steps.no"],
    }

    assert references(value) == {
        ("steps", "rank", "x"),
        ("goal", "inputs", "service"),
        ("a",),
        ("b", "c"),
        ("steps", "with-dash", "0", "y"),
    }
    assert paths("range(n) | sum + 1") == {("n",)}


def test_bare_path() -> None:
    """Only an expression that is nothing but a path has one."""
    assert bare_path("steps.rank['x'].y") == ("steps", "rank", "x", "y")
    assert bare_path("steps.rank + 1") is None
    assert bare_path("steps.rank | first") is None


@given(st.text(max_size=60) | st.lists(WORDS, max_size=14).map(" ".join))
def test_any_text_gives_json_or_an_expression_error(text: str) -> None:
    """Whatever stands in an expression, nothing but an ExpressionError ever comes out."""
    for use in (evaluate, lambda t, v: fill("{{" + t + "}}", v), lambda t, v: fill(t, v)):
        with contextlib.suppress(ExpressionError):
            json.dumps(use(text, VARIABLES), allow_nan=False)


@given(st.text(max_size=60) | st.lists(WORDS, max_size=14).map(" ".join))
def test_references_of_any_text(text: str) -> None:
    """Looking for references in any text finds paths or raises an ExpressionError."""
    try:
        found = references("{{" + text + "}}")
    except ExpressionError:
        return
    assert all(path and all(isinstance(part, str) for part in path) for path in found)


@given(JSON.filter(lambda value: "{{" not in json.dumps(value)))
def test_plain_values_are_left_as_they_are(value: JsonValue) -> None:
    """Filling a value without expressions changes nothing."""
    assert fill(value, {}) == value


@given(JSON)
def test_a_variable_comes_back_unchanged(value: JsonValue) -> None:
    """A sole expression hands JSON through untouched, and the variables are not changed."""
    before = json.dumps(value)
    assert fill("{{ x }}", {"x": value}) == value
    assert json.dumps(value) == before


@given(JSON, JSON)
def test_evaluation_is_deterministic(left: JsonValue, right: JsonValue) -> None:
    """The same expression over the same values gives the same result or the same error."""
    results = []
    for _ in range(2):
        try:
            results.append(json.dumps(evaluate("[a, b, a == b, a ~ b]", {"a": left, "b": right})))
        except ExpressionError as error:
            results.append(str(error))
    assert results[0] == results[1]
