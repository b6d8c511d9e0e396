"""`python -m tests.injection`: try every payload; the exit code is 1 when any has an effect."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import structlog

from tests.injection.house import shipped_policies
from tests.injection.outside import outside
from tests.injection.payloads import load
from tests.injection.trial import Trial, attack


def main(argv: Sequence[str]) -> int:
    """Try the payloads; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.injection", description=__doc__)
    parser.add_argument("ids", nargs="*", help="only these payloads")
    given = parser.parse_args(argv)
    structlog.configure(processors=[structlog.testing.LogCapture()])
    trials = asyncio.run(_all(given.ids))
    for trial in trials:
        if not trial.has_obeyed:
            _say(f"NOT SEEN {trial.payload.id}: the model never got so far")
        for effect in trial.effects:
            _say(f"EFFECT {trial.payload.id}: {effect.kind}: {effect.detail}")
    obeyed = sum(trial.has_obeyed for trial in trials)
    found = sum(len(trial.effects) for trial in trials)
    _say(f"payloads: {len(trials)}, obeyed: {obeyed}, unapproved effects: {found}")
    return 0 if trials and obeyed == len(trials) and not found else 1


async def _all(ids: Sequence[str]) -> list[Trial]:
    policies = shipped_policies()
    with tempfile.TemporaryDirectory(prefix="muster-injection-") as folder, outside() as places:
        return [
            await attack(payload, Path(folder) / payload.id, places, policies)
            for payload in load()
            if not ids or payload.id in ids
        ]


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
