"""One model for the whole demo shop, in the form that `python -m tests.model_server` takes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.model_server import Asked, Reply, failure, say
from tests.scenarios.rules import planner, reading
from tests.scenarios.rules.analysts import AGENTS

PLAN, REVIEW, ANSWER = "plan", "review", "answer"
_LOOKS: dict[str, Callable[[Asked], Reply]] = {
    PLAN: planner.plan,
    REVIEW: planner.review,
    ANSWER: planner.answer,
}


@dataclass(slots=True)
class ShopModel:
    """The rule; a test may hold back what is said at a cue until it has looked at the page.

    A cue is a kind of look of the supervisor, or the title of a step.
    """

    holds: dict[str, threading.Event] = field(default_factory=dict)

    def hold(self, cue: str) -> threading.Event:
        """Say nothing at this cue until the event that is returned is set."""
        self.holds[cue] = threading.Event()
        return self.holds[cue]

    def let_go(self) -> None:
        """Hold nothing back any more."""
        for event in self.holds.values():
            event.set()

    def __call__(self, asked: Asked) -> Reply:
        """Answer whoever is asked."""
        cue = look(asked) or reading.step_title(asked)
        return replace(_say(asked), until=self.holds.get(cue))


def look(asked: Asked) -> str:
    """Return which look of a supervisor this is; empty when an agent works."""
    names = set((asked.schema or {}).get("properties", {}))
    if "workflow" in names:
        return PLAN
    if "dropped" in names:
        return REVIEW
    return ANSWER if "include" in names else ""


def _say(asked: Asked) -> Reply:
    if found := look(asked):
        return _LOOKS[found](asked)
    title = reading.speaker(asked)
    if not title:
        return say("ok")
    if title in AGENTS:
        return AGENTS[title](asked)
    return failure(400, f"nobody plays the {title}")


answer = ShopModel()
