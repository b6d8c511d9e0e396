"""How a process of the shop lives: told what to do on stdin, gone when the director is gone."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends; only Linux can."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os._exit(1)


async def orders() -> AsyncIterator[str]:
    """Yield the director's lines; the end of them means that the director is gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()


def report(word: str) -> None:
    """Tell the director one word."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()
