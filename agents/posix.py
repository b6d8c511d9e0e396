"""What a child process does to itself on POSIX systems: limits, and dying with its parent."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys

from agents.tool import Limits

MAX_OPEN_FILES = 256
MAX_FILE_BYTES = 64 * 1024 * 1024
CPU_SLACK_S = 5
"""CPU seconds beyond the wall clock limit: the parent's timeout should be the one that speaks."""
PR_SET_PDEATHSIG = 1
_LIFTED = (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)


def set_limits(limits: Limits) -> None:
    """Limit this process; soft limits, so that a declared command can have its own again."""
    memory = limits.memory_mib * 1024 * 1024
    _soft(resource.RLIMIT_AS, memory)
    _soft(resource.RLIMIT_CPU, int(limits.timeout_s) + CPU_SLACK_S)
    _soft(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    _soft(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    _soft(resource.RLIMIT_CORE, 0)


def lift_limits() -> None:
    """Give this process back the limits that its worker runs with."""
    for kind in _LIFTED:
        hard = resource.getrlimit(kind)[1]
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (hard, hard))


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel to kill this process when its parent ends (Linux; elsewhere a no-op)."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it ended before the request was made
        os._exit(1)


def _soft(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    # Some systems refuse some limits (macOS: the address space); the others still hold.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(kind, (value, hard))
