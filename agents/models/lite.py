"""The one module over litellm: one call to one model, without retries, fallbacks or state.

litellm takes seconds and 200 MB to import, so `warm` does it once: in the parent of the workers,
before it forks. Its own retries, cache, callbacks and telemetry stay off.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import socket
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from agents.models.bill import cost_usd, usage_of
from agents.models.failures import model_error
from agents.models.heard import Heard
from agents.models.naming import litellm_name
from agents.models.port import (
    Finish,
    ModelBusyError,
    ModelReply,
    ModelRequest,
    ModelTool,
    ToolRequest,
    Watch,
)
from agents.models.strict import strict_schema
from agents.models.structured import ask_for_output
from agents.models.wire import WireCall, read_requests, wire_messages, wire_tools
from config.specs import ModelSpec

REPLY_TOOL = "reply"
"""The tool whose arguments are the output, for models without JSON Schema support."""
NO_KEY = "none"
"""Sent to a server that wants none: else litellm would send it OpenAI's key."""
LOOPBACK = "127.0.0.1"
REFUSALS = frozenset({"content_filter", "refusal"})
ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}
OPTIONS: Mapping[str, object] = {
    "telemetry": False,
    "suppress_debug_info": True,
    "drop_params": True,
    "disable_streaming_logging": True,
    "disable_hf_tokenizer_download": True,
    "num_retries": 0,
    "cache": None,
}
LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")

_loaded: dict[str, Any] = {}


def warm() -> None:
    """Import litellm and let it do once what it does lazily; needs a process without a loop."""
    litellm = _litellm()
    asyncio.run(_rehearse(litellm))
    litellm.token_counter(model="gpt-4o", text="warm")


def is_warm() -> bool:
    """Return whether litellm is imported in this process."""
    return "litellm" in _loaded


async def close() -> None:
    """Close what litellm keeps open for this loop, at its end."""
    if is_warm():
        await _loaded["litellm"].close_litellm_async_clients()


async def attempt(
    spec: ModelSpec, key: str | None, request: ModelRequest, watch: Watch | None = None
) -> ModelReply:
    """Ask one model once; an output that is wrong is asked for once more, with its faults.

    Raises ModelBusyError, ModelRequestError or BadOutputError.
    """
    started = time.monotonic()
    litellm = _loaded.get("litellm") or await asyncio.to_thread(_litellm)

    async def ask(wanted: ModelRequest) -> ModelReply:
        return await _ask(litellm, spec, key, wanted, watch)

    reply = await ask_for_output(ask, request)
    return replace(reply, duration_s=time.monotonic() - started)


def price_usd(spec: ModelSpec, input_tokens: int, output_tokens: int) -> float | None:
    """Return what such a call costs; None when nobody knows. Imports litellm if need be."""
    return cost_usd(_litellm().cost_per_token, spec, input_tokens, output_tokens)


def _litellm() -> Any:
    """Return litellm, imported and set up on first use; untyped, as its types take minutes."""
    if not is_warm():
        os.environ.update(ENVIRONMENT)
        litellm = importlib.import_module("litellm")
        for name, value in OPTIONS.items():
            setattr(litellm, name, value)
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        _loaded["litellm"] = litellm
    return _loaded["litellm"]


def _failure(litellm: Any) -> type[Exception]:
    """Return what all errors of litellm are, as it maps whatever a provider's library raises."""
    base: type[Exception] = litellm.exceptions.openai.OpenAIError
    return base


async def _rehearse(litellm: Any) -> None:
    """Make one call that is never sent and one that nobody answers; neither leaves a thread."""
    tool = ModelTool("warm.up", "Nothing.", {"type": "object", "properties": {}})
    call = {
        "model": "openai/warm",
        "messages": [{"role": "user", "content": "warm"}],
        "tools": wire_tools([tool]),
        "api_key": NO_KEY,
        "max_retries": 0,
    }
    await litellm.acompletion(**call, mock_response="warm")
    with socket.socket() as unanswered:
        unanswered.bind((LOOPBACK, 0))
        address = f"http://{LOOPBACK}:{unanswered.getsockname()[1]}/v1"
        with contextlib.suppress(_failure(litellm)):
            await litellm.acompletion(**call, base_url=address)
    await close()


@dataclass(frozen=True, slots=True)
class _Said:
    """What came back from one call, whole or put together from its pieces."""

    text: str
    calls: tuple[WireCall, ...]
    finish: str
    bill: Any


async def _ask(
    litellm: Any, spec: ModelSpec, key: str | None, request: ModelRequest, watch: Watch | None
) -> ModelReply:
    """Make one call. Pieces cost CPU: they are asked for only where somebody watches words."""
    watch = watch if request.output_schema is None else None
    arguments = _arguments(litellm, spec, key, request, is_streamed=watch is not None)
    try:
        async with asyncio.timeout(spec.timeout_s):
            response = await litellm.acompletion(**arguments)
            said = await _listen(spec, response, watch) if watch else _whole(spec, response)
    except TimeoutError:
        raise ModelBusyError(
            f"{spec.model} did not finish within {spec.timeout_s:g} s; raise its timeout_s in"
            " models.yaml if it is only slow"
        ) from None
    except _failure(litellm) as error:
        headers = getattr(error, "litellm_response_headers", None)
        status = getattr(error, "status_code", None)
        # The cause is left out: its text may hold the key.
        raise model_error(spec.model, status, str(error), headers, [key or ""]) from None
    return _reply(litellm, spec, request, said)


