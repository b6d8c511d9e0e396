"""JSON out of what an expression gave, of bounded size."""

from __future__ import annotations

import json
import math
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from jinja2.runtime import Undefined
from pydantic import JsonValue

MAX_TEXT_CHARS = 1_000_000
MAX_RESULT_NODES = 100_000
MAX_RESULT_DEPTH = 60
MAX_INT_BITS = 1_024


class Refused(Exception):
    """Raised inside an expression; becomes the reason of an ExpressionError."""


def to_json(value: Any) -> JsonValue:
    """Return a copy of the value as plain JSON; what has no value becomes none."""
    return _Converter().convert(value, 0)


def to_text(value: JsonValue) -> str:
    """Write a JSON value into a sentence: text as it is, none as nothing, the rest as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else compact(value)


def compact(value: JsonValue) -> str:
    """Write a JSON value on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def bound_text(chars: int) -> None:
    """Refuse a text of that many characters when they are too many."""
    if chars > MAX_TEXT_CHARS:
        raise Refused(f"the text grows beyond {MAX_TEXT_CHARS} characters")


class _Converter:
    """Turns what an expression gave into JSON of bounded size."""

    __slots__ = ("_chars", "_nodes")

    def __init__(self) -> None:
        self._nodes = 0
        self._chars = 0

    def convert(self, value: Any, depth: int) -> JsonValue:
        self._nodes += 1
        if self._nodes > MAX_RESULT_NODES or depth > MAX_RESULT_DEPTH:
            raise Refused("the result is too large")
        if value is None or isinstance(value, bool | Undefined):
            return value if isinstance(value, bool) else None
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                raise Refused("the number is too large")
            return int(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise Refused("the result is not a finite number")
            return float(value)
        if isinstance(value, Mapping):
            return {self._key(key): self.convert(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | range | KeysView | ValuesView | ItemsView | Iterator):
            return [self.convert(item, depth + 1) for item in value]
        raise Refused(f"the result is no JSON value but {type(value).__name__}")

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise Refused("the keys of a mapping must be text")
        return self._text(key)

    def _text(self, text: str) -> str:
        self._chars += len(text)
        bound_text(self._chars)
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise Refused("the text holds half a character") from None
        return str(text)
