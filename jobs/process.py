"""What a child process needs so that it neither outlives its parent nor takes its signals."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
ORPHAN_CHECK_S = 0.5
STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
"""The signals that ask a process to leave."""


def die_with(parent_pid: int) -> None:
    """Make the kernel kill this process when its parent dies; elsewhere a thread watches.

    Call it first in the child. A parent that died before the call is noticed as well.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    else:
        threading.Thread(target=_watch, args=(parent_pid,), name="orphan", daemon=True).start()
    if os.getppid() != parent_pid:
        os._exit(1)


def hold_stop_signals() -> None:
    """Let requests to leave wait until `take_stop_signals`: none is lost, none kills.

    Threads and processes inherit this, so start none before taking them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def take_stop_signals() -> None:
    """Let requests to leave through, those that waited first; harmless if none were held."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def reset_signals() -> None:
    """Drop the signal handlers inherited from a parent, and leave its group of processes.

    Ctrl-C reaches a whole group; the parent alone should hear it and pass it on once.
    """
    signal.set_wakeup_fd(-1)
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(sign, signal.SIG_DFL)
    os.setpgid(0, 0)


def _watch(parent_pid: int) -> None:
    """End this process soon after it was handed to another parent."""
    while os.getppid() == parent_pid:
        time.sleep(ORPHAN_CHECK_S)
    os._exit(1)
