"""Muster's processes as people start them, one by one, so that a test can kill and stop them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psutil

from bot.cli.stack import ROOT
from tests.crash.world import ENVIRON, World

STOP_S = 20.0
UP = ("-m", "bot", "up")
BOT = ("-m", "bot", "serve")
WORKERS = ("-m", "jobs")
SHORT_LEASE_WORKERS = ("-m", "tests.crash.short_lease")


def environ(world: World, redis_url: str = "") -> Mapping[str, str]:
    """Return the environment of every process of a world."""
    settings = world.settings
    named = {
        "MUSTER_STATE_DIR": str(settings.state_dir),
        "MUSTER_CONFIG_DIR": str(settings.config_dir),
        "MUSTER_HOST": settings.host,
        "MUSTER_PORT": str(settings.port),
        "MUSTER_WORKERS": str(settings.workers),
        "MUSTER_DRAIN_S": str(settings.drain_s),
        "MUSTER_LOG_LEVEL": "INFO",
        "MUSTER_REDIS_URL": redis_url,
        "PYTHONPATH": str(ROOT),
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MUSTER_")}
    return {**kept, **named, **ENVIRON}


@contextmanager
def part(world: World, redis_url: str, *words: str) -> Iterator[psutil.Process]:
    """Run one process of a world, and let it end with all that it started."""
    with world.log_file.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=ROOT,
            env=dict(environ(world, redis_url)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def child(parent: psutil.Process, *words: str) -> psutil.Process:
    """Return the child whose command line ends with these words."""
    return next(
        process for process in parent.children() if process.cmdline()[-len(words) :] == list(words)
    )


def worker_process(name: str) -> psutil.Process:
    """Return the process of the worker of that name: its parent's pid stands in it."""
    parent_pid = int(name.rsplit("-", 3)[1])
    (only,) = psutil.Process(parent_pid).children()
    return only


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """Let a process stand still for a while."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)
