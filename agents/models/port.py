"""The port to language models: what is asked, what comes back, and how it can go wrong.

An alias (`smart`, `fast`, `code`) names an ordered list of models in models.yaml; who asks knows
aliases only. Money is US dollars, durations are seconds; both say so in their names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pydantic import JsonValue

from agents.domain import JsonObject

MAX_OUTPUT_TOKENS = 4_096
CHARS_PER_TOKEN = 4
"""A rough rule for English and JSON; it only sizes what is sent, bills use what came back."""


class Role(StrEnum):
    """Who said a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call that a model asks for; `args` is None when `raw` was not a JSON object."""

    id: str
    name: str
    args: JsonObject | None
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. `call_id` names the request that a tool message answers."""

    role: Role
    text: str = ""
    requests: tuple[ToolRequest, ...] = ()
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class ModelTool:
    """A tool as a model sees it; `parameters` is a JSON Schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call. With `output_schema` the reply's `output` is JSON that validates against it.

    `purpose` (`turn`, `plan`, `review`, `synthesis`, `compaction`) is for logs and prices only.
    """

    alias: str
    messages: tuple[Message, ...]
    tools: tuple[ModelTool, ...] = ()
    output_schema: Mapping[str, Any] | None = None
    max_output_tokens: int = MAX_OUTPUT_TOKENS
    purpose: str = "turn"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call used. `cost_usd` is None when nobody knows the model's price."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None

    @property
    def tokens(self) -> int:
        """All tokens of the call, in and out."""
        return self.input_tokens + self.output_tokens


class Finish(StrEnum):
    """Why a model stopped."""

    STOP = "stop"
    TOOLS = "tools"
    LENGTH = "length"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ModelReply:
    """What a model said; `model` is the one of the alias's list that answered."""

    model: str
    text: str = ""
    requests: tuple[ToolRequest, ...] = ()
    output: JsonValue = None
    finish: Finish = Finish.STOP
    usage: Usage = field(default_factory=Usage)
    duration_s: float = 0.0


class ModelError(Exception):
    """A model call that gave nothing; the message says what to do next.

    `usage` is what was used all the same, such as by a reply that was no good; None when nothing.
    """

    usage: Usage | None = None


class ModelBusyError(ModelError):
    """A transient failure (a timeout, 408, 429, 5xx, a cut connection): it may work in a moment.

    `status` is the HTTP status, None when there was no answer.
    """

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, status: int | None = None
    ) -> None:
        self.retry_after_s = retry_after_s
        self.status = status
        super().__init__(message)


class ModelRequestError(ModelError):
    """The provider refused the request itself (400, 401, 404): asking again cannot help."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class BadOutputError(ModelError):
    """The reply is not the JSON that was asked for, also after it was told so."""

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        self.usage = usage
        super().__init__(message)


class NoModelError(ModelError):
    """No model of the alias can be reached, or none is configured; `reasons` by model."""

    def __init__(self, alias: str, reasons: Mapping[str, str]) -> None:
        self.alias = alias
        self.reasons = dict(reasons)
        told = "; ".join(f"{model}: {reason}" for model, reason in reasons.items())
        super().__init__(
            f"no model answers for {alias!r}" + (f" ({told})" if told else ": none is configured")
        )


Watch = Callable[[str], None]
"""Told what the model has said so far, now and then, while it still speaks; must not block."""


class Model(Protocol):
    """Language models behind their aliases."""

    async def complete(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply:
        """Return the reply of the first model of the alias that gives one.

        Raises NoModelError when none does, ModelRequestError when the request itself is wrong,
        BadOutputError when the output asked for cannot be had.
        """

    def offers(self, alias: str) -> bool:
        """Return whether the alias has any model at all (reachable or not)."""

    def price_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """Return what such a call costs with the alias's first model; None when unknown."""

    def most_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """Return what such a call costs with the alias's dearest model; None when unknown.

        Any model of the alias may have to answer; one whose price nobody knows counts nothing.
        """


def estimated_tokens(messages: tuple[Message, ...], tools: tuple[ModelTool, ...] = ()) -> int:
    """Return roughly how many tokens the messages and tools take."""
    chars = sum(
        len(message.text) + sum(len(request.raw) for request in message.requests)
        for message in messages
    )
    chars += sum(len(tool.description) + len(str(tool.parameters)) for tool in tools)
    return chars // CHARS_PER_TOKEN
