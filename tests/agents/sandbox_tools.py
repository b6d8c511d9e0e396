"""Tools that misbehave, for the tests of the sandbox; imported in the child process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pydantic import BaseModel

from agents.tool import File, Tool, ToolContext, ToolFailed, ToolResult, ToolRetry, TransientError

SLEEP_S = 60


class Arguments(BaseModel, extra="forbid"):
    """What the tool shall do."""

    how: str = ""
    path: str = ""


class Output(BaseModel):
    """What the tool saw."""

    said: str


async def behave(context: ToolContext, args: Arguments) -> ToolResult:
    """Do what the arguments say."""
    text = args.how
    match args.how:
        case "sleep":
            _note(args.path, os.getpid())
            await asyncio.sleep(SLEEP_S)
        case "spawn":
            _note(args.path, _spawn())
            await asyncio.sleep(SLEEP_S)
        case "leave":
            _note(args.path, _spawn())
        case "memory":
            text = str(len(bytearray(4 * 1024**3)))
        case "load":
            raise ImportError("libx.so: failed to map segment from shared object")
        case "burn":
            while True:
                time.monotonic()
        case "output":
            text = "x" * 10_000_000
        case "crash":
            sys.stderr.write("password=hunter2hunter2 was wrong\n")
            sys.stderr.flush()
            os._exit(7)
        case "killed":
            _note(args.path, os.getpid())
            os.kill(os.getpid(), signal.SIGKILL)
        case "bug":
            raise KeyError("no such thing")
        case "retry":
            raise ToolRetry("give a better argument")
        case "failed":
            raise ToolFailed("it did not work")
        case "transient":
            raise TransientError("try again")
        case "print":
            sys.stdout.write("this is no answer\n")
            sys.stdout.flush()
        case "secret":
            text = "password=hunter2hunter2"
        case "environment":
            text = ",".join(sorted(os.environ))
        case "key":
            text = context.idempotency_key
        case "lines":
            text = "\n".join(f"line {number}" for number in range(50_000))
    file = File("a.bin", "application/octet-stream", b"\x00\xff") if args.how == "file" else None
    return ToolResult(Output(said=text), text, "Test", file)


def _spawn() -> int:
    code = f"import time; time.sleep({SLEEP_S})"
    return subprocess.Popen([sys.executable, "-c", code]).pid


def _note(path: str, pid: int) -> None:
    partial = Path(f"{path}.part")
    partial.write_text(str(pid), encoding="utf-8")
    partial.rename(path)


TOOLS = (
    Tool(
        name="test.behave",
        description="Misbehave.",
        arguments=Arguments,
        output=Output,
        run=behave,
    ),
)
