"""Runs tool calls: checks the arguments, confines the tool to a child process, bounds its output.

A confined tool gets a process of its own with a minimal environment, limits on memory, CPU time,
files and wall clock, and is killed together with everything it started. What comes back has its
secrets redacted.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, Any

import structlog
from pydantic import BaseModel, JsonValue, ValidationError

from agents.excerpt import MAX_TEXT_CHARS, cut
from agents.redact import forms, redact, redact_json
from agents.sandbox_child import (
    FAILED,
    LENGTH_BYTES,
    MEMORY,
    RESULT,
    RETRY,
    TRANSIENT,
    UNKNOWN,
)
from agents.tool import (
    File,
    Limits,
    OutcomeUnknownError,
    Tool,
    ToolContext,
    ToolError,
    ToolFailed,
    ToolResult,
    ToolRetry,
    TransientError,
)
from config.settings import variables

log = structlog.get_logger(__name__)

ROOT = Path(__file__).resolve().parent.parent
CHILD_MODULE = "agents.sandbox_child"
STDERR_TAIL_BYTES = 4_096
READ_BYTES = 65_536
STDERR_SHOWN_LINES = 5
ENCODING_OVERHEAD = 2
"""JSON and base64 make the answer longer than what it carries."""
PASSED_ON = ("PATH", "HOME", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "VIRTUAL_ENV")
_KILLED = -signal.SIGKILL
_OUT_OF_CPU = -signal.SIGXCPU


async def call(
    tool: Tool,
    raw_arguments: Mapping[str, JsonValue],
    context: ToolContext,
    *,
    limits: Limits | None = None,
    secrets: Iterable[str] = (),
) -> ToolResult:
    """Run a tool call from raw arguments; ToolRetry says which argument is wrong and why.

    The result's text is redacted and at most `MAX_TEXT_CHARS` long; `agents.excerpt.is_cut` tells.
    """
    arguments = parse_arguments(tool, raw_arguments)
    bounds = limits or tool.limits
    context = replace(context, secrets=_secrets_for(tool, context, arguments))
    known = (*secrets, *(form for value in context.secrets.values() for form in forms(value)))
    try:
        if tool.is_confined:
            result = await run_confined(tool, arguments, context, bounds)
        else:
            result = await _run_here(tool, arguments, context, bounds)
    except ToolError as error:
        error.args = (redact(str(error), known),)
        raise
    return replace(
        result,
        text=cut(redact(result.text, known), min(MAX_TEXT_CHARS, bounds.output_kib * 1024)),
        title=redact(result.title, known),
        output=_redacted(result.output, known),
    )


def parse_arguments(tool: Tool, raw: Mapping[str, JsonValue]) -> BaseModel:
    """Return the typed arguments; ToolRetry lists every wrong one and the known names."""
    try:
        return tool.arguments.model_validate(dict(raw))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'arguments'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        )
        known = ", ".join(tool.arguments.model_fields)
        raise ToolRetry(
            f"{tool.name} cannot take these arguments: {problems}. Its arguments are: {known}"
        ) from error


def check_arguments(tool: Tool, raw: Mapping[str, JsonValue], context: ToolContext) -> None:
    """Raise ToolRetry when the call cannot work, so that nobody is asked to approve it."""
    arguments = parse_arguments(tool, raw)
    if tool.check is not None:
        tool.check(context, arguments)


async def run_confined(
    tool: Tool, arguments: BaseModel, context: ToolContext, limits: Limits
) -> ToolResult:
    """Run the tool in a child process within the limits."""
    request = {
        "module": _module(tool),
        "tool": tool.name,
        "arguments": arguments.model_dump(mode="json"),
        "world": context.world.model_dump(mode="json"),
        "now": context.now,
        "key": context.idempotency_key,
        "run_id": context.run_id,
        "step_id": context.step_id,
        "secrets": dict(context.secrets),
        "limits": asdict(limits),
        "parent_pid": os.getpid(),
    }
    # A file, not a pipe: whatever still holds it when the child is gone cannot keep us waiting.
    with tempfile.TemporaryFile() as stderr:
        return await _in_child(tool, json.dumps(request).encode(), limits, stderr)


async def _in_child(tool: Tool, request: bytes, limits: Limits, stderr: IO[bytes]) -> ToolResult:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # the working directory must not shadow modules
        "-m",
        CHILD_MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
        env=_environment(),
        cwd=tempfile.gettempdir(),
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limits.timeout_s):
            answer = await _exchange(process, request, tool, limits)
            if answer is None:
                code = await process.wait()
    except TimeoutError as error:
        raise OutcomeUnknownError(
            f"{tool.name} did not finish within {limits.timeout_s:g} s and was stopped; "
            "ask for less, or raise the step's timeout_s"
        ) from error
    finally:
        # Cancellation comes through here too: nothing the tool started outlives its call.
        _kill(process)
        await _ended(process)
    if answer is None:
        # It may have acted before it died, and only a person can tell.
        raise OutcomeUnknownError(_crash(tool, code, _last_words(stderr), limits))
    return _result(tool, answer, _last_words(stderr), limits)


async def _exchange(
    process: asyncio.subprocess.Process, request: bytes, tool: Tool, limits: Limits
) -> dict[str, Any] | None:
    """Send the request and read the answer; None when the child ended without one."""
    assert process.stdin is not None  # noqa: S101 - opened as a pipe by run_confined
    assert process.stdout is not None  # noqa: S101 - opened as a pipe by run_confined
    process.stdin.write(request + b"\n")
    try:
        await process.stdin.drain()
        length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
        if length > limits.output_kib * 1024 * ENCODING_OVERHEAD:
            raise OutcomeUnknownError(
                f"{tool.name} gave more than {limits.output_kib} KiB of output; ask for less"
            )
        answer: dict[str, Any] = json.loads(await process.stdout.readexactly(length))
    except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError):
        return None
    return answer


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait for the killed child; what it still had to say is thrown away."""
    if process.stdin is not None:
        process.stdin.close()
    while process.stdout is not None and await process.stdout.read(READ_BYTES):
        pass
    await process.wait()


