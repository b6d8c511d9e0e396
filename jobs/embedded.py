"""The Redis that `muster up` starts for itself in its state directory.

One process owns a state directory at a time: it holds a lock file, starts the server on a unix
socket, restarts it when it dies, and stops it last. Everything acknowledged is on disk (append-only
file, fsync always), so killing either of them loses nothing.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.redis_binary import find_binary

log = structlog.get_logger(__name__)

SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107
"""The kernel's limit for the path of a unix socket, in bytes."""
START_TIMEOUT_S = 120.0
"""A large append-only file takes its time to load; a server that dies is noticed at once."""
STOP_TIMEOUT_S = 5.0
POLL_S = 0.005
WATCH_S = 0.1
LOG_LIMIT_BYTES = 1024 * 1024
LOG_TAIL_LINES = 5
RESTART_PAUSE_CAP_S = 5.0
YOUNG_S = 5.0
"""A server that lived shorter than this is restarted with a growing pause."""
CLIENT_TIMEOUT_S = 2.0

LOCK_FILE = "up.lock"
RECORD_FILE = "redis.json"
SOCKET_FILE = "redis.sock"
LOG_FILE = "redis.log"
DATA_DIR = "redis"


class StateDirInUseError(RuntimeError):
    """Another `muster up` runs in this state directory; whoever starts this one can choose."""

    def __init__(self, state_dir: Path, pid: int | None) -> None:
        self.state_dir = state_dir
        self.pid = pid
        holder = f"process {pid}" if pid else "another process"
        stop = f"stop it (kill {pid})" if pid else "stop it"
        super().__init__(
            f"The state directory {state_dir} is in use by {holder}. Either {stop}, or set "
            "MUSTER_STATE_DIR to another directory to run a second one beside it."
        )


class RedisStartError(RuntimeError):
    """The embedded server did not come up; its log says why."""

    def __init__(self, reason: str, log_file: Path, tail: str) -> None:
        self.log_file = log_file
        said = f" Its last words:\n{tail}" if tail else ""
        super().__init__(
            f"The embedded Redis {reason}. Look at {log_file}, free the disk or repair the "
            f"append-only file, or set MUSTER_REDIS_URL to use another server.{said}"
        )


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers. `owned` says whether this process started it and must stop it."""

    url: str
    pid: int
    owned: bool


@dataclass(frozen=True, slots=True)
class _Record:
    """What the state directory remembers of its server."""

    socket: str
    binary: str
    pid: int = 0


def attach(state_dir: Path) -> Running | None:
    """Return the server that runs for this state directory now, or None.

    For commands that talk to a running `muster up`; it takes no lock and starts nothing.
    """
    record = _read_record(state_dir)
    pid = _answering_pid(record.socket) if record else None
    if record is None or pid is None:
        return None
    return Running(url=f"unix://{record.socket}", pid=pid, owned=False)


def server_flags(socket: str, data_dir: Path, log_file: Path) -> list[str]:
    """Return the server's whole configuration: no file is read."""
    return [
        *("--port", "0"),
        *("--unixsocket", socket),
        *("--unixsocketperm", "700"),
        *("--appendonly", "yes"),
        *("--appendfsync", "always"),
        *("--aof-load-truncated", "yes"),
        *("--save", ""),
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
        *("--dir", str(data_dir)),
        *("--logfile", str(log_file)),
    ]


