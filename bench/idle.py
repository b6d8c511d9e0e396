"""What `muster up` costs while nothing happens, and how soon it and the command line answer."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time

from bench.figures import Figure, at_most
from bench.proc import command_line, cpu_s, pss_mb, tree
from bench.rig import ROOT, muster_up

HELP_RUNS = 5
UP_RUNS = 3
SETTLE_S = 5.0
CPU_S = 10.0


def help_figures() -> list[Figure]:
    """Return how soon `muster --help` answers."""
    took = []
    for _ in range(HELP_RUNS):
        began = time.perf_counter()
        command = (sys.executable, "-m", "bot", "--help")
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        took.append(time.perf_counter() - began)
    return [Figure("help", statistics.median(took), "s", at_most(0.4))]


async def measure() -> list[Figure]:
    """Return the figures of the idle stack."""
    ready = []
    for _ in range(UP_RUNS - 1):
        async with muster_up() as stack:
            ready.append(stack.ready_s)
    async with muster_up() as stack:
        ready.append(stack.ready_s)
        await asyncio.sleep(SETTLE_S)
        pids = tree(stack.pid)
        memory: dict[str, float] = {}
        for pid in pids:
            part = "up" if pid == stack.pid else _part(command_line(pid))
            memory[part] = memory.get(part, 0.0) + pss_mb(pid)
        before = cpu_s(pids)
        await asyncio.sleep(CPU_S)
        idle_cpu = (cpu_s(pids) - before) / CPU_S * 100
    return [
        Figure("up_ready", statistics.median(ready), "s", at_most(5)),
        Figure("idle_memory", sum(memory.values()), "MB PSS", at_most(250)),
        *(Figure(f"idle_memory_{part}", memory[part], "MB PSS") for part in sorted(memory)),
        Figure("idle_cpu", idle_cpu, "% of a core"),
    ]


def _part(command: str) -> str:
    """Return what a process of the stack is, from its command line."""
    parts = {"bot serve": "bot", "-m jobs": "workers", "unixsocket": "redis"}
    return next((part for words, part in parts.items() if words in command), "others")
