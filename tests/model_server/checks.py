"""What OpenAI refuses with status 400, as far as this project could get it wrong."""

from __future__ import annotations

import re
from typing import Any

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})
KNOWN = frozenset({"model", "messages", "tools", "tool_choice", "parallel_tool_calls"}) | {
    "response_format",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "user",
    "metadata",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
}
STRICT_UNKNOWN = frozenset({"default", "oneOf", "allOf", "not", "if", "then", "else"}) | {
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "uniqueItems",
    "contains",
    "minLength",
    "maxLength",
}
"""Keywords that a strict schema must not have."""
MAX_TOOLS = 128


class Refused(Exception):
    """The request is wrong; the message is the sentence of the 400."""


def check(body: object) -> dict[str, Any]:
    """Return the body if OpenAI would take it."""
    if not isinstance(body, dict):
        raise Refused("the body must be a JSON object")
    for key in sorted(set(body) - KNOWN):
        raise Refused(f"Unrecognized request argument supplied: {key}")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused("you must provide a model parameter")
    _check_numbers(body)
    _check_messages(body.get("messages"))
    names = _check_tools(body.get("tools"))
    _check_choice(body.get("tool_choice"), names)
    _check_format(body.get("response_format"))
    if body.get("stream_options") is not None and not body.get("stream"):
        raise Refused("'stream_options' is only allowed when 'stream' is enabled")
    return body


def _check_numbers(body: dict[str, Any]) -> None:
    limits = [body[key] for key in ("max_tokens", "max_completion_tokens") if key in body]
    if len(limits) > 1:
        raise Refused("max_tokens and max_completion_tokens cannot be set at the same time")
    if any(type(limit) is not int or limit < 1 for limit in limits):
        raise Refused("max_tokens is less than the minimum of 1")
    temperature = body.get("temperature")
    if temperature is not None and not 0 <= temperature <= 2:
        raise Refused("temperature must be between 0 and 2")


def _check_messages(messages: object) -> None:
    if not isinstance(messages, list) or not messages:
        raise Refused("[] is too short - 'messages'")
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        where = f"messages.[{index}]"
        role = message.get("role")
        if role not in ROLES:
            raise Refused(f"{where}.role: {role!r} is not one of {sorted(ROLES)}")
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise Refused(
                    f"{where}: messages with role 'tool' must be a response to a preceding"
                    " message with 'tool_calls'"
                )
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            raise Refused(
                "An assistant message with 'tool_calls' must be followed by tool messages"
                f" responding to each 'tool_call_id'; missing: {', '.join(open_calls)}"
            )
        _check_content(where, role, message)
        if role == "assistant":
            open_calls = _check_calls(where, message.get("tool_calls"))
    if open_calls:
        raise Refused(f"tool_call_ids did not have response messages: {', '.join(open_calls)}")


def _check_content(where: str, role: str, message: dict[str, Any]) -> None:
    content = message.get("content")
    if content is None:
        if role == "assistant" and message.get("tool_calls"):
            return
        raise Refused(f"{where}.content: expected a string, got null")
    if isinstance(content, str):
        return
    if not isinstance(content, list) or not content:
        raise Refused(f"{where}.content: expected a string or a list of parts")
    for part in content:
        if part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise Refused(f"{where}.content: only parts of type text are known here")
        for key in sorted(set(part) - {"type", "text"}):
            raise Refused(f"{where}.content: unknown parameter {key}")


def _check_calls(where: str, calls: object) -> list[str]:
    if calls is None:
        return []
    if not isinstance(calls, list) or not calls:
        raise Refused(f"{where}.tool_calls: [] is too short")
    ids: list[str] = []
    for call in calls:
        function = call.get("function") or {}
        if call.get("type") != "function" or not isinstance(call.get("id"), str):
            raise Refused(f"{where}.tool_calls: each needs an id and the type 'function'")
        if not TOOL_NAME.fullmatch(str(function.get("name"))):
            raise Refused(f"{where}.tool_calls: {function.get('name')!r} is not a function name")
        if not isinstance(function.get("arguments"), str):
            raise Refused(f"{where}.tool_calls: arguments must be a string")
        ids.append(call["id"])
    if len(set(ids)) < len(ids):
        raise Refused(f"{where}.tool_calls: duplicate tool call ids")
    return ids


