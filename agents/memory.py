"""What an agent remembers when it begins a step, as plain values; `AgentSpec.memory` says how much.

Each level holds the one before: nothing, the earlier tries of the step, what other steps of the
run found, what was said before in the thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import JsonValue

from agents.domain import Answer
from agents.wording import one_line

LEVELS = ("none", "step", "run", "thread")
MAX_SUMMARY_CHARS = 600
MAX_CLAIMS = 8
MAX_EVIDENCE_IDS = 8
WINDOW = 5
"""How many earlier runs of the thread are remembered as they were; older ones are summarised."""
SUMMARY_KEYS = ("headline", "summary", "text", "reply")


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another step of the run that has ended: what it came to, and its evidence."""

    title: str
    status: str
    summary: str
    evidence_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """A run of the same thread that has ended; its evidence is cited as `<run>/<evidence>`."""

    run_id: str
    goal: str
    headline: str
    summary: str = ""
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What an agent is told of the past.

    `done` are writes of this step that were already made, `conversation` is what colleagues said
    before they handed the step on: both are told whatever the agent's memory is.
    """

    tries: int = 0
    last_error: str = ""
    siblings: tuple[Sibling, ...] = ()
    older: str = ""
    earlier: tuple[EarlierRun, ...] = ()
    done: tuple[str, ...] = ()
    conversation: str = ""
    handed_by: str = ""
    handed_because: str = ""


def reaches(memory: str, level: str) -> bool:
    """Return whether a memory holds that level."""
    return LEVELS.index(memory) >= LEVELS.index(level)


def summary(output: JsonValue) -> str:
    """Return an output in one paragraph: its own words for it, else the beginning of its JSON."""
    if isinstance(output, str):
        return one_line(output, MAX_SUMMARY_CHARS)
    if isinstance(output, dict):
        said = [str(output[key]) for key in SUMMARY_KEYS if isinstance(output.get(key), str)]
        if any(said):
            return one_line(" ".join(said), MAX_SUMMARY_CHARS)
    return one_line(json.dumps(output, ensure_ascii=False), MAX_SUMMARY_CHARS)


def earlier_run(run_id: str, goal: str, answer: Answer) -> EarlierRun:
    """Return what is remembered of a run with that answer; struck claims are forgotten."""
    claims = [
        f"{one_line(claim.text, MAX_SUMMARY_CHARS)}{_cited(run_id, claim.cites)}"
        for claim in answer.claims
        if not claim.is_struck
    ]
    return EarlierRun(
        run_id=run_id,
        goal=one_line(goal, MAX_SUMMARY_CHARS),
        headline=one_line(answer.headline, MAX_SUMMARY_CHARS),
        summary=one_line(answer.summary, MAX_SUMMARY_CHARS),
        claims=tuple(claims[:MAX_CLAIMS]),
    )


def _cited(run_id: str, cites: Iterable[object]) -> str:
    ids = dict.fromkeys(str(getattr(cite, "evidence_id", "")) for cite in cites)
    named = [one if "/" in one else f"{run_id}/{one}" for one in ids if one]
    return f" [{', '.join(named)}]" if named else ""