def _last_words(stderr: IO[bytes]) -> str:
    """Return the end of what the child wrote to stderr, redacted."""
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - STDERR_TAIL_BYTES))
    lines = redact(stderr.read().decode("utf-8", "replace")).splitlines()
    return "\n".join(lines[-STDERR_SHOWN_LINES:])


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _crash(tool: Tool, code: int, words: str, limits: Limits) -> str:
    if code == _OUT_OF_CPU:
        return f"{tool.name} used up its CPU time ({limits.timeout_s:g} s) and was stopped"
    if "MemoryError" in words or "Cannot allocate memory" in words:
        return _memory_text(tool, limits)
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    if code == _KILLED:
        how += ", perhaps because this machine ran out of memory"
    said = f". Last words:\n{words}" if words else ""
    return f"{tool.name} {how}; this is a fault in the tool, do not repeat the call{said}"


def _memory_text(tool: Tool, limits: Limits) -> str:
    return (
        f"{tool.name} needed more memory than its {limits.memory_mib} MiB; "
        "ask for less, or raise the step's memory_mib"
    )


def _result(tool: Tool, answer: dict[str, Any], words: str, limits: Limits) -> ToolResult:
    kind, message = answer["kind"], answer.get("message", "")
    if kind == RESULT:
        file = answer["file"]
        return ToolResult(
            output=tool.output.model_validate(answer["output"]),
            text=answer["text"],
            title=answer["title"],
            file=None
            if file is None
            else File(file["name"], file["media_type"], base64.b64decode(file["data"])),
        )
    if kind == RETRY:
        raise ToolRetry(message)
    if kind == FAILED:
        raise ToolFailed(message)
    if kind == TRANSIENT:
        raise TransientError(message)
    if kind == UNKNOWN:
        raise OutcomeUnknownError(message)
    if kind == MEMORY:
        raise OutcomeUnknownError(_memory_text(tool, limits))
    log.error("tool_crashed", tool=tool.name, error=message, stderr=words)
    raise OutcomeUnknownError(
        f"{tool.name} has a fault, do not repeat the call: {message}\n{words}"
    )


async def _run_here(
    tool: Tool, arguments: BaseModel, context: ToolContext, limits: Limits
) -> ToolResult:
    try:
        async with asyncio.timeout(limits.timeout_s):
            return await tool.run(context, arguments)
    except TimeoutError as error:
        raise OutcomeUnknownError(
            f"{tool.name} did not finish within {limits.timeout_s:g} s and was stopped"
        ) from error


def _redacted(output: BaseModel, secrets: tuple[str, ...]) -> BaseModel:
    plain = output.model_dump(mode="json")
    clean = redact_json(plain, secrets)
    return output if clean == plain else type(output).model_validate(clean)


def _secrets_for(tool: Tool, context: ToolContext, arguments: BaseModel) -> dict[str, str]:
    """Return the variables that this call needs, from where the catalogue's tokens are kept."""
    names = tuple(tool.secrets(context, arguments)) if tool.secrets else ()
    given = variables(os.environ) if names else {}
    return {name: given[name] for name in names if name in given}


def _module(tool: Tool) -> str:
    module = getattr(tool.run, "__module__", "")
    if not module or module == "__main__":
        raise ToolFailed(f"{tool.name} cannot be confined: its module cannot be imported")
    return str(module)


def _environment() -> dict[str, str]:
    """Return what the child may see: no setting and no secret of this process."""
    home = os.environ.get("HOME", "/")
    return {
        "HOME": home,
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "PYTHONPATH": str(ROOT),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        # One thread each: more only reserve address space, which is limited.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }
