"""What a conversation says, as the rules need it: who speaks, about what, and what tools gave."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from tests.model_server import Asked, Reply, call
from tests.model_server.asked import text_of

EVIDENCE = "evidence_id: "
RULES = "What our rules make of it"
GIVEN = "What you are given:"
EARLIER = "## Earlier in this thread"
_GOAL = re.compile(r"^From [^\n]+:\n+(?:<<data \w+>>\n)?(.+)", re.MULTILINE)
_CITE = re.compile(r'^- cite (\S+): "(.+)"(?: \((.+)\))?$', re.MULTILINE)
_HEADING = re.compile(r"^### (\S+): .+ \((\S+)\): (\w+)(, not begun)?$", re.MULTILINE)
_SYSTEM = re.compile(r"You are (.+?), (?:one agent|the supervisor) of ")
_STEP = re.compile(r"^Your step: (.+)$", re.MULTILINE)
_MESSAGE = re.compile(r"^Somebody wrote in the thread.*\n<<data \w+>>\n(.+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """What one tool call gave."""

    tool: str
    evidence_id: str
    text: str

    def line(self, *words: str) -> str:
        """Return the first line that has all these words; empty when none has."""
        lines = (line.strip() for line in self.text.splitlines())
        return next((line for line in lines if all(word in line for word in words)), "")


@dataclass(frozen=True, slots=True)
class Quoted:
    """Words of a piece of evidence, with what was claimed by them."""

    evidence_id: str
    quote: str
    text: str

    @property
    def claim(self) -> dict[str, JsonValue]:
        """The same as a claim of an output."""
        return claim(self.text or self.quote, self.evidence_id, self.quote)


@dataclass(frozen=True, slots=True)
class Told:
    """A step as its supervisor is told of it."""

    name: str
    who: str
    status: str
    has_begun: bool


def speaker(asked: Asked) -> str:
    """Return the title of the agent that the model speaks for; empty for other calls."""
    match = _SYSTEM.match(asked.system.strip())
    return match[1] if match else ""


def step_title(asked: Asked) -> str:
    """Return the title of the agent's step."""
    match = _STEP.search(_opening(asked))
    return match[1].strip() if match else ""


def goal(asked: Asked) -> str:
    """Return the goal that a supervisor looks at."""
    match = _GOAL.search(asked.text)
    return match[1].strip() if match else ""


def given(asked: Asked) -> dict[str, Any]:
    """Return the inputs of an agent's step."""
    return _object_after(_opening(asked), GIVEN)


def rules(asked: Asked) -> dict[str, Any]:
    """Return what the agent's runbook made of what it gathered; empty when it has not."""
    return _object_after(_opening(asked), RULES)


def found(asked: Asked, tool: str) -> Found | None:
    """Return what the latest call of a tool gave; None when it was not called."""
    names = {
        request["id"]: str(request["function"]["name"]).replace("__", ".")
        for message in asked.messages
        for request in message.get("tool_calls") or []
    }
    results = [
        (names.get(message["tool_call_id"], ""), text_of(message))
        for message in asked.messages
        if message["role"] == "tool"
    ]
    for name, text in reversed(results):
        if name == tool:
            first, _, rest = text.partition("\n")
            evidence_id = first.removeprefix(EVIDENCE) if first.startswith(EVIDENCE) else ""
            return Found(name, evidence_id, rest if evidence_id else text)
    return None


def quoted(text: str) -> list[Quoted]:
    """Return everything that a supervisor may cite from this part of what it is told."""
    return [Quoted(one[1], one[2], one[3] or "") for one in _CITE.finditer(text)]


def earlier(asked: Asked) -> str:
    """Return what was asked and answered before in the thread; empty when nothing was."""
    return asked.text.partition(EARLIER)[2].partition("## Steps")[0]


def steps(asked: Asked) -> list[Told]:
    """Return the steps that a supervisor is told of."""
    return [Told(one[1], one[2], one[3], not one[4]) for one in _HEADING.finditer(asked.text)]


def block(asked: Asked, name: str) -> str:
    """Return what a supervisor is told of one step."""
    return asked.text.partition(f"\n### {name}: ")[2].partition("\n### ")[0]


def message(asked: Asked) -> str:
    """Return what somebody wrote in the thread; empty when nobody did."""
    match = _MESSAGE.search(asked.text)
    return match[1] if match else ""


def claim(text: str, evidence_id: str, quote: str) -> dict[str, JsonValue]:
    """Return one sentence with the words that show it."""
    return {"text": text, "cites": [{"evidence_id": evidence_id, "quote": quote}]}


def submit(value: dict[str, JsonValue]) -> Reply:
    """Hand in an output."""
    return call("submit", **value)


def _opening(asked: Asked) -> str:
    """Return the agent's first message about its step."""
    users = [text_of(one) for one in asked.messages if one["role"] == "user"]
    return users[0] if users else ""


def _object_after(text: str, words: str) -> dict[str, Any]:
    """Return the first JSON object that stands at a line's beginning behind these words."""
    start = text.find("\n{", text.find(words)) + 1 if words in text else 0
    if not start:
        return {}
    value, _ = json.JSONDecoder().raw_decode(text[start:])
    return value if isinstance(value, dict) else {}
