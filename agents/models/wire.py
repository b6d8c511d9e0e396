"""A conversation in the words of the chat completions protocol, and back.

Providers refuse dots in tool names, so that `metrics.onset` travels as `metrics-onset`; what
stays the same between turns (tools, system message) stands first, for the providers' caches.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from agents.models.port import Message, ModelTool, Role, ToolRequest

MAX_WIRE_NAME = 64
HASH_CHARS = 8
CACHED = {"type": "ephemeral"}
UNREADABLE = "unreadable_arguments"
"""Stands for arguments that were no JSON object: providers accept nothing else in a history."""


@dataclass(frozen=True, slots=True)
class WireCall:
    """A tool call as it came: with the name and the text of the arguments."""

    id: str
    name: str
    arguments: str


def wire_name(name: str) -> str:
    """Return a tool's name as providers accept it; names have no dashes, so none collide."""
    name = name.replace(".", "-")
    if len(name) <= MAX_WIRE_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:HASH_CHARS]
    return f"{name[: MAX_WIRE_NAME - HASH_CHARS - 1]}-{digest}"


def wire_tools(tools: Sequence[ModelTool]) -> list[dict[str, Any]]:
    """Return the tools on offer."""
    return [
        {
            "type": "function",
            "function": {
                "name": wire_name(tool.name),
                "description": tool.description,
                "parameters": {"type": "object", **tool.parameters},
            },
        }
        for tool in tools
    ]


def wire_messages(messages: Sequence[Message], *, is_marked: bool = False) -> list[dict[str, Any]]:
    """Return the conversation; `is_marked` tells the provider to cache it up to its ends.

    The system message ends what all turns share, the last message what the next turn shares.
    """
    wire = [_message(message) for message in messages]
    if is_marked:
        systems = [one for one in wire if one["role"] == Role.SYSTEM.value]
        for one in {id(one): one for one in (*systems[-1:], *wire[-1:])}.values():
            _mark(one)
    return wire


def _mark(message: dict[str, Any]) -> None:
    if message["role"] == Role.TOOL.value:
        message["cache_control"] = CACHED
    elif message["content"]:
        text = {"type": "text", "text": message["content"], "cache_control": CACHED}
        message["content"] = [text]


def _message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role.value, "content": message.text}
    if message.role is Role.TOOL:
        wire["tool_call_id"] = message.call_id
    if message.requests:
        wire["content"] = message.text or None
        wire["tool_calls"] = [_request(request) for request in message.requests]
    return wire


def _request(request: ToolRequest) -> dict[str, Any]:
    args = request.args if request.args is not None else {UNREADABLE: request.raw}
    return {
        "id": request.id,
        "type": "function",
        "function": {
            "name": wire_name(request.name),
            "arguments": json.dumps(args, ensure_ascii=False),
        },
    }


def read_requests(calls: Iterable[WireCall], tools: Sequence[ModelTool]) -> tuple[ToolRequest, ...]:
    """Return the calls with the names that Muster knows, and ids that are there and differ."""
    known = {wire_name(tool.name): tool.name for tool in tools}
    taken: set[str] = set()
    found: list[ToolRequest] = []
    for call in calls:
        id_ = call.id if call.id and call.id not in taken else f"call_{uuid4().hex}"
        taken.add(id_)
        name = known.get(call.name, call.name)
        found.append(ToolRequest(id_, name, read_args(call.arguments), call.arguments))
    return tuple(found)


def read_args(text: str) -> dict[str, Any] | None:
    """Return a call's arguments, None when the text is no JSON object.

    They are never repaired: half a call may be worse than none.
    """
    if not text.strip():
        return {}
    try:
        args = json.loads(text)
    except ValueError:
        return None
    return args if isinstance(args, dict) else None
