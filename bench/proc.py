"""What processes cost, read from /proc: CPU time and memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import psutil

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return the process and everything it started that still runs."""
    root = psutil.Process(pid)
    return [pid, *(child.pid for child in root.children(recursive=True))]


def cpu_s(pids: Iterable[int]) -> float:
    """Return the CPU time the processes used so far, with that of children they waited for."""
    return sum(_ticks(pid) for pid in pids) / _TICKS_PER_S


def pss_mb(pid: int) -> float:
    """Return the memory of a process; what it shares is divided among those who share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"/proc/{pid}/smaps_rollup names no Pss: is this Linux 4.14 or newer?")


def command_line(pid: int) -> str:
    """Return how a process was started."""
    raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def _ticks(pid: int) -> int:
    """Sum user and system time of the process and of its children that have ended."""
    # The name (field 2) may hold spaces; it ends with the last parenthesis.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])
