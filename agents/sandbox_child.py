"""The process that runs one tool call: reads a request, limits itself, writes one result.

Started by `agents.sandbox` only. The request is one line of JSON on stdin; the result goes to
the original stdout, prefixed by its length, while anything a tool prints goes to stderr. After
that it waits for its parent to kill it with all that it started.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import sys
from importlib import import_module
from typing import Any

from agents.excerpt import MAX_TEXT_CHARS, cut
from agents.posix import die_with_parent, set_limits
from agents.redact import forms, redact, redact_json
from agents.tool import (
    Limits,
    OutcomeUnknownError,
    Tool,
    ToolContext,
    ToolFailed,
    ToolResult,
    ToolRetry,
    TransientError,
)
from config.specs import ServicesFile

LENGTH_BYTES = 8
RESULT = "result"
OUT_OF_MEMORY_WORDS = ("failed to map segment", "Cannot allocate memory")
"""How a library that cannot be loaded, or a process that cannot be forked, puts it."""
RETRY, FAILED, TRANSIENT = "retry", "failed", "transient"
UNKNOWN, MEMORY, BUG = "unknown", "memory", "bug"
"""Kinds after which nobody knows whether a writing call took effect."""


def main() -> None:
    """Serve the one request."""
    # Importing is done once and nothing of it is garbage: collecting would only cost time.
    gc.disable()
    answer_fd = os.dup(1)
    os.dup2(2, 1)
    request = json.loads(sys.stdin.buffer.readline())
    die_with_parent(request["parent_pid"])
    set_limits(Limits(**request["limits"]))
    try:
        answer = _answer(request)
    except MemoryError:
        answer = {"kind": MEMORY, "message": ""}
    _write(answer_fd, json.dumps(answer).encode())
    sys.stdin.buffer.read()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    known = tuple(form for value in request["secrets"].values() for form in forms(value))
    try:
        tool = _tool(request["module"], request["tool"])
        context = ToolContext(
            world=ServicesFile.model_validate(request["world"]),
            now=request["now"],
            idempotency_key=request["key"],
            run_id=request["run_id"],
            step_id=request["step_id"],
            secrets=request["secrets"],
        )
        arguments = tool.arguments.model_validate(request["arguments"])
        result = asyncio.run(_run(tool, context, arguments))
        return _result(result, request["limits"]["output_kib"] * 1024, known)
    except ToolRetry as error:
        return {"kind": RETRY, "message": redact(str(error), known)}
    except OutcomeUnknownError as error:
        return {"kind": UNKNOWN, "message": redact(str(error), known)}
    except ToolFailed as error:
        return {"kind": FAILED, "message": redact(str(error), known)}
    except TransientError as error:
        return {"kind": TRANSIENT, "message": redact(str(error), known)}
    except MemoryError:
        raise
    except Exception as error:  # a bug in the tool: its traceback goes to stderr, once
        if isinstance(error.__cause__, MemoryError) or any(
            words in str(error) for words in OUT_OF_MEMORY_WORDS
        ):
            raise MemoryError from error
        import traceback

        traceback.print_exc()
        return {"kind": BUG, "message": redact(f"{type(error).__name__}: {error}", known)}


async def _run(tool: Tool, context: ToolContext, arguments: Any) -> ToolResult:
    gc.enable()
    return await tool.run(context, arguments)


def _tool(module: str, name: str) -> Tool:
    tools: tuple[Tool, ...] = import_module(module).TOOLS
    return next(tool for tool in tools if tool.name == name)


def _result(result: ToolResult, limit: int, known: tuple[str, ...]) -> dict[str, Any]:
    file = result.file
    size = len(result.output.model_dump_json()) + (len(file.data) if file else 0)
    if size > limit:
        raise OutcomeUnknownError(
            f"it gave {size // 1024} KiB, more than {limit // 1024} KiB of output; ask for less"
        )
    return {
        "kind": RESULT,
        "output": redact_json(result.output.model_dump(mode="json"), known),
        "text": redact(cut(result.text, min(MAX_TEXT_CHARS, limit)), known),
        "title": redact(result.title, known),
        "file": None
        if file is None
        else {
            "name": file.name,
            "media_type": file.media_type,
            "data": base64.b64encode(file.data).decode(),
        },
    }


def _write(fd: int, data: bytes) -> None:
    view = memoryview(len(data).to_bytes(LENGTH_BYTES, "big") + data)
    while view:
        view = view[os.write(fd, view) :]


if __name__ == "__main__":
    main()
