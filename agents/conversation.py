"""What was said and found at a step before it was handed on, from the journal of its agents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from agents.wording import one_line

MAX_CHARS = 8_000
MAX_LINE_CHARS = 600
TURN_KIND = "turn"


@dataclass(frozen=True, slots=True)
class Leg:
    """One agent's part: `name` begins the keys of its journal entries, `suffix` ends them."""

    name: str
    agent: str
    suffix: str
    to: str
    reason: str


def conversation(
    legs: Iterable[Leg], entries: Mapping[str, Mapping[str, JsonValue]], others: Iterable[str] = ()
) -> str:
    """Return the legs as text, the newest last, the oldest left out when it is too long.

    `others` are lines for what the journal does not hold: writes, questions and their answers.
    """
    lines: list[str] = []
    for leg in legs:
        for key, entry in entries.items():
            if key.startswith(f"{leg.name}/") and key.endswith(leg.suffix):
                lines += _lines(leg.agent, entry)
        lines.append(f"{leg.agent} handed over to {leg.to}: {one_line(leg.reason, MAX_LINE_CHARS)}")
    lines += others
    kept: list[str] = []
    used = 0
    for line in reversed(lines):
        used += len(line) + 1
        if used > MAX_CHARS:
            kept.append("… what was said before is left out")
            break
        kept.append(line)
    return "\n".join(reversed(kept))


def _lines(agent: str, entry: Mapping[str, JsonValue]) -> list[str]:
    if entry.get("kind") == TURN_KIND:
        reply = entry.get("reply")
        text = str(reply.get("text") or "") if isinstance(reply, dict) else ""
        return [f"{agent}: {one_line(text, MAX_LINE_CHARS)}"] if text.strip() else []
    if "tool" not in entry:
        return []
    args = one_line(json.dumps(entry.get("args"), ensure_ascii=False), MAX_LINE_CHARS // 2)
    came_to = entry.get("error") or f"evidence {entry.get('evidence_id')}"
    return [f"{agent} called {entry['tool']} {args}: {one_line(str(came_to), MAX_LINE_CHARS // 2)}"]
