"""The warm parent: it imports once, forks the workers, and replaces those that die.

Importing a model library takes seconds and hundreds of megabytes. The parent pays once; a forked
worker starts in milliseconds and shares the memory. Forking is only safe while the parent has no
threads, no event loop and no open connections, so it has none: whatever must talk to Redis about a
dead worker does so in a short-lived child.
"""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
import secrets
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import structlog

from jobs.observe import flush_errors, report_error
from jobs.process import die_with, hold_stop_signals, reset_signals, take_stop_signals

log = structlog.get_logger(__name__)

MakeWorker = Callable[[str], Coroutine[Any, Any, None]]
"""Returns the coroutine of the worker with this name; called in the worker's process.

SIGTERM and SIGINT are held back there until the worker, ready to be asked to leave, calls
`jobs.process.take_stop_signals`; so one that comes early asks it too, instead of killing it.
"""

TICK_S = 0.5
PULSE_S = 1.0
BLOCKED_S = 15.0
"""A worker whose event loop does not run for this long is killed, like its leases."""
YOUNG_S = 5.0
"""A worker that lived shorter than this died young."""
RESTART_PAUSE_S = 0.2
RESTART_PAUSE_CAP_S = 10.0
STOP_S = 30.0
"""How long workers may take to drain before they are killed; more than their own limits."""
BURIAL_S = 10.0
"""How much longer `on_death` may take; after that the reaper has to find what is left."""
SECOND_SIGNAL_S = 1.0
TOKEN_BYTES = 4

_PULSE = struct.Struct("d")


def worker_name(host: str, token: str, parent_pid: int, index: int, generation: int) -> str:
    """Return the name of a worker, unique among all that ever lived anywhere.

    Containers may share host names and pids, so each parent has a random `token`.
    """
    return f"{host}-{token}-{parent_pid}-{index}-{generation}"


def restart_pause_s(young_deaths: int) -> float:
    """Return how long to wait before a restart: not at all, unless it keeps dying young."""
    if young_deaths <= 1:
        return 0.0
    return min(RESTART_PAUSE_S * 2.0 ** min(young_deaths - 2, 16), RESTART_PAUSE_CAP_S)


def run_parent(
    worker_count: int,
    make_worker: MakeWorker,
    warm: Callable[[], None] | None = None,
    on_death: Callable[[str], None] | None = None,
    *,
    blocked_s: float = BLOCKED_S,
    stop_s: float = STOP_S,
) -> int:
    """Run `worker_count` workers until SIGTERM or Ctrl-C; returns the exit code.

    `warm` imports what workers need, before the first fork. `on_death` is called with the name of
    each worker that did not leave by itself, in a process of its own, so it may open connections
    and take its time. The signal is passed on and the workers drain; a second one, or `stop_s`,
    kills them.
    """
    if warm is not None:
        warm()
    threads = [t.name for t in threading.enumerate() if t is not threading.current_thread()]
    if threads:
        log.warning("parent_has_threads", threads=threads)
    gc.collect()
    gc.freeze()  # Collecting would touch, and so copy, every page that is shared.
    return _Parent(worker_count, make_worker, on_death, blocked_s, stop_s).run()


@dataclass(slots=True)
class _Seat:
    """The place of one worker, taken by one process after the other."""

    index: int
    generation: int = 0
    name: str = ""
    pid: int = 0
    born_at: float = 0.0
    young_deaths: int = 0
    due_at: float = 0.0
    """When to start the next process, if there is none."""


