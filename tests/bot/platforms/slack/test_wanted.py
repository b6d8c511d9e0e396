"""Whoever does not use Slack does not carry its libraries."""

from __future__ import annotations

import subprocess
import sys

LOOK = (
    "import sys, bot.assembly; print([m for m in ('slack_bolt', 'slack_sdk') if m in sys.modules])"
)


def test_bot_without_slack_loads_none_of_it() -> None:
    """The process that serves console and alerts alone stays small."""
    seen = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)

    assert seen.stdout.strip() == "[]"
