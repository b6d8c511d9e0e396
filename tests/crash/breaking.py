"""Faults built into this process and its children, to show that the sweep finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agents.domain import JsonObject
from jobs import calling
from jobs.journal import StepJournal
from jobs.state import Run
from jobs.store import Lease
from jobs.thinking import Thinking


class _Forgetful(StepJournal):
    """A journal that does not find the replies of an earlier attempt."""

    async def _stored(self) -> list[JsonObject]:
        return [entry for entry in await super()._stored() if "reply" not in entry]


def _forget_replies() -> None:
    """Let whoever takes a step over from a dead worker not look for the replies it had."""
    honest = Thinking.__init__

    def make(
        self: Thinking, runs: Any, run: Run, lease: Lease, journal: StepJournal, *rest: Any
    ) -> None:
        if run.steps[lease.step_id].losses:
            journal = _Forgetful(runs.store, lease)
        honest(self, runs, run, lease, journal, *rest)

    Thinking.__init__ = make  # type: ignore[method-assign,assignment]


def _act_again() -> None:
    """Let a call that was cut off run again although its command does not honour the key."""
    calling.honours_key = lambda *_: True


FAULTS: Mapping[str, Callable[[], None]] = {
    "forgets-replies": _forget_replies,
    "acts-again": _act_again,
}


def build_in(fault: str) -> None:
    """Build a fault in, for good."""
    FAULTS[fault]()
