"""`muster up` and `muster serve`: start the stack, or the bot alone, and stop it cleanly."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Mapping
from typing import Any

from bot.access import LOCAL_PERSON, SERVER_FILE, SignIn, read_server, write_sign_in
from bot.address import port_problem
from bot.cli.stack import BAD_START, Stack, StackError
from config.catalogue import CatalogueError
from config.settings import Settings
from jobs.embedded import RedisStartError, StateDirInUseError, attach
from jobs.observe import configure_logging
from jobs.redis_binary import NoRedisBinaryError
from jobs.redis_check import check

NOT_NOW = 1
"""The exit code of what may work in a moment: `up` and other keepers of processes try again."""

LOOK_S = 0.1

CANNOT_START = (
    StateDirInUseError,
    RedisStartError,
    NoRedisBinaryError,
    StackError,
    CatalogueError,
)


def run_up(settings: Settings, environ: Mapping[str, str]) -> int:
    """Run everything until Ctrl-C; returns the exit code."""
    configure_logging(settings.log_level, as_json=settings.log_json)
    problem = port_problem(settings.host, settings.port) or catalogue_problem(settings)
    if problem:
        say(problem)
        return BAD_START
    return run_until_signal(_up(settings, environ))


async def _up(settings: Settings, environ: Mapping[str, str]) -> int:
    if settings.redis_url and not await redis_is_fit(settings.redis_url):
        return BAD_START
    sign_in = SignIn.new((LOCAL_PERSON,))
    before = _written_at(settings)
    async with Stack(settings, environ) as stack:
        write_sign_in(settings.state_dir, sign_in)
        telling = asyncio.create_task(_say_where(settings, sign_in, before))
        try:
            await stack.run()
        finally:
            telling.cancel()
    return 0


async def _say_where(settings: Settings, sign_in: SignIn, before: int) -> None:
    """Print the link once the bot listens: with MUSTER_PORT=0 nobody knows its port before."""
    while True:
        await asyncio.sleep(LOOK_S)
        server = read_server(settings.state_dir) if _written_at(settings) != before else None
        if server is not None:
            say(f"Muster is up; open {sign_in.link(settings.public_url or server.url)}")
            return


def _written_at(settings: Settings) -> int:
    """Return when a bot of this state directory last said where it is; 0 when none did."""
    try:
        return (settings.state_dir / SERVER_FILE).stat().st_mtime_ns
    except OSError:
        return 0


def run_serve(settings: Settings, environ: Mapping[str, str]) -> int:
    """Run the bot alone, on MUSTER_REDIS_URL or the Redis of a running `up`."""
    from bot.assembly import run_bot

    running = None if settings.redis_url else attach(settings.state_dir)
    url = settings.redis_url or (running.url if running else "")
    if not url:
        say("There is no Redis to work on: set MUSTER_REDIS_URL, or run `muster up`.")
        return BAD_START
    if not asyncio.run(redis_is_fit(url)):
        return NOT_NOW
    try:
        return run_bot(settings, environ, url)
    except CatalogueError as error:
        say(str(error))
        return BAD_START


def run_workers_alone(settings: Settings) -> int:
    """Run workers for a Redis that others share, once it is found fit."""
    from jobs.__main__ import main

    if settings.redis_url and not asyncio.run(redis_is_fit(settings.redis_url)):
        return NOT_NOW
    return main()


def run_until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Run `work` until it ends or Ctrl-C or SIGTERM cancels it; returns the exit code.

    A second signal must not cut off the stopping, or processes would be left behind. Make, for
    one, passes on to the demo what the whole group of processes got already.
    """

    async def supervised() -> int:
        task = asyncio.create_task(work)
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if not task.cancelling():
                task.cancel()

        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, stop)
        try:
            return await task
        except asyncio.CancelledError:
            return 0

    try:
        return asyncio.run(supervised())
    except CANNOT_START as error:
        say(str(error))
        return BAD_START


async def redis_is_fit(url: str) -> bool:
    """Say what is wrong with the configured Redis; False when it cannot be used."""
    found = await check(url)
    for problem in found:
        say(str(problem))
    return not any(problem.is_fatal for problem in found)


def catalogue_problem(settings: Settings) -> str:
    """Return what is wrong with the catalogue, before anything is started; empty when nothing."""
    from jobs.assembly import read_catalogue

    try:
        read_catalogue(settings)
    except CatalogueError as error:
        return str(error)
    return ""


def say(sentence: str) -> None:
    """Print a line for the person at the terminal."""
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()
