"""One child process of the director, and the words it is told and answers."""

import asyncio
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

READY_TIMEOUT_S = 15.0
WORD_TIMEOUT_S = 2.0
EXIT_TIMEOUT_S = 1.5


class ProcessError(Exception):
    """A process did not start or did not answer; its error file says why."""


class Process:
    """A running child: told by lines on stdin, answering with lines on stdout."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, errors: Path) -> None:
        self.name = name
        self._process = process
        self._errors = errors

    @classmethod
    async def spawn(
        cls,
        name: str,
        arguments: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        errors: Path,
        fds: Sequence[int] = (),
    ) -> "Process":
        """Start `python -m ...` in a session of its own: Ctrl-C is for the director only."""
        with errors.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *arguments,
                cwd=cwd,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                pass_fds=tuple(fds),
                start_new_session=True,
            )
        return cls(name, process, errors)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Say whether the process is gone."""
        return self._process.returncode is not None

    async def tell(self, word: str) -> None:
        """Give the process an order."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.write(f"{word}\n".encode())
                await self._process.stdin.drain()

    async def expect(self, word: str, timeout_s: float = WORD_TIMEOUT_S) -> None:
        """Wait until the process says the word."""
        try:
            async with asyncio.timeout(timeout_s):
                line = await self._process.stdout.readline() if self._process.stdout else b""
        except TimeoutError:
            line = b""
        if line.decode().strip() != word:
            raise ProcessError(f"{self.name} did not get to {word!r}; see {self._errors}")

    async def wait(self) -> int:
        """Wait for the end of the process and return its exit code."""
        return await self._process.wait()

    async def end(self, *, grace_s: float = EXIT_TIMEOUT_S, is_polite: bool = True) -> None:
        """End the process: by SIGTERM unless it is leaving already, and by SIGKILL if it stays."""
        with contextlib.suppress(ProcessLookupError):
            if is_polite and not self.has_ended:
                self._process.terminate()
            try:
                async with asyncio.timeout(grace_s):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
