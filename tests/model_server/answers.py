"""From a reply to the bytes that OpenAI would send for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.model_server.asked import Asked
from tests.model_server.counting import CHARS_PER_TOKEN
from tests.model_server.replies import Call, Reply

PIECE_CHARS = 32
CREATED = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply settled: what is said, what is called, why it ends."""

    id: str
    model: str
    content: str | None
    calls: tuple[dict[str, Any], ...]
    refusal: str | None
    finish: str

    @property
    def chars(self) -> int:
        """How much was said, for the bill."""
        return len(self.content or "") + sum(len(str(call)) for call in self.calls)


def settle(asked: Asked, reply: Reply) -> Answer:
    """Return what the reply means for this request: its tools, its limit, its way to ask JSON."""
    content, calls = reply.text or None, reply.calls
    if reply.has_value and asked.forced:
        content, calls = None, (Call(asked.forced, raw=json.dumps(reply.value)),)
    elif reply.has_value:
        content = json.dumps(reply.value)
    if content is None and not calls and not reply.refusal:
        content = ""
    finish = reply.finish or ("tool_calls" if calls and not asked.forced else "stop")
    limit = asked.body.get("max_tokens") or asked.body.get("max_completion_tokens")
    left = limit * CHARS_PER_TOKEN if limit else sys.maxsize
    wire = [_call(asked, place, call) for place, call in enumerate(calls)]
    if len(content or "") + sum(len(call["function"]["arguments"]) for call in wire) > left:
        finish = "length"
        content = content and content[:left]
        for call in wire:
            function = call["function"]
            function["arguments"] = function["arguments"][: max(0, left - len(content or ""))]
    return Answer(
        f"chatcmpl-{asked.number}", asked.model, content, tuple(wire), reply.refusal or None, finish
    )


def _call(asked: Asked, place: int, call: Call) -> dict[str, Any]:
    arguments = call.raw or json.dumps(call.args)
    name = call.name.replace(".", "-")
    return {
        "id": f"call_{asked.number}_{place}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def whole(answer: Answer, usage: dict[str, Any] | None) -> dict[str, Any]:
    """Return the body of an answer that is not streamed."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.content,
        "refusal": answer.refusal,
    }
    if answer.calls:
        message["tool_calls"] = list(answer.calls)
    body: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion",
        "created": CREATED,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish}],
    }
    return body | ({"usage": usage} if usage else {})


def chunks(answer: Answer, usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Yield the pieces of an answer that is streamed; the one with the finish is marked by it."""
    yield _chunk(answer, {"role": "assistant", "content": ""})
    for piece in _pieces(answer.content or ""):
        yield _chunk(answer, {"content": piece})
    for piece in _pieces(answer.refusal or ""):
        yield _chunk(answer, {"refusal": piece})
    for index, call in enumerate(answer.calls):
        function = call["function"]
        head = {**call, "index": index, "function": {"name": function["name"], "arguments": ""}}
        yield _chunk(answer, {"tool_calls": [head]})
        for piece in _pieces(function["arguments"]):
            yield _chunk(
                answer, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            )
    yield _chunk(answer, {}, answer.finish)
    if usage:
        yield {**_chunk(answer, {}), "choices": [], "usage": usage}


def _chunk(answer: Answer, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": answer.model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }


def _pieces(text: str) -> list[str]:
    return [text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS)]


def error(status: int, text: str, code: str) -> dict[str, Any]:
    """Return the body of an error."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return {"error": {"message": text, "type": kind, "param": None, "code": code or None}}
