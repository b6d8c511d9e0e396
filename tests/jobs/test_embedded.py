"""The embedded server: one owner per directory, nothing acknowledged is ever lost."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobs.embedded import (
    SOCKET_PATH_LIMIT,
    EmbeddedRedis,
    RedisStartError,
    Running,
    StateDirInUseError,
    attach,
)
from jobs.redis_binary import NoRedisBinaryError, find_binary
from jobs.redis_client import connect_sync

OWNER = """
import os, signal, sys
from pathlib import Path
from jobs.embedded import EmbeddedRedis
running = EmbeddedRedis(Path(sys.argv[1])).start()
print(running.pid, flush=True)
signal.pause()
"""


def write(url: str, key: str, value: str) -> None:
    """Write one value and wait for the acknowledgement."""
    client = connect_sync(url)
    client.set(key, value)
    client.close()


def read(url: str, key: str) -> bytes | str | None:
    """Read one value."""
    client = connect_sync(url)
    try:
        return client.get(key)
    finally:
        client.close()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start another process that owns `tmp_path`; returns it and the pid of its server."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    server_pid = int(process.stdout.readline())
    yield process, server_pid
    process.kill()
    process.wait()
    process.stdout.close()
    if psutil.pid_exists(server_pid):
        os.kill(server_pid, signal.SIGKILL)


def test_data_outlives_a_clean_stop(tmp_path: Path) -> None:
    """What was written is there at the next start, at the same address."""
    with EmbeddedRedis(tmp_path) as server:
        first = server.url
        write(first, "key", "kept")

    with EmbeddedRedis(tmp_path) as server:
        assert server.url == first
        assert read(server.url, "key") == b"kept"


def test_stop_leaves_no_process_and_no_socket(tmp_path: Path) -> None:
    """After a stop the server is gone and nobody can attach."""
    server = EmbeddedRedis(tmp_path)
    running = server.start()
    assert attach(tmp_path) == Running(running.url, running.pid, owned=False)

    server.stop()

    assert not server.is_alive
    assert not psutil.pid_exists(running.pid)
    assert attach(tmp_path) is None


def test_killed_server_keeps_acknowledged_writes(tmp_path: Path) -> None:
    """After kill -9 a restart at the same address has everything that was acknowledged."""
    with EmbeddedRedis(tmp_path) as server:
        client = connect_sync(server.url)
        for number in range(50):
            client.rpush("list", number)
        killed = server.pid
        os.kill(killed, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(killed)], timeout=5)

        running = server.restart()

        assert running.pid != killed
        assert client.llen("list") == 50
        client.close()


async def test_watch_restarts_a_killed_server(tmp_path: Path) -> None:
    """The watch notices the death by itself; a client that waits gets its answer."""
    with EmbeddedRedis(tmp_path) as server:
        write(server.url, "key", "kept")
        restarted: asyncio.Queue[Running] = asyncio.Queue()
        watching = asyncio.create_task(server.watch(restarted.put_nowait))

        os.kill(server.pid, signal.SIGKILL)
        running = await asyncio.wait_for(restarted.get(), timeout=20)

        assert running.url == server.url
        assert await asyncio.to_thread(read, server.url, "key") == b"kept"
        watching.cancel()


def test_torn_file_loses_only_the_torn_write(tmp_path: Path) -> None:
    """A last write that reached the disk in part does not keep the server from starting."""
    with EmbeddedRedis(tmp_path) as server:
        write(server.url, "first", "kept")
        write(server.url, "last", "torn")
    (log_file,) = (tmp_path / "redis" / "appendonlydir").glob("*.incr.aof")
    log_file.write_bytes(log_file.read_bytes()[:-3])

    with EmbeddedRedis(tmp_path) as server:
        assert read(server.url, "first") == b"kept"
        assert read(server.url, "last") is None


def test_broken_file_is_reported(tmp_path: Path) -> None:
    """A server that refuses its data gives a reason and a place to look, and frees the lock."""
    with EmbeddedRedis(tmp_path) as server:
        write(server.url, "key", "value")
    (log_file,) = (tmp_path / "redis" / "appendonlydir").glob("*.incr.aof")
    log_file.write_bytes(b"rubbish\r\n" * 20)

    with pytest.raises(RedisStartError, match="append-only") as caught:
        EmbeddedRedis(tmp_path).start()

    assert str(tmp_path / "redis.log") in str(caught.value)
    log_file.unlink()


def test_second_owner_is_refused(tmp_path: Path, owner: tuple[subprocess.Popen[str], int]) -> None:
    """The directory belongs to one process, and the error names it and the ways out."""
    process, server_pid = owner

    with pytest.raises(StateDirInUseError) as caught:
        EmbeddedRedis(tmp_path).start()

    assert caught.value.pid == process.pid
    assert "MUSTER_STATE_DIR" in str(caught.value)
    assert psutil.pid_exists(server_pid)


def test_leftover_of_a_killed_owner_is_replaced(
    tmp_path: Path, owner: tuple[subprocess.Popen[str], int]
) -> None:
    """After kill -9 of the owner the next one gets the directory, a new server and all data."""
    process, left_pid = owner
    found = attach(tmp_path)
    assert found is not None
    write(found.url, "key", "kept")
    process.kill()
    process.wait()
    assert psutil.pid_exists(left_pid)

    with EmbeddedRedis(tmp_path) as server:
        assert server.pid != left_pid
        assert not psutil.pid_exists(left_pid)
        assert read(server.url, "key") == b"kept"


def test_strange_process_with_the_recorded_pid_is_spared(tmp_path: Path) -> None:
    """A pid that belongs to somebody else by now is left alone."""
    with EmbeddedRedis(tmp_path) as server:
        socket = server.url.removeprefix("unix://")
    record = f'{{"socket": "{socket}", "binary": "/nonexistent", "pid": {os.getpid()}}}'
    (tmp_path / "redis.json").write_text(record)

    with EmbeddedRedis(tmp_path) as server:
        assert server.is_alive


def test_long_directory_gets_a_short_socket(tmp_path: Path) -> None:
    """A path the kernel would refuse does not keep the server from starting, nor restarting."""
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    with EmbeddedRedis(deep) as server:
        socket = server.url.removeprefix("unix://")
        assert len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT
        assert Path(socket).parent.stat().st_mode & 0o077 == 0
        write(server.url, "key", "kept")
        assert attach(deep) is not None

    assert not Path(socket).parent.exists()
    with EmbeddedRedis(deep) as server:
        assert read(server.url, "key") == b"kept"


def test_server_is_out_of_reach_of_ctrl_c_and_of_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has a session of its own and none of our environment."""
    monkeypatch.setenv("MUSTER_TOKEN", "secret")
    with EmbeddedRedis(tmp_path) as server:
        pid = server.pid
        assert os.getsid(pid) == pid
        if sys.platform == "linux":
            assert "MUSTER_TOKEN" not in psutil.Process(pid).environ()


def test_no_binary_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any server hears what to install or set."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("jobs.redis_binary._shipped_binary", lambda: None)

    with pytest.raises(NoRedisBinaryError, match="MUSTER_REDIS_URL"):
        find_binary()


def test_old_binary_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on PATH that is too old is not used, and named if there is no other."""
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.7 sha=0'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    assert find_binary() != old

    monkeypatch.setattr("jobs.redis_binary._shipped_binary", lambda: None)
    monkeypatch.setattr("jobs.redis_binary.BINARY_NAMES", ("redis-server",))
    with pytest.raises(NoRedisBinaryError, match="Found but not usable"):
        find_binary()
