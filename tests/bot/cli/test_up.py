"""`muster up` and the demo, as far as signals stop them."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from bot.cli.up import run_until_signal


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_cut_off_the_stopping(sign: signal.Signals) -> None:
    """Whoever presses Ctrl-C twice leaves nothing behind."""
    stopped: list[str] = []

    async def work() -> int:
        os.kill(os.getpid(), sign)
        try:
            await asyncio.Event().wait()
        finally:
            os.kill(os.getpid(), sign)
            for _ in range(3):
                await asyncio.sleep(0.01)
            stopped.append("all of it")
        return 1

    assert run_until_signal(work()) == 0
    assert stopped == ["all of it"]
