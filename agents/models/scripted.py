"""The models' twin: replies from a script or from rules, without a network.

It is held to the same contract as the router over litellm, and reads outputs with the same code.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from pydantic import JsonValue

from agents.models.port import (
    BadOutputError,
    Finish,
    Message,
    ModelBusyError,
    ModelReply,
    ModelRequest,
    NoModelError,
    Role,
    ToolRequest,
    Usage,
    Watch,
    estimated_tokens,
)
from agents.models.structured import ask_for_output

NAME = "scripted"
TRIES = 3
"""As with the retries that a model has by default."""
Answer = ModelReply | Exception
Rule = Callable[[ModelRequest], Answer | Awaitable[Answer]]
Line = Answer | Rule
"""One line of a script: a reply, what to raise, or a function that decides."""


class ScriptEndedError(AssertionError):
    """The model was asked more often than its script has lines."""


def say(text: str) -> ModelReply:
    """Answer with words."""
    return ModelReply(NAME, text)


def output(value: JsonValue) -> ModelReply:
    """Answer with a value; it is checked against the request's schema like any other."""
    return ModelReply(NAME, json.dumps(value))


def call(tool: str, /, **args: JsonValue) -> ModelReply:
    """Answer with one tool call."""
    return calls((tool, args))


def calls(*wanted: tuple[str, dict[str, JsonValue]]) -> ModelReply:
    """Answer with several tool calls at once; ids are given when the line is spoken."""
    requests = tuple(ToolRequest("", name, dict(args), json.dumps(args)) for name, args in wanted)
    return ModelReply(NAME, requests=requests, finish=Finish.TOOLS)


def refuse(text: str = "I cannot help with that.") -> ModelReply:
    """Decline."""
    return ModelReply(NAME, text, finish=Finish.REFUSED)


class ScriptedModel:
    """`agents.models.port.Model` that says what it is told to.

    `script` is a list of lines, taken in order, or one rule for every call. `requests` holds all
    requests, `finished` those that were answered. With `usd_per_token` calls cost money. A line
    that is a ModelBusyError is followed by the next one, as the router tries again.
    """

    def __init__(
        self,
        script: Iterable[Line] | Rule,
        *,
        usd_per_token: float | None = 0.0,
        latency_s: float = 0.0,
    ) -> None:
        self.requests: list[ModelRequest] = []
        self.finished: list[ModelRequest] = []
        self.in_flight = 0
        self.max_in_flight = 0
        self._next: Callable[[], Line] = _lines(script)
        self._usd_per_token = usd_per_token
        self._latency_s = latency_s
        self._ids = 0

    def offers(self, alias: str) -> bool:
        """See `Model.offers`; every alias is this model."""
        return True

    def price_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """See `Model.price_usd`."""
        if self._usd_per_token is None:
            return None
        return self._usd_per_token * (input_tokens + output_tokens)

    def most_usd(self, alias: str, input_tokens: int, output_tokens: int) -> float | None:
        """See `Model.most_usd`; every model of the alias is this one."""
        return self.price_usd(alias, input_tokens, output_tokens)

    async def complete(self, request: ModelRequest, watch: Watch | None = None) -> ModelReply:
        """See `Model.complete`."""

        async def ask(wanted: ModelRequest) -> ModelReply:
            return await self._patiently(wanted, watch)

        try:
            reply = await ask_for_output(ask, request)
        except BadOutputError:
            self.finished.append(request)
            raise
        self.finished.append(request)
        return reply

    async def _patiently(self, request: ModelRequest, watch: Watch | None) -> ModelReply:
        reason = ""
        for _ in range(TRIES):
            try:
                return await self._speak(request, watch)
            except ModelBusyError as error:
                reason = str(error)
        raise NoModelError(request.alias, {NAME: reason})

    async def _speak(self, request: ModelRequest, watch: Watch | None) -> ModelReply:
        self.requests.append(request)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            line = self._next()
            await asyncio.sleep(self._latency_s)
            said = line(request) if callable(line) else line
            if inspect.isawaitable(said):
                said = await said
        finally:
            self.in_flight -= 1
        if isinstance(said, Exception):
            raise said
        if watch is not None and said.text and request.output_schema is None:
            watch(said.text)
        return self._settled(request, said)

    def _settled(self, request: ModelRequest, said: ModelReply) -> ModelReply:
        """Return the line as a whole reply: ids for its calls, and a bill if it has none."""
        requests = tuple(
            one if one.id else replace(one, id=self._new_id()) for one in said.requests
        )
        finish = Finish.TOOLS if requests and said.finish is Finish.STOP else said.finish
        usage = said.usage if said.usage != Usage() else self._bill(request, said)
        return replace(said, requests=requests, finish=finish, usage=usage)

    def _bill(self, request: ModelRequest, said: ModelReply) -> Usage:
        spoken = Message(Role.ASSISTANT, said.text, said.requests)
        input_tokens = max(1, estimated_tokens(request.messages, request.tools))
        output_tokens = max(1, estimated_tokens((spoken,)))
        cost_usd = self.price_usd(request.alias, input_tokens, output_tokens)
        return Usage(input_tokens, 0, output_tokens, cost_usd)

    def _new_id(self) -> str:
        self._ids += 1
        return f"call_{self._ids}"


def _lines(script: Iterable[Line] | Rule) -> Callable[[], Line]:
    """Return what gives the next line."""
    if callable(script):
        rule: Rule = script
        return lambda: rule
    left = iter(script)

    def take() -> Line:
        for line in left:
            return line
        raise ScriptEndedError("the scripted model was asked once more than its script has lines")

    return take


__all__ = [
    "Answer",
    "Line",
    "Rule",
    "ScriptEndedError",
    "ScriptedModel",
    "call",
    "calls",
    "output",
    "refuse",
    "say",
]