class EmbeddedRedis:
    """The server of one state directory, held by this process from `start` to `stop`."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir.absolute()
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._record: _Record | None = None
        self._started_at = 0.0
        self._stopping = threading.Event()
        self._launching = threading.Lock()
        """A restart in a thread and a stop must not overlap: it would leave a server behind."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address, the same across restarts; empty before the first start."""
        return f"unix://{self._record.socket}" if self._record else ""

    @property
    def is_alive(self) -> bool:
        """Whether the server process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The pid of the server process, 0 if there is none."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> Running:
        """Lock the state directory and start its server.

        A server left behind by a process that was killed is shut down first: all it acknowledged
        is on disk. Raises StateDirInUseError, NoRedisBinaryError or RedisStartError.
        """
        self._state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take_lock()
        try:
            left = _read_record(self._state_dir)
            _end_leftover(left or _Record(str(self._state_dir / SOCKET_FILE), ""))
            binary = find_binary(Path(left.binary) if left else None)
            self._record = _Record(socket=self._choose_socket(left), binary=str(binary))
            self._stopping.clear()
            with self._launching:
                return self._launch()
        except BaseException:
            self._release_lock()
            raise

    def restart(self) -> Running:
        """Start the server again at the same address after it died."""
        with self._launching:
            if self.is_alive or self._stopping.is_set():
                return self._running()
            return self._launch()

    async def watch(self, on_restart: Callable[[Running], None] | None = None) -> None:
        """Restart the server whenever it dies; runs until cancelled or stopped.

        The first restart follows at once. One that dies young again and again is restarted with
        a growing pause, because its disk may be full.
        """
        young_deaths = 0
        while not self._stopping.is_set():
            if self.is_alive or self._record is None:
                await asyncio.sleep(WATCH_S)
                continue
            code = self._process.returncode if self._process else None
            young_deaths = young_deaths + 1 if time.monotonic() - self._started_at < YOUNG_S else 0
            log.error("embedded_redis_died", exit_code=code, young_deaths=young_deaths)
            if young_deaths > 1:
                await asyncio.sleep(min(0.2 * 2**young_deaths, RESTART_PAUSE_CAP_S))
            if self._stopping.is_set():
                return
            try:
                running = await asyncio.to_thread(self.restart)
            except RedisStartError as error:
                log.error("embedded_redis_restart_failed", reason=str(error))
                continue
            log.info("embedded_redis_restarted", pid=running.pid)
            if on_restart is not None:
                on_restart(running)

    def stop(self) -> None:
        """Shut the server down and free the state directory. Call it after the workers drained."""
        self._stopping.set()
        with self._launching:
            self._stop()

    def _stop(self) -> None:
        """End the process, then free the directory whatever happened."""
        try:
            if self._process is not None and self._record is not None:
                _ask_to_shut_down(self._record.socket)
                _end_process(self._process)
                self._process = None
                self._forget_socket()
        finally:
            self._release_lock()

    def _launch(self) -> Running:
        """Start the process and wait until it answers."""
        if self._record is None:
            raise RuntimeError("start() comes before restart()")
        data_dir = self._state_dir / DATA_DIR
        log_file = self._state_dir / LOG_FILE
        data_dir.mkdir(exist_ok=True, mode=0o700)
        if log_file.exists() and log_file.stat().st_size > LOG_LIMIT_BYTES:
            log_file.unlink()
        Path(self._record.socket).unlink(missing_ok=True)
        # Written before the start as well: whoever comes after a crash finds the socket here.
        _write_record(self._state_dir, self._record)
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - the binary we chose, flags of our own
            [self._record.binary, *server_flags(self._record.socket, data_dir, log_file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=data_dir,
            # The server needs none of our secrets, and Ctrl-C must not reach it before us.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
            start_new_session=True,
        )
        self._record = _Record(self._record.socket, self._record.binary, self._process.pid)
        _write_record(self._state_dir, self._record)
        self._wait_until_it_answers(self._process, log_file)
        return self._running()

    def _running(self) -> Running:
        """Describe the server that was just found alive."""
        return Running(url=self.url, pid=self.pid, owned=True)

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes], log_file: Path) -> None:
        """Return once PING is answered; raise RedisStartError when that will not happen."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                reason = f"stopped at once (exit code {process.returncode})"
                raise RedisStartError(reason, log_file, _tail(log_file))
            if _answering_pid(self.url.removeprefix("unix://")) == process.pid:
                return
            time.sleep(POLL_S)
        _end_process(process)
        raise RedisStartError(
            f"did not answer within {START_TIMEOUT_S:.0f} s", log_file, _tail(log_file)
        )

    def _choose_socket(self, left: _Record | None) -> str:
        """Return a path the kernel accepts: in the state directory, or short and private."""
        path = str(self._state_dir / SOCKET_FILE)
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        if left is not None and _is_private_dir(Path(left.socket).parent):
            return left.socket
        for base in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes it private
            directory = tempfile.mkdtemp(prefix="muster-", dir=base)
            short = str(Path(directory) / SOCKET_FILE)
            if len(os.fsencode(short)) <= SOCKET_PATH_LIMIT:
                return short
            Path(directory).rmdir()
        raise RedisStartError(
            "has no directory whose path is short enough for its socket (set TMPDIR to one)",
            self._state_dir / LOG_FILE,
            "",
        )

    def _forget_socket(self) -> None:
        """Remove what a clean stop leaves no use for; the record keeps the binary's path."""
        if self._record is None:
            return
        socket = Path(self._record.socket)
        socket.unlink(missing_ok=True)
        if socket.parent != self._state_dir:
            shutil.rmtree(socket.parent, ignore_errors=True)
        _write_record(self._state_dir, _Record(self._record.socket, self._record.binary))

    def _take_lock(self) -> None:
        """Take the lock of the state directory, or say who has it."""
        path = self._state_dir / LOCK_FILE
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StateDirInUseError(self._state_dir, _lock_holder(path)) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor

    def _release_lock(self) -> None:
        """Give the lock back; the file stays, so that nobody locks a deleted one."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _lock_holder(path: Path) -> int | None:
    """Return the pid that the holder wrote into its lock file."""
    try:
        return int(path.read_text().strip())
    except (OSError, ValueError):
        return None


def _read_record(state_dir: Path) -> _Record | None:
    """Return what the last owner wrote, or None if there is nothing (readable)."""
    try:
        data = json.loads((state_dir.absolute() / RECORD_FILE).read_text())
        return _Record(str(data["socket"]), str(data["binary"]), int(data["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_record(state_dir: Path, record: _Record) -> None:
    """Replace the record in one step: a reader never sees half of it."""
    path = state_dir / RECORD_FILE
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(asdict(record)))
    draft.replace(path)


def _client(socket: str) -> redis.Redis:
    """Return a client that fails at once instead of trying again."""
    return redis.Redis(
        unix_socket_path=socket,
        socket_timeout=CLIENT_TIMEOUT_S,
        socket_connect_timeout=CLIENT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def _answering_pid(socket: str, *, is_loading_fine: bool = False) -> int | None:
    """Return the pid of the server that answers there, once it has loaded its data."""
    client = _client(socket)
    try:
        if not is_loading_fine:
            client.ping()
        return int(client.info("server")["process_id"])
    except (redis.RedisError, OSError):
        return None
    finally:
        client.close()


def _ask_to_shut_down(socket: str) -> None:
    """Send SHUTDOWN; a server that cannot hear it is ended by signal afterwards."""
    client = _client(socket)
    try:
        client.shutdown(nosave=True)
    except (redis.RedisError, OSError):
        pass  # The connection breaks: that is the answer.
    finally:
        client.close()


def _end_process(process: subprocess.Popen[bytes]) -> None:
    """Wait for our server to end, and insist step by step."""
    for sign in (None, signal.SIGTERM, signal.SIGKILL):
        if sign is not None:
            process.send_signal(sign)
        try:
            process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
        return


def _end_leftover(record: _Record) -> None:
    """End the server of a killed owner, found by its socket, or by its pid if it hangs."""
    pid = _answering_pid(record.socket, is_loading_fine=True) or record.pid
    try:
        process = psutil.Process(pid) if pid else None
        # The pid may belong to somebody else by now; our server has our socket in its arguments
        # or, where it rewrote its title, in its title.
        if process is None or not any(record.socket in part for part in process.cmdline()):
            return
        log.warning("embedded_redis_leftover", pid=pid)
        _ask_to_shut_down(record.socket)
        for sign in (None, signal.SIGTERM, signal.SIGKILL):
            if sign is not None:
                process.send_signal(sign)
            try:
                process.wait(timeout=STOP_TIMEOUT_S)
            except psutil.TimeoutExpired:
                continue
            return
    except psutil.NoSuchProcess:
        return


def _is_private_dir(path: Path) -> bool:
    """Whether only we can get at what is in this directory."""
    try:
        status = path.stat()
    except OSError:
        return False
    return path.is_dir() and status.st_uid == os.getuid() and status.st_mode & 0o077 == 0


def _tail(log_file: Path) -> str:
    """Return the end of the server's log."""
    try:
        lines = log_file.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-LOG_TAIL_LINES:])
