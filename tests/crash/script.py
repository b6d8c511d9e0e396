"""What the model of the thinking tale says: by rules, so that a repeated call hears the same again.

A supervisor plans two steps; one of them asks a person and finds what changes the picture, so the
plan is revised; an agent then acts twice; the supervisor sums up.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from tests.crash.world import SERVICE
from tests.model_server import Asked, Reply, call, calls, failure, output

STEP = "solve"
SUPERVISOR, READER, WATCHER, MENDER = (
    "crash-supervisor",
    "crash-reader",
    "crash-watcher",
    "crash-mender",
)
RELEASE = "0123456"
QUESTION = "Which release was right?"
_STEPS = {READER: "look", WATCHER: "watch", MENDER: "mend"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the model: whose it is, and under which key (a pattern) its step keeps it."""

    step_id: str
    key: str
    reply: Reply

    @property
    def name(self) -> str:
        """What tells the line from all others of the tale."""
        return f"{self.step_id} {self.key}"

    def is_kept_as(self, key: str) -> bool:
        """Say whether a journal's entry of that key is this line."""
        return re.fullmatch(rf"{self.key}#\d+", key) is not None


def line(asked: Asked) -> Line:
    """Return the line that answers a call."""
    schema = asked.schema
    if schema is not None:
        return _supervisor(schema.get("properties", {}))
    agent = next((name for name in _STEPS if _title(name) in asked.system), "")
    replies = _LINES.get(agent, ())
    reply = replies[asked.turn] if asked.turn < len(replies) else failure(400, "no such line")
    key = f"{agent}/turn-{asked.turn + 1}"
    return Line(f"{STEP}.{_STEPS.get(agent, '')}", key, reply)


def _title(name: str) -> str:
    return f"You are {name.replace('-', ' ').capitalize()},"


def _supervisor(properties: dict[str, Any]) -> Line:
    if "include" in properties:
        return Line(STEP, rf"{SUPERVISOR}/synthesis-[\d-]+", output(_ANSWER))
    if "workflow" in properties:
        return Line(STEP, f"{SUPERVISOR}/plan-1", output(_PLAN))
    return Line(STEP, rf"{SUPERVISOR}/plan-[2-9][\d-]*", output(_REVIEW))


def _step(step_id: str, agent: str, *needs: str) -> JsonValue:
    text = f"Do what is needed for {SERVICE}."
    return {
        "id": step_id,
        "title": step_id.title(),
        "agent": agent,
        "instruction": text,
        "needs": list(needs),
    }


_PLAN: JsonValue = {
    "decision": "plan",
    "reason": "Two independent looks tell most.",
    "steps": [_step("look", READER), _step("watch", WATCHER)],
}
_REVIEW: JsonValue = {
    "decision": "revise",
    "reason": "A release broke it, so it has to be mended.",
    "steps": [_step("mend", MENDER, "look")],
}
_ANSWER: JsonValue = {
    "headline": "The shop was rolled back and restarted.",
    "finding": "fixed",
    "summary": "A release had broken it.",
}
_SERVICE: dict[str, JsonValue] = {"service": SERVICE}
_ERRORS: dict[str, JsonValue] = {**_SERVICE, "contains": "ERROR"}
_LINES: dict[str, tuple[Reply, ...]] = {
    READER: (
        calls(("logs__search", _ERRORS), ("alerts__related", _SERVICE)),
        call("ask_person", question=QUESTION, options=[RELEASE, "none"]),
        call("submit", summary="It has errors.", replan="A release has to be rolled back."),
    ),
    WATCHER: (
        call("alerts__related", **_SERVICE),
        call("submit", summary="An alert fires."),
    ),
    MENDER: (
        call("service__rollback", **_SERVICE, release=RELEASE, reason="It was right."),
        call("service__restart", **_SERVICE, reason="It runs the old release then."),
        call("logs__search", **_ERRORS),
        call("submit", summary="It was rolled back and restarted."),
    ),
}
