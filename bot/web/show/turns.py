"""The model calls of a run: who called which model for what, and what it took. No prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from jobs import events as e
from jobs.store import StoredEvent

PURPOSES = {
    "turn": "turn",
    "plan": "planning",
    "replan": "planning anew",
    "review": "review",
    "synthesis": "answer",
    "compaction": "summing up",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One model call. `cost` is in words, because a price may be unknown."""

    seq: int
    at: float
    step_id: str
    step: str
    agent: str
    model: str
    purpose: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: str
    duration_s: float
    note: str


def turns(
    stored: Iterable[StoredEvent],
    title: Callable[[str], str],
    agent_title: Callable[[str], str],
) -> list[Turn]:
    """Return the model calls, oldest first; `title` and `agent_title` name steps and agents."""
    return [
        Turn(
            seq=item.seq,
            at=item.event.at,
            step_id=item.event.step_id,
            step=title(item.event.step_id),
            agent=agent_title(item.event.agent),
            model=item.event.model,
            purpose=PURPOSES.get(item.event.purpose, item.event.purpose),
            input_tokens=item.event.input_tokens,
            cached_tokens=item.event.cached_tokens,
            output_tokens=item.event.output_tokens,
            cost=cost_text(item.event.cost_usd),
            duration_s=item.event.duration_s,
            note=item.event.note,
        )
        for item in stored
        if isinstance(item.event, e.TurnTaken)
    ]


def cost_text(cost_usd: float | None) -> str:
    """Return what a call cost; of some models nobody knows the price."""
    return "unknown" if cost_usd is None else f"${cost_usd:.4f}"
