"""Muster's processes, forked from one that has imported everything: a bot starts in a moment.

They are put together by the product's own assembly; only the killer is ours. Whoever forks them
must have no threads and no event loop.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bot.assembly import BotProcess
from config.contents import Catalogue
from jobs.assembly import WorkerProcess
from jobs.observe import configure_logging
from jobs.parent import run_parent
from jobs.process import die_with
from tests.crash.killing import Killer
from tests.crash.world import ENVIRON, World

FIRST = "-0-1"
"""How the name of the first worker of a parent ends: its seat and generation."""
NOBODY = Killer(0, is_after=False)


@dataclass(slots=True)
class Child:
    """A forked process."""

    pid: int
    exit_code: int | None = field(default=None)

    def is_alive(self) -> bool:
        """Whether it runs; a dead one is reaped."""
        if self.exit_code is None:
            with suppress(ChildProcessError):
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                if ended:
                    self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code is None

    def kill(self) -> None:
        """End it as a power cut would, and wait."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        while self.is_alive():
            time.sleep(0.001)


def fork_bot(world: World, catalogue: Catalogue, redis_url: str, killer: Killer) -> Child:
    """Start the bot."""

    def live() -> None:
        killer.arm()
        aliases = frozenset(catalogue.models.models)
        process = BotProcess(world.settings, ENVIRON, redis_url, catalogue, aliases=aliases)
        asyncio.run(process.serve())

    return fork(live, world.log_file)


def fork_workers(world: World, catalogue: Catalogue, redis_url: str, killer: Killer) -> Child:
    """Start the worker parent; the killer gets its first worker, and spares the others."""
    process = WorkerProcess(world.settings, catalogue, redis_url, models=catalogue.models)

    async def serve(name: str) -> None:
        if name.endswith(FIRST):
            killer.arm()
        await process.serve(name)

    def live() -> None:
        run_parent(world.settings.workers, serve, on_death=process.bury)

    return fork(live, world.log_file)


def fork(live: Callable[[], None], log: Path) -> Child:
    """Start a process that does this and ends with ours; what it says goes to the log."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return Child(pid)
    code = 1
    try:
        die_with(parent)
        os.setpgid(0, 0)
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for stream in (1, 2):
            os.dup2(output, stream)
        configure_logging("INFO")
        live()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
