"""What is measured: worker parents on an embedded Redis, or the whole of `muster up`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import redis.asyncio as aioredis

from jobs.broker import live_workers
from jobs.embedded import EmbeddedRedis
from jobs.process import die_with
from jobs.redis_client import connect
from jobs.redis_store import RedisStore
from jobs.service import Runs

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2
SLOTS = 128
"""Per worker. 50 runs at once want 400 steps of 200 ms at the same time; with the default of 32
slots in each of two workers the slots alone would allow only 26 runs/s."""
READY_S = 60.0
STOP_S = 30.0
POLL_S = 0.005


class BenchError(RuntimeError):
    """A measurement could not be made; the message says why."""


@contextmanager
def state_dir() -> Iterator[Path]:
    """Give a directory that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="muster-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environ(folder: Path, **settings: str) -> dict[str, str]:
    """Return an environment in which nothing of this machine's own Muster is set."""
    inherited = {name: value for name, value in os.environ.items() if "MUSTER" not in name}
    ours = {
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "MUSTER_STATE_DIR": str(folder),
        "MUSTER_LOG_LEVEL": "WARNING",
        "MUSTER_WORKERS": str(WORKERS),
    }
    return {**inherited, **ours, **settings}


class Engine:
    """An embedded Redis that syncs every write, and worker parents on it; no bot."""

    def __init__(
        self, folder: Path, server: EmbeddedRedis, settings: Mapping[str, str] | None = None
    ) -> None:
        self._folder = folder
        self._settings = settings or {}
        self._server = server
        self._parents: list[subprocess.Popen[bytes]] = []
        self.client: aioredis.Redis = connect(server.url)
        self.store = RedisStore(self.client)
        self.runs = Runs(self.store, time.time)

    @property
    def redis_pid(self) -> int:
        """The pid of the server."""
        return self._server.pid

    @property
    def parent_pids(self) -> list[int]:
        """The pids of the worker parents that were started and not stopped."""
        return [parent.pid for parent in self._parents]

    async def add_parent(self, workers: int = WORKERS, slots: int = SLOTS) -> int:
        """Start a worker parent and wait until its workers are there; returns its pid."""
        before = len(await live_workers(self.client))
        env = environ(
            self._folder,
            MUSTER_REDIS_URL=self._server.url,
            MUSTER_WORKERS=str(workers),
            MUSTER_SLOTS=str(slots),
            MUSTER_DRAIN_S="1",
            **self._settings,
        )
        log = self._folder / "workers.log"
        parent = _start(("-m", "bench.worker"), env, log)
        self._parents.append(parent)
        async with asyncio.timeout(READY_S):
            while len(await live_workers(self.client)) < before + workers:
                if parent.poll() is not None:
                    raise BenchError(f"the workers did not start:\n{_tail(log)}")
                await asyncio.sleep(POLL_S)
        return parent.pid

    def kill_parent(self, pid: int) -> None:
        """Kill a parent; the kernel kills its workers with it, as when the host is lost."""
        parent = next(one for one in self._parents if one.pid == pid)
        parent.kill()
        parent.wait()
        self._parents.remove(parent)

    def stop(self) -> None:
        """Stop the workers."""
        for parent in self._parents:
            parent.terminate()
        for parent in self._parents:
            try:
                parent.wait(STOP_S)
            except subprocess.TimeoutExpired:
                parent.kill()
                parent.wait()


@asynccontextmanager
async def engine(config: Mapping[str, str] | None = None, **settings: str) -> AsyncIterator[Engine]:
    """Give an engine without workers yet; they will have this catalogue and these settings."""
    with state_dir() as folder, EmbeddedRedis(folder) as server:
        if config:
            settings["MUSTER_CONFIG_DIR"] = str(_write(config, folder))
        rig = Engine(folder, server, settings)
        try:
            yield rig
        finally:
            await asyncio.to_thread(rig.stop)
            await rig.client.aclose()


@dataclass(frozen=True, slots=True)
class UpStack:
    """A running `muster up`."""

    pid: int
    url: str
    ready_s: float
    """From its start until /readyz said that work is being done."""
    key: str
    """Of the sign-in link."""
    folder: Path


@asynccontextmanager
async def muster_up(
    config: Mapping[str, str] | None = None, **settings: str
) -> AsyncIterator[UpStack]:
    """Run `muster up` with these YAML files as its catalogue, from ready until stopped."""
    with state_dir() as folder:
        port = _free_port()
        env = environ(folder, MUSTER_PORT=str(port), **settings)
        if config:
            env["MUSTER_CONFIG_DIR"] = str(_write(config, folder))
        began = time.perf_counter()
        process = _start(("-m", "bot", "up"), env, folder / "up.log")
        try:
            url = f"http://127.0.0.1:{port}"
            ready_s = await _until_ready(process, url, folder / "up.log", began)
            key = json.loads((folder / "sign-in.json").read_text())["key"]
            yield UpStack(process.pid, url, ready_s, key, folder)
        finally:
            await asyncio.to_thread(_stop, process)


def _start(
    arguments: Sequence[str], env: Mapping[str, str], log: Path, *, is_piped: bool = False
) -> subprocess.Popen[bytes]:
    """Start a Python program that ends with this process."""
    bench = os.getpid()
    with log.open("ab") as output:
        return subprocess.Popen(
            (sys.executable, *arguments),
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE if is_piped else output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: die_with(bench),
        )


def _write(config: Mapping[str, str], folder: Path) -> Path:
    """Write the files of a catalogue, and return their folder."""
    config_dir = folder / "config"
    for name, text in config.items():
        path = config_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return config_dir


@contextmanager
def program(arguments: Sequence[str]) -> Iterator[str]:
    """Run a Python program that says where it is in its first line; give that line."""
    with state_dir() as folder:
        process = _start(arguments, environ(folder), folder / "program.log", is_piped=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline().decode().strip()
            if not line:
                log = _tail(folder / "program.log")
                raise BenchError(f"{' '.join(arguments)} did not start:\n{log}")
            yield line
        finally:
            _stop(process)


def _tail(log: Path) -> str:
    return log.read_text()[-2_000:]


async def _until_ready(
    process: subprocess.Popen[bytes], url: str, log: Path, began: float
) -> float:
    async with asyncio.timeout(READY_S), httpx.AsyncClient() as http:
        while True:
            if process.poll() is not None:
                raise BenchError(f"muster up did not start:\n{_tail(log)}")
            try:
                if (await http.get(f"{url}/readyz")).is_success:
                    return time.perf_counter() - began
            except httpx.HTTPError:
                pass
            await asyncio.sleep(POLL_S * 2)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