def _arguments(
    litellm: Any, spec: ModelSpec, key: str | None, request: ModelRequest, *, is_streamed: bool
) -> dict[str, Any]:
    name = litellm_name(spec)
    # Others cache by themselves; Claude has to be told up to where.
    is_marked = (
        "claude" in name and not spec.base_url and litellm.utils.supports_prompt_caching(name)
    )
    arguments: dict[str, Any] = {
        "model": name,
        "messages": wire_messages(request.messages, is_marked=is_marked),
        "max_tokens": request.max_output_tokens,
        "timeout": spec.timeout_s,
        "max_retries": 0,
        "api_key": key or (NO_KEY if spec.base_url else None),
    }
    if spec.base_url:
        arguments["base_url"] = spec.base_url
    if is_streamed:
        arguments |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.tools:
        arguments["tools"] = wire_tools(request.tools)
    if request.output_schema is not None:
        arguments |= _structured(litellm, spec, request, request.output_schema)
    return arguments


def _structured(
    litellm: Any, spec: ModelSpec, request: ModelRequest, schema: Mapping[str, Any]
) -> dict[str, Any]:
    """Return how the output is asked for: as a JSON Schema, or as a tool that must be called."""
    is_native = spec.structured == "native"
    if spec.structured == "auto":
        is_native = litellm.supports_response_schema(litellm_name(spec))
    if is_native:
        strict = strict_schema(schema)
        wanted = {
            "name": REPLY_TOOL,
            "schema": strict or {"type": "object", **schema},
            "strict": strict is not None,
        }
        return {"response_format": {"type": "json_schema", "json_schema": wanted}}
    tool = ModelTool(REPLY_TOOL, "Give the reply that was asked for.", schema)
    forced = {"type": "function", "function": {"name": REPLY_TOOL}}
    return {
        "tools": wire_tools([*request.tools, tool]),
        "tool_choice": "required" if request.tools else forced,
    }


def _whole(spec: ModelSpec, response: Any) -> _Said:
    """Read an answer that came in one piece."""
    if not response.choices:
        raise ModelBusyError(f"{spec.model} answered without a choice; it may work in a moment")
    choice = response.choices[0]
    extra = getattr(choice.message, "provider_specific_fields", None) or {}
    refusal = extra.get("refusal")
    calls = tuple(
        WireCall(call.id or "", call.function.name or "", call.function.arguments or "")
        for call in choice.message.tool_calls or ()
    )
    return _Said(
        choice.message.content or refusal or "",
        calls,
        "refusal" if refusal else choice.finish_reason or "",
        getattr(response, "usage", None),
    )


async def _listen(spec: ModelSpec, stream: Any, watch: Watch) -> _Said:
    """Put an answer together from its pieces, and tell who watches what was said so far."""
    heard = Heard(watch)
    async with contextlib.aclosing(_pieces(stream)) as pieces:
        async for piece in pieces:
            heard.take(piece)
    # litellm ends a stream that broke off like one that is complete, but notes the difference.
    if getattr(stream, "received_finish_reason", None) is None:
        raise ModelBusyError(f"{spec.model} broke off in the middle of its reply")
    heard.tell()
    return _Said(heard.text, heard.calls, heard.finish, heard.usage)


async def _pieces(stream: Any) -> AsyncGenerator[Any, None]:
    """Yield a stream's pieces; close it when nobody wants more, so that the model stops."""
    try:
        async for piece in stream:
            yield piece
    finally:
        await stream.aclose()


def _reply(litellm: Any, spec: ModelSpec, request: ModelRequest, said: _Said) -> ModelReply:
    """Return the reply: calls under the names that Muster knows, an output's text as its text."""
    text, calls = said.text, said.calls
    if request.output_schema is not None:
        outputs = [call.arguments for call in calls if call.name == REPLY_TOOL]
        # Some models answer in words though a call is forced.
        text = outputs[0] if outputs else text
        calls = tuple(call for call in calls if call.name != REPLY_TOOL)
    requests = read_requests(calls, request.tools)
    usage = usage_of(litellm.cost_per_token, spec, request, said.bill, said.text, said.calls)
    return ModelReply(
        spec.model, text, requests, finish=_finish(said.finish, requests), usage=usage
    )


def _finish(reason: str, requests: tuple[ToolRequest, ...]) -> Finish:
    if reason in REFUSALS:
        return Finish.REFUSED
    if reason == "length":
        return Finish.LENGTH
    return Finish.TOOLS if requests else Finish.STOP
