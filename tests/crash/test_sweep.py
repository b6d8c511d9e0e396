"""The short crash-point sweep: a process killed at a write changes nothing of the ending."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bot.cli.stack import ROOT

LIMIT_S = 240


@pytest.mark.parametrize("victim", ["worker", "bot"])
def test_killing_at_a_write_changes_no_ending(victim: str) -> None:
    """Wherever the process dies: one effect each, one answer, one card, and nothing left over."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.crash.sweep", "--short", "--victim", victim],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )

    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.splitlines()[-1].endswith("violations: 0")
