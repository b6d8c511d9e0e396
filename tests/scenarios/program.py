"""Starts this checkout's programs as a person does, and leaves nothing of them behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import yaml

from jobs.process import die_with
from jobs.redis_binary import BINARY_NAMES
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
LOOK_S = 0.1
STOP_S = 30.0
SHORT_DRAIN_S = "2"
_LINK = re.compile(r"http://[^/\s]+/login\?key=\S+")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Home:
    """A place to run in: files, a state directory and a port that nobody else uses."""

    directory: Path
    port: int

    @classmethod
    def new(cls, directory: Path) -> Home:
        """Return a home in this directory, on a port that is free now."""
        directory.mkdir(parents=True, exist_ok=True)
        return cls(directory, free_port())

    @property
    def state_dir(self) -> Path:
        """Where MUSTER_STATE_DIR points."""
        return self.directory / "state"

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"http://127.0.0.1:{self.port}"

    def environ(self, **more: str) -> dict[str, str]:
        """Return an environment in which nothing of this machine's own settings counts."""
        kept = {name: value for name, value in os.environ.items() if not is_private(name)}
        return {
            **kept,
            "HOME": str(self.directory),
            "PYTHONPATH": str(ROOT),
            "MUSTER_STATE_DIR": str(self.state_dir),
            "MUSTER_PORT": str(self.port),
            "MUSTER_DRAIN_S": SHORT_DRAIN_S,
            **more,
        }


def is_private(name: str) -> bool:
    """Whether a variable is somebody's setting, which a test must not see."""
    return name.startswith(("MUSTER_", "XDG_"))


@dataclass(frozen=True, slots=True)
class Program:
    """A program that was started, and the file that has what it said."""

    process: asyncio.subprocess.Process
    output: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def said(self) -> str:
        """Everything it wrote up to now."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    async def link(self, within_s: float = 60) -> str:
        """Wait for the sign-in link that it prints and return it."""

        def found() -> str:
            match = _LINK.search(self.said)
            return match.group() if match else ""

        return await seen(found, within_s, "the program prints its sign-in link", self)

    async def ends(self, within_s: float) -> int:
        """Wait until it has ended and return its exit code."""
        try:
            async with asyncio.timeout(within_s):
                return await self.process.wait()
        except TimeoutError:
            raise AssertionError(
                f"it did not end within {within_s} s; it said:\n{self.said}"
            ) from None

    def family(self) -> list[psutil.Process]:
        """Return it and every process below it, whatever their sessions."""
        me = psutil.Process(self.pid)
        return [me, *me.children(recursive=True)]

    def children(self, *words: str) -> list[psutil.Process]:
        """Return the processes below it whose command line has all these words."""
        found = []
        for process in self.family()[1:]:
            with suppress(psutil.Error):
                if set(words) <= set(process.cmdline()):
                    found.append(process)
        return found

    def redis(self) -> psutil.Process:
        """Return the embedded server below it."""
        (found,) = [one for one in self.family()[1:] if one.name() in BINARY_NAMES]
        return found


@asynccontextmanager
async def running(
    *argv: str | Path, environ: Mapping[str, str], output: Path, cwd: Path | None = None
) -> AsyncIterator[Program]:
    """Run a program; at the end it is stopped, and whatever it left behind is killed."""
    parent = os.getpid()
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *map(str, argv),
            cwd=cwd or output.parent,
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            preexec_fn=lambda: die_with(parent),
        )
    program = Program(process, output)
    try:
        yield program
    finally:
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            family = program.family()
        with suppress(ProcessLookupError):
            process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await process.wait()
        kill(family)
        await process.wait()


def muster(
    *arguments: str, home: Home, environ: Mapping[str, str] | None = None, name: str = "muster"
) -> Any:
    """Run `muster` with these arguments, as `running` does."""
    return running(
        *(sys.executable, "-m", "bot", *arguments),
        environ=environ or home.environ(),
        output=home.directory / f"{name}.out",
    )


async def command(
    *arguments: str,
    home: Home,
    environ: Mapping[str, str] | None = None,
    name: str = "command",
    within_s: float = 60,
) -> tuple[int, str]:
    """Run a `muster` command to its end; return its exit code and what it said."""
    async with muster(*arguments, home=home, environ=environ, name=name) as program:
        code = await program.ends(within_s)
        return code, program.said


async def until(
    look: Callable[[], Awaitable[T | None]],
    within_s: float,
    what: str,
    program: Program | None = None,
) -> T:
    """Look until there is something to see and return it; fail with `what` when there never is."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        if found := await look():
            return found
        has_ended = program is not None and program.process.returncode is not None
        if has_ended or loop.time() > deadline:
            said = f"; it said:\n{program.said}" if program else ""
            when = "before it ended" if has_ended else f"within {within_s:.0f} s"
            raise AssertionError(f"not so {when}: {what}{said}")
        await asyncio.sleep(LOOK_S)


async def seen(
    look: Callable[[], T | None], within_s: float, what: str, program: Program | None = None
) -> T:
    """Do as `until` does, with a look that need not be awaited."""

    async def looked() -> T | None:
        return look()

    return await until(looked, within_s, what, program)


async def answers(url: str) -> bool:
    """Whether a GET is answered with success now."""
    try:
        async with httpx.AsyncClient(timeout=5) as http:
            return (await http.get(url)).is_success
    except httpx.HTTPError:
        return False


async def assert_gone(processes: list[psutil.Process], within_s: float = 10) -> None:
    """Wait until none of these processes is left."""
    with suppress(AssertionError):
        await seen(lambda: not alive(processes), within_s, "all are gone")
    assert [str(one) for one in alive(processes)] == []


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run; a zombie does not."""
    return [one for one in processes if one.is_running() and _status(one) != psutil.STATUS_ZOMBIE]


def kill(processes: list[psutil.Process]) -> None:
    """Kill those that still run."""
    for one in alive(processes):
        with suppress(psutil.NoSuchProcess):
            one.send_signal(signal.SIGKILL)


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_ZOMBIE)


def write_people(config_dir: Path, **groups: list[str]) -> None:
    """Write people.yaml: each name with its groups, and the token `<name>-secret`."""
    people = {
        name: {
            "name": name.capitalize(),
            "groups": of_them,
            "token_sha256": hashlib.sha256(token(name).encode()).hexdigest(),
        }
        for name, of_them in groups.items()
    }
    config_dir.mkdir(parents=True, exist_ok=True)
    (config_dir / "people.yaml").write_text(yaml.safe_dump({"people": people}))


def token(name: str) -> str:
    """Return the token of a person that `write_people` wrote."""
    return f"{name}-secret"


def api(home: Home, name: str) -> httpx.AsyncClient:
    """Return a person's access to the API."""
    return httpx.AsyncClient(
        base_url=home.url, headers={"Authorization": f"Bearer {token(name)}"}, timeout=15
    )
