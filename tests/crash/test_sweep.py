"""The short crash-point sweep: a process killed at a write changes nothing of the ending."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bot.cli.stack import ROOT
from tests.crash.tales import NAMES, THINKING

LIMIT_S = 240


def sweep(*options: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tests.crash.sweep", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


@pytest.mark.parametrize("tale", NAMES)
@pytest.mark.parametrize("victim", ["worker", "bot"])
def test_killing_at_a_write_changes_no_ending(tale: str, victim: str) -> None:
    """Wherever it dies: each effect and each finished model call once, one answer, no leftovers."""
    told = sweep("--short", "--tale", tale, "--victim", victim)

    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.splitlines()[-1].endswith("paid twice: 0, violations: 0")


def test_a_worker_that_forgets_replies_is_found() -> None:
    """The sweep can fail: who takes over without reading what was paid for is caught."""
    broken = ("--broken", "forgets-replies")
    told = sweep("--tale", THINKING, "--victim", "worker", "--points", "60", "100", *broken)

    assert told.returncode == 1, told.stdout + told.stderr
    assert "a finished model call was made again: solve" in told.stdout
    assert not told.stdout.splitlines()[-1].endswith("violations: 0")
