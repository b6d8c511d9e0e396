"""What a rehearsed run came to, in the terms that expectations are written in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pydantic import ValidationError

from agents.domain import Answer, Finding, JsonObject
from agents.findings import Ranking
from jobs.rehearsal import Rehearsal
from jobs.state import CallStatus, Run, Spent

CAUSE_FOUND = frozenset({Finding.CAUSE_FOUND, Finding.FIXED})
"""Findings of answers that name a cause."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause that is named as the one; empty fields are not told."""

    kind: str = ""
    service: str = ""
    release: str = ""
    words: str = ""
    """What was said, when the cause is in words only."""


@dataclass(frozen=True, slots=True)
class Act:
    """A writing call."""

    tool: str
    args: JsonObject


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one trial ended. Without a run, `sentence` says why there was none."""

    status: str = ""
    sentence: str = ""
    is_cut_off: bool = False
    answer: Answer | None = None
    words: str = ""
    """All that the answer says, but for claims that were struck."""
    causes: tuple[Cause, ...] = ()
    cited: frozenset[str] = frozenset()
    """Tools whose evidence is cited by claims that hold."""
    asked: tuple[str, ...] = ()
    proposed: tuple[Act, ...] = ()
    done: tuple[Act, ...] = ()
    spent: Spent = field(default_factory=Spent)
    models: tuple[str, ...] = ()
    duration_s: float = 0.0

    @property
    def has_run(self) -> bool:
        """Whether a run was started at all."""
        return bool(self.status)

    @property
    def cost_usd(self) -> float | None:
        """What it cost; None when the price of a model is not known."""
        return None if self.spent.has_unknown_cost else self.spent.cost_usd


def turned_away(sentence: str) -> Outcome:
    """Return the outcome of a goal or alert that started no run."""
    return Outcome(sentence=sentence)


def outcome_of(rehearsal: Rehearsal) -> Outcome:
    """Read the outcome from the run and its evidence."""
    run, answer = rehearsal.run, rehearsal.run.answer
    held = [claim for claim in answer.claims if not claim.is_struck] if answer else []
    cited = {
        rehearsal.evidence[cite.evidence_id].tool
        for claim in held
        for cite in claim.cites
        if cite.evidence_id in rehearsal.evidence
    }
    calls = list(run.calls.values())
    proposed = [
        Act(call.tool, call.args) for one in run.approvals.values() for call in one.calls
    ] + [Act(call.tool, call.args) for call in calls]
    return Outcome(
        status=run.status.value,
        sentence=_failure(run),
        is_cut_off=rehearsal.is_cut_off,
        answer=answer,
        words=_words(answer) if answer else "",
        causes=tuple(_causes(run)),
        cited=frozenset(cited),
        asked=tuple(question.text for question in run.questions.values()),
        proposed=tuple(proposed),
        done=tuple(
            Act(call.tool, call.args) for call in calls if call.status is CallStatus.SUCCEEDED
        ),
        spent=_spent(run),
        models=run.models,
        duration_s=rehearsal.duration_s,
    )


def _causes(run: Run) -> Iterator[Cause]:
    """Yield the causes that steps ranked first, else the one that the answer tells in words."""
    rankings = [
        ranking
        for state in run.steps.values()
        if (ranking := _ranking(state.output)) is not None and ranking.status == "cause_found"
    ]
    for ranking in rankings:
        for suspect in ranking.suspects[:1]:
            yield Cause(suspect.kind, suspect.service, suspect.release)
    answer = run.answer
    if answer is not None and answer.finding in CAUSE_FOUND and not rankings:
        yield Cause(words=_words(answer))


def _ranking(output: object) -> Ranking | None:
    if not (isinstance(output, dict) and {"status", "suspects", "service"} <= output.keys()):
        return None
    try:
        return Ranking.model_validate(output)
    except ValidationError:
        return None


def _words(answer: Answer) -> str:
    claims = (claim.text for claim in answer.claims if not claim.is_struck)
    parts = (answer.headline, answer.summary, *claims, *answer.actions, *answer.recommendations)
    return "\n".join((*parts, *answer.missing))


def _failure(run: Run) -> str:
    """Return the error of the first step that failed, if any did."""
    return next((state.error for state in run.steps.values() if state.error), "")


def _spent(run: Run) -> Spent:
    return sum((state.spent for state in run.steps.values()), Spent())
