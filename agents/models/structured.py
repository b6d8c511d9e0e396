"""Getting the JSON that was asked for: check it, tell the model its faults once, then give up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from agents.models.output import correction, read_output
from agents.models.port import (
    BadOutputError,
    Finish,
    Message,
    ModelError,
    ModelReply,
    ModelRequest,
    Role,
    Usage,
)

Ask = Callable[[ModelRequest], Awaitable[ModelReply]]
"""Makes one call; where an output is wanted, the reply's text is that output's text."""


async def ask_for_output(ask: Ask, request: ModelRequest) -> ModelReply:
    """Return a reply whose output fits the request's schema, if it has one.

    A refusal and tool calls are replies too, without output. The usage is that of all calls.
    """
    first = await ask(request)
    reply, errors = _read(first, request)
    if not errors:
        return reply
    try:
        second = await ask(_corrected(request, first, errors))
    except ModelError as error:
        error.usage = first.usage if error.usage is None else add(first.usage, error.usage)
        raise
    usage = add(first.usage, second.usage)
    reply, errors = _read(replace(second, usage=usage), request)
    if errors:
        raise BadOutputError(
            f"{reply.model} gave no valid {request.purpose} in two tries: {'; '.join(errors)};"
            " ask for something simpler, or put a more capable model first in models.yaml",
            usage,
        )
    return reply


def add(first: Usage, second: Usage) -> Usage:
    """Return both usages together; the cost is known when both are."""
    cost_usd = None
    if first.cost_usd is not None and second.cost_usd is not None:
        cost_usd = first.cost_usd + second.cost_usd
    return Usage(
        first.input_tokens + second.input_tokens,
        first.cached_tokens + second.cached_tokens,
        first.output_tokens + second.output_tokens,
        cost_usd,
    )


def _read(reply: ModelReply, request: ModelRequest) -> tuple[ModelReply, tuple[str, ...]]:
    """Return the reply with its output, or what is wrong with it."""
    if request.output_schema is None or reply.finish is Finish.REFUSED or reply.requests:
        return reply, ()
    is_cut = reply.finish is Finish.LENGTH
    reading = read_output(reply.text, request.output_schema, is_cut=is_cut)
    return replace(reply, output=reading.value), reading.errors


def _corrected(request: ModelRequest, wrong: ModelReply, errors: tuple[str, ...]) -> ModelRequest:
    """Return the request with the wrong reply, and what is wrong with it, at its end."""
    said = Message(Role.ASSISTANT, wrong.text or "(nothing)")
    told = Message(Role.USER, correction(errors))
    return replace(request, messages=(*request.messages, said, told))
