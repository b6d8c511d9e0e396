"""What the server can be told to answer: words, tool calls, values, and every way to fail."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

from pydantic import JsonValue


class Cut(StrEnum):
    """How an answer goes wrong on the wire, after its status said 200."""

    NONE = ""
    BROKEN_JSON = "broken_json"
    """The body (or an event of the stream) is not JSON."""
    DROPPED = "dropped"
    """The connection ends in the middle."""
    ENDED = "ended"
    """The stream ends politely, but long before the model had finished."""
    STALLED = "stalled"
    """Some words come, then nothing more, with the connection open."""


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call; `raw` stands for the arguments when it is not empty."""

    name: str
    args: dict[str, JsonValue] = field(default_factory=dict)
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. With `has_value` the value comes in whichever way the caller asked for JSON.

    `until` holds the answer back until a test sets it.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    value: JsonValue = None
    has_value: bool = False
    finish: str = ""
    refusal: str = ""
    latency_s: float = 0.0
    until: threading.Event | None = None
    status: int = HTTPStatus.OK
    error_code: str = ""
    error_text: str = ""
    retry_after: str = ""
    cut: Cut = Cut.NONE
    has_usage: bool = True


def say(text: str, latency_s: float = 0.0) -> Reply:
    """Answer with words."""
    return Reply(text=text, latency_s=latency_s)


def call(tool: str, /, **args: JsonValue) -> Reply:
    """Answer with one tool call."""
    return Reply(calls=(Call(tool, args),))


def calls(*wanted: tuple[str, dict[str, JsonValue]]) -> Reply:
    """Answer with several tool calls at once."""
    return Reply(calls=tuple(Call(name, args) for name, args in wanted))


def output(value: JsonValue, latency_s: float = 0.0) -> Reply:
    """Answer with a value: as JSON content, or as arguments of the call that is forced."""
    return Reply(value=value, has_value=True, latency_s=latency_s)


def refusal(text: str = "I cannot help with that.") -> Reply:
    """Decline, as OpenAI does: a message with `refusal` and no content."""
    return Reply(refusal=text)


def failure(status: int, text: str = "", code: str = "") -> Reply:
    """Answer with an error status."""
    return Reply(status=status, error_text=text, error_code=code)


def too_many(retry_after: str = "") -> Reply:
    """Answer 429, with or without a Retry-After header."""
    return Reply(
        status=HTTPStatus.TOO_MANY_REQUESTS,
        error_text="Rate limit reached",
        error_code="rate_limit_exceeded",
        retry_after=retry_after,
    )


BAD_KEY = Reply(status=HTTPStatus.UNAUTHORIZED, error_code="invalid_api_key")
"""Refuse the key; the sentence repeats it in full, as careless servers do."""


def endless(tool: str, /, **args: JsonValue) -> Reply:
    """Answer with the same tool call again: use it as a whole rule for a loop without end."""
    return call(tool, **args)
