"""The tools of a rehearsal: the real ones, and recorded outcomes where a scenario has them.

Tools that only look run in a thread instead of a child process, since a recorded world can do no
harm and a case is over sooner. Declared commands keep their child process.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NoReturn

from pydantic import BaseModel, JsonValue, ValidationError

from agents.tool import (
    Effect,
    Tool,
    Toolbox,
    ToolContext,
    ToolFailed,
    ToolResult,
    ToolRetry,
    TransientError,
)
from bot.evals.scenario import CallSpec

ERRORS = {"failed": ToolFailed, "retry": ToolRetry, "transient": TransientError}

Run = Callable[[ToolContext, BaseModel], Awaitable[ToolResult]]


def rehearsal_tools(tools: Toolbox, recordings: Sequence[CallSpec], threads: Executor) -> Toolbox:
    """Return the tools with the recordings laid over them."""
    return Toolbox(_tool(tool, recordings, threads) for tool in tools.values())


def _tool(tool: Tool, recordings: Sequence[CallSpec], threads: Executor) -> Tool:
    own = [one for one in recordings if fnmatchcase(tool.name, one.tool)]
    runs_commands = tool.effect is Effect.WRITES and tool.is_confined
    if runs_commands and not own:
        return tool
    run: Run = _InThread(tool.run, threads) if tool.is_confined else tool.run
    return replace(tool, run=_Recorded(tool, own, run) if own else run, is_confined=False)


class _Recorded:
    """Plays the first recording that fits the arguments; else the tool itself runs."""

    def __init__(self, tool: Tool, recordings: Sequence[CallSpec], run: Run) -> None:
        self._tool = tool
        self._recordings = recordings
        self._run = run

    async def __call__(self, context: ToolContext, args: BaseModel) -> ToolResult:
        given = args.model_dump(mode="json")
        for recording in self._recordings:
            if all(
                fnmatchcase(_plain(given.get(key)), pattern)
                for key, pattern in recording.args.items()
            ):
                await asyncio.sleep(recording.latency_s)
                return _played(self._tool, recording)
        return await self._run(context, args)


class _InThread:
    """Runs a tool that blocks in another thread, with a loop of its own."""

    def __init__(self, run: Run, threads: Executor) -> None:
        self._run = run
        self._threads = threads

    async def __call__(self, context: ToolContext, args: BaseModel) -> ToolResult:
        loop = asyncio.new_event_loop()

        async def run() -> ToolResult:
            return await self._run(context, args)

        task = loop.create_task(run())

        def work() -> ToolResult:
            try:
                return loop.run_until_complete(task)
            finally:
                loop.close()

        working = asyncio.get_running_loop().run_in_executor(self._threads, work)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            working.add_done_callback(_forget)
            with contextlib.suppress(RuntimeError):  # It has just ended.
                loop.call_soon_threadsafe(task.cancel)
            raise


def _forget(working: asyncio.Future[ToolResult]) -> None:
    """Take note of an outcome that nobody waits for any more."""
    if not working.cancelled():
        working.exception()


def _played(tool: Tool, recording: CallSpec) -> ToolResult:
    if recording.error:
        raise ERRORS[recording.error_kind](recording.error)
    try:
        output = tool.output.model_validate(recording.output)
    except ValidationError as error:
        _misfit(tool, error)
    text = recording.text
    if text is None:
        text = json.dumps(output.model_dump(mode="json"), indent=1, ensure_ascii=False)
    return ToolResult(output, text, f"{tool.name} (recorded)")


def _misfit(tool: Tool, error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    raise ToolFailed(
        f"the recorded output does not fit {tool.name}: {place}: {first['msg']}; mend world.calls"
    ) from error


def _plain(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)