def _check_tools(tools: object) -> set[str]:
    if tools is None:
        return set()
    if not isinstance(tools, list) or not 1 <= len(tools) <= MAX_TOOLS:
        raise Refused(f"tools: expected 1 to {MAX_TOOLS} items")
    names: set[str] = set()
    for tool in tools:
        function = tool.get("function") or {}
        name = str(function.get("name"))
        if tool.get("type") != "function" or not TOOL_NAME.fullmatch(name):
            raise Refused(f"Invalid tool name {name!r}: expected '^[a-zA-Z0-9_-]{{1,64}}$'")
        if name in names:
            raise Refused(f"tools: {name!r} is there twice")
        names.add(name)
        parameters = function.get("parameters", {"type": "object"})
        if not isinstance(parameters, dict) or parameters.get("type") != "object":
            raise Refused(f"Invalid schema for function {name!r}: must have type 'object'")
        if function.get("strict"):
            check_strict(parameters, f"function {name!r}")
    return names


def _check_choice(choice: object, names: set[str]) -> None:
    if choice is None or (isinstance(choice, str) and choice in {"none", "auto"}):
        return
    if not names:
        raise Refused("'tool_choice' is only allowed when 'tools' are specified")
    if choice == "required":
        return
    function = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(function, dict) or function.get("name") not in names:
        raise Refused("tool_choice: the function is not among the tools")


def _check_format(wanted: object) -> None:
    if wanted is None:
        return
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind in {"text", "json_object"}:
        return
    given = wanted.get("json_schema") if isinstance(wanted, dict) else None
    if kind != "json_schema" or not isinstance(given, dict):
        raise Refused("response_format: expected text, json_object or json_schema")
    if not TOOL_NAME.fullmatch(str(given.get("name"))):
        raise Refused("response_format.json_schema.name: not a name")
    schema = given.get("schema")
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise Refused("Invalid schema for response_format: must have type 'object'")
    if given.get("strict"):
        check_strict(schema, f"response_format {given['name']!r}")


def check_strict(schema: object, where: str) -> None:
    """Refuse what strict mode does not know, anywhere in the schema."""
    if not isinstance(schema, dict) or not schema:
        raise Refused(f"Invalid schema for {where}: every schema must have a 'type' key")
    if set(schema) & STRICT_UNKNOWN:
        found = sorted(set(schema) & STRICT_UNKNOWN)
        raise Refused(f"Invalid schema for {where}: {found[0]!r} is not permitted")
    if "$ref" in schema and set(schema) - {"$ref"}:
        raise Refused(f"Invalid schema for {where}: $ref cannot have keywords beside it")
    if not set(schema) & {"type", "$ref", "anyOf", "enum", "const"}:
        raise Refused(f"Invalid schema for {where}: schema must have a 'type' key")
    if "object" in _types(schema):
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False:
            raise Refused(
                f"Invalid schema for {where}: 'additionalProperties' is required to be false"
            )
        if set(schema.get("required", [])) != set(properties):
            raise Refused(
                f"Invalid schema for {where}: 'required' is required to include every key"
            )
    if "array" in _types(schema) and "items" not in schema:
        raise Refused(f"Invalid schema for {where}: array schema missing items")
    for child in _children(schema):
        check_strict(child, where)


def _types(schema: dict[str, Any]) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _children(schema: dict[str, Any]) -> list[object]:
    found: list[object] = [*schema.get("anyOf", [])]
    for key in ("properties", "$defs", "definitions"):
        found += schema.get(key, {}).values()
    if "items" in schema:
        found.append(schema["items"])
    return found
