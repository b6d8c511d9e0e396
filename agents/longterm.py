"""What outlives a run: facts that people let in, and the answers of past runs. Pure.

A fact weighs less the older it is and the more often it was contradicted; it is never deleted for
being wrong, so that whoever finds it sees the doubt too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.ranking import ranked
from agents.wording import duration, one_line
from config.specs import AgentSpec

SEARCH, KEEP, DOUBT = "memory.search", "memory.keep", "memory.doubt"
HALF_LIFE_S = 90 * 86_400.0
"""After this time a fact that nobody confirmed weighs half."""
DOUBTED = 0.5
"""What is left of a fact's weight after each contradiction."""
MAX_SHOWN_CHARS = 600


@dataclass(frozen=True, slots=True)
class Doubt:
    """Somebody found a fact contradicted. `id` makes sending it twice harmless."""

    id: str
    why: str
    run_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Fact:
    """Something worth knowing in later runs. `source` is `<run>/<evidence>`."""

    id: str
    text: str
    source: str
    run_id: str
    at: float
    confidence: float = 0.7
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """A run that has ended, as far as later ones may learn from it.

    `platform` and `channel` say where it reported, and so who could read its answer.
    """

    run_id: str
    goal: str
    headline: str
    at: float
    summary: str = ""
    claims: tuple[str, ...] = ()
    platform: str = ""
    channel: str = ""
    is_from_alert: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """Something found: a line that says what, from where and how old, and how well it fits."""

    id: str
    line: str
    score: float


class MemoryBook(Protocol):
    """Where facts are kept; `jobs.memory_book` has the twins under one contract."""

    async def keep(self, fact: Fact) -> None:
        """Keep a fact; the same id again changes nothing. Beyond MAX_FACTS the weakest goes."""

    async def doubt(self, fact_id: str, doubt: Doubt) -> bool:
        """Note that a fact was contradicted, once for each doubt's id; False: no such fact."""

    async def facts(self) -> list[Fact]:
        """Return all facts with their doubts, oldest first."""

    async def forget(self, fact_id: str) -> None:
        """Remove a fact and its doubts."""


class PastRuns(Protocol):
    """Where past runs are read."""

    async def past(self, run_id: str) -> list[Past]:
        """Return what the run of that id may recall of others that ended, newest first.

        See `may_recall`.
        """

    async def has_evidence(self, run_id: str, evidence_id: str) -> bool:
        """Return whether a run has that evidence."""


def tools_of(agent: AgentSpec) -> tuple[str, ...]:
    """Return the tools that an agent may use: those in its YAML, and those of its memory."""
    extra = (SEARCH, KEEP, DOUBT) if agent.long_term else ()
    return tuple(dict.fromkeys((*agent.tools, *extra)))


def may_recall(past: Past, platform: str, channel: str) -> bool:
    """Return whether a run that reports in that channel may know of a past one.

    It may when its readers could read it then, because it reported in the same channel, or when
    alerts started it: in which channel those are told is for the configuration to say.
    """
    return past.is_from_alert or (past.platform, past.channel) == (platform, channel)


def weight(fact: Fact, now: float) -> float:
    """Return how much a fact counts, from 0 to its confidence."""
    age_s = max(0.0, now - fact.at)
    return float(fact.confidence * 0.5 ** (age_s / HALF_LIFE_S) * DOUBTED ** len(fact.doubts))


def weakest(facts: Sequence[Fact], now: float) -> Fact:
    """Return the fact that counts least; the oldest of equals. There must be one."""
    return min(facts, key=lambda fact: (weight(fact, now), fact.at))


def search(
    query: str, facts: Sequence[Fact], past: Sequence[Past], now: float, limit: int
) -> list[Hit]:
    """Return what fits the query best, facts and past runs together."""
    texts = [fact.text for fact in facts]
    texts += [" ".join((run.goal, run.headline, run.summary, *run.claims)) for run in past]
    hits: list[Hit] = []
    for place, score in ranked(query, texts, len(texts)):
        if place < len(facts):
            fact = facts[place]
            hits.append(Hit(fact.id, _fact_line(fact, now), score * weight(fact, now)))
            continue
        run = past[place - len(facts)]
        faded = 0.5 ** (max(0.0, now - run.at) / HALF_LIFE_S)
        hits.append(Hit(run.run_id, _past_line(run, now), score * faded))
    hits.sort(key=lambda hit: -hit.score)
    return hits[:limit]


def _fact_line(fact: Fact, now: float) -> str:
    doubted = ""
    if fact.doubts:
        last = one_line(fact.doubts[-1].why, MAX_SHOWN_CHARS // 2)
        doubted = f", contradicted {len(fact.doubts)} times, last: {last}"
    return (
        f"{fact.id}: {one_line(fact.text, MAX_SHOWN_CHARS)} (a kept fact, {_age(now, fact.at)}, "
        f"from {fact.source}, weight {weight(fact, now):.2f}{doubted})"
    )


def _past_line(run: Past, now: float) -> str:
    said = one_line(" ".join((run.headline, run.summary, *run.claims)), MAX_SHOWN_CHARS)
    asked = one_line(run.goal, MAX_SHOWN_CHARS // 3)
    return f"{run.run_id}: {said} (the answer to {asked!r}, {_age(now, run.at)})"


def _age(now: float, at: float) -> str:
    return f"{duration(now - at)} ago"