class _Parent:
    """The loop that waits for children and signals."""

    def __init__(
        self,
        worker_count: int,
        make_worker: MakeWorker,
        on_death: Callable[[str], None] | None,
        blocked_s: float,
        stop_s: float,
    ) -> None:
        self._make_worker = make_worker
        self._on_death = on_death
        self._blocked_s = blocked_s
        self._stop_s = stop_s
        self._pid = os.getpid()
        self._host = socket.gethostname()
        self._token = secrets.token_hex(TOKEN_BYTES)
        self._seats = [_Seat(index) for index in range(worker_count)]
        self._coroners: dict[int, str] = {}
        # Shared with the children: each loop writes the time into its own eight bytes.
        self._pulses = mmap.mmap(-1, max(1, worker_count) * _PULSE.size)
        self._asked_at: float | None = None
        self._signals = 0
        self._is_killing = False

    def run(self) -> int:
        """Keep the seats taken until told to stop; then see everybody out."""
        wake_in, wake_out = socket.socketpair()
        for end in (wake_in, wake_out):
            end.setblocking(False)
        before = self._take_signals(wake_out)
        try:
            self._loop(wake_in)
        finally:
            self._signal_workers(signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            for sign, handler in before.items():
                signal.signal(sign, handler)
            wake_in.close()
            wake_out.close()
            self._pulses.close()
        log.info("parent_left", pid=self._pid)
        return 0

    def _loop(self, wake: socket.socket) -> None:
        """Fork, wait, bury, and fork again."""
        last_tick = time.monotonic()
        while self._asked_at is None or self._pids() or self._coroners:
            now = time.monotonic()
            if now - last_tick > self._blocked_s / 2:
                self._forgive(now)  # We were stopped ourselves, and the workers maybe with us.
            last_tick = now
            self._reap(now)
            if self._asked_at is None:
                self._fill_seats(now)
                self._kill_blocked(now)
            else:
                self._see_out(now)
            select.select([wake], [], [], self._pause_s())
            with suppress(BlockingIOError):
                wake.recv(4096)

    def _take_signals(self, wake: socket.socket) -> dict[int, Any]:
        """Let signals wake the loop; returns the handlers that were there before."""
        before = {
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._on_signal),
            signal.SIGINT: signal.signal(signal.SIGINT, self._on_signal),
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda _sign, _frame: None),
        }
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        return {int(sign): handler for sign, handler in before.items()}

    def _on_signal(self, _sign: int, _frame: FrameType | None) -> None:
        """Note a request to stop; two within a second are one (terminal and supervisor)."""
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at >= SECOND_SIGNAL_S:
            self._is_killing = True

    def _pause_s(self) -> float:
        """Return how long nothing is due."""
        due = [seat.due_at for seat in self._seats if not seat.pid and self._asked_at is None]
        left = min(due) - time.monotonic() if due else TICK_S
        return max(0.0, min(left, TICK_S))

    def _pids(self) -> list[int]:
        """Return the workers that live."""
        return [seat.pid for seat in self._seats if seat.pid]

    def _fill_seats(self, now: float) -> None:
        """Fork a worker for every empty seat that is due."""
        for seat in self._seats:
            if seat.pid or seat.due_at > now:
                continue
            seat.generation += 1
            seat.name = worker_name(self._host, self._token, self._pid, seat.index, seat.generation)
            seat.born_at = now
            _PULSE.pack_into(self._pulses, seat.index * _PULSE.size, now)
            seat.pid = self._fork(lambda seat=seat: self._be_worker(seat))  # type: ignore[misc]
            log.info("worker_forked", worker=seat.name, pid=seat.pid)

    def _fork(self, live: Callable[[], int]) -> int:
        """Return the pid of a child that lives and ends with that exit code."""
        sys.stdout.flush()
        sys.stderr.flush()
        # A signal between fork and reset would run the parent's handler in the child; one between
        # reset and the worker's own handler would kill it. `live` takes them when it is ready.
        hold_stop_signals()
        pid = os.fork()
        if pid:
            take_stop_signals()
            return pid
        code = 1
        try:
            reset_signals()
            die_with(self._pid)
            code = live()
        except BaseException as error:
            log.exception("child_failed", pid=os.getpid())
            report_error(error)
            flush_errors()
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            # Nothing that the parent wanted to happen at its own exit may happen here.
            os._exit(code)

    def _be_worker(self, seat: _Seat) -> int:
        """Run one worker in this process."""
        asyncio.run(self._with_pulse(seat))
        return 0

    async def _with_pulse(self, seat: _Seat) -> None:
        """Run the worker and show the parent that the loop is not blocked."""
        pulse = asyncio.create_task(self._beat(seat.index), name="pulse")
        try:
            await self._make_worker(seat.name)
        finally:
            pulse.cancel()

    async def _beat(self, index: int) -> None:
        """Write the time where the parent reads it."""
        while True:
            _PULSE.pack_into(self._pulses, index * _PULSE.size, time.monotonic())
            await asyncio.sleep(PULSE_S)

    def _kill_blocked(self, now: float) -> None:
        """Kill workers whose loop has not run for too long: their leases are lost anyway."""
        for seat in self._seats:
            if not seat.pid:
                continue
            (beat_at,) = _PULSE.unpack_from(self._pulses, seat.index * _PULSE.size)
            if now - beat_at > self._blocked_s:
                log.error("worker_blocked", worker=seat.name, pid=seat.pid)
                _send(seat.pid, signal.SIGKILL)

    def _forgive(self, now: float) -> None:
        """Restart every worker's clock."""
        for seat in self._seats:
            _PULSE.pack_into(self._pulses, seat.index * _PULSE.size, now)

    def _reap(self, now: float) -> None:
        """Bury every child that ended, and note when its seat is due again."""
        for pid, name in list(self._coroners.items()):
            code = _exit_code(pid)
            if code is not None:
                del self._coroners[pid]
                if code:
                    log.error("worker_burial_failed", worker=name, exit_code=code)
        for seat in self._seats:
            code = _exit_code(seat.pid) if seat.pid else None
            if code is not None:
                self._bury(seat, code, now)

    def _bury(self, seat: _Seat, exit_code: int, now: float) -> None:
        """Free the seat; what the worker held is released in a child, beside its successor."""
        seat.pid = 0
        died_young = now - seat.born_at < YOUNG_S
        seat.young_deaths = seat.young_deaths + 1 if died_young else 0
        seat.due_at = now + restart_pause_s(seat.young_deaths)
        if exit_code == 0:
            log.info("worker_left_by_itself", worker=seat.name)
            return
        log.error("worker_died", worker=seat.name, exit_code=exit_code)
        on_death, name = self._on_death, seat.name
        if on_death is not None:

            def release() -> int:
                take_stop_signals()
                on_death(name)
                return 0

            self._coroners[self._fork(release)] = name

    def _see_out(self, now: float) -> None:
        """Ask the workers to drain, once; kill them when time or patience is over."""
        if self._signals == 0:
            self._signals = 1
            log.info("parent_drains", workers=len(self._pids()))
            self._signal_workers(signal.SIGTERM)
        asked_s = now - (self._asked_at or now)
        if self._is_killing or asked_s > self._stop_s:
            self._signal_workers(signal.SIGKILL)
        if asked_s > self._stop_s + BURIAL_S:
            for pid in self._coroners:
                _send(pid, signal.SIGKILL)

    def _signal_workers(self, sign: signal.Signals) -> None:
        """Send a signal to every worker that lives."""
        for pid in self._pids():
            _send(pid, sign)


def _exit_code(pid: int) -> int | None:
    """Return how this child ended, or None if it lives. Other children are not ours to bury."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 1  # Somebody else has waited for it: all we know is that it is gone.
    return os.waitstatus_to_exitcode(status) if ended else None


def _send(pid: int, sign: signal.Signals) -> None:
    """Send a signal to a child that may have ended by now."""
    with suppress(ProcessLookupError):
        os.kill(pid, sign)
