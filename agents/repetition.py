"""Notices an agent that goes in circles: it is told once, then stopped."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum

from agents.domain import JsonObject

SAME_CALLS = 2
"""How often the same reading call with the same arguments may run."""
IDLE_TURNS = 4
"""How many turns in a row may bring nothing new."""


class Again(StrEnum):
    """What to do with a call, given how often it was made before."""

    RUN = "run"
    TELL = "tell"
    STOP = "stop"


class Repetition:
    """What one agent did so far. It knows no clock and no chance: a takeover counts the same."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._seen: set[str] = set()
        self._idle = 0
        self._was_told = False

    def ask(self, name: str, args: JsonObject, *, acts_once: bool) -> Again:
        """Count a call of this turn and say whether it may run.

        `acts_once`: what changes something, or asks a person, is not done twice.
        """
        key = call_key(name, args)
        self._counts[key] = count = self._counts.get(key, 0) + 1
        if count > SAME_CALLS + 1:
            return Again.STOP
        return Again.TELL if count > (1 if acts_once else SAME_CALLS) else Again.RUN

    def is_new(self, text: str) -> bool:
        """Whether a result says something that no result said before."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        is_new = digest not in self._seen
        self._seen.add(digest)
        return is_new

    def end_turn(self, *, is_progress: bool) -> Again:
        """Count a turn; TELL once when too many in a row brought nothing, later STOP."""
        self._idle = 0 if is_progress else self._idle + 1
        if self._idle < IDLE_TURNS:
            return Again.RUN
        if self._was_told:
            return Again.STOP
        self._was_told = True
        return Again.TELL


def call_key(name: str, args: JsonObject) -> str:
    """Return what makes two calls the same: tool and arguments."""
    return f"{name} {json.dumps(args, sort_keys=True, ensure_ascii=False)}"
