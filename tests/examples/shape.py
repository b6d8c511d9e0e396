"""The shape of a run, read from its event log: who worked when on what, and who decided what.

Order and overlap are told by places in the log, never by the clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from agents.domain import Step
from jobs import events as e
from jobs.state import Approval, Question
from jobs.store import StoredEvent

ASKED, WAITS, PLANNED = "asked", "waits for approval", "planned"
SUCCEEDED, FAILED = "succeeded", "failed"


@dataclass(frozen=True, slots=True)
class Stretch:
    """An agent (or tool) at work on a step without a break, from one place of the log to another.

    `end` says why it stopped: it succeeded or failed, it planned, it asked, it handed over.
    """

    who: str
    step: str
    started: int
    ended: int
    end: str

    def overlaps(self, other: Stretch) -> bool:
        """Say whether each of the two started before the other ended."""
        return self.started < other.ended and other.started < self.ended


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what: a plan, a handover, an approval, an answer."""

    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Shape:
    """What happened in a run, without times. `skipped` are the steps that never worked."""

    stretches: tuple[Stretch, ...]
    decisions: tuple[Decision, ...]
    skipped: tuple[str, ...]

    @property
    def told(self) -> list[tuple[str, str, str]]:
        """Who worked on which step, and how it ended, in the order of their starts."""
        return [(one.who, one.step, one.end) for one in self.stretches]

    @property
    def decided(self) -> list[tuple[str, str]]:
        """Who decided what, in order."""
        return [(one.who, one.what) for one in self.decisions]

    def on(self, step: str) -> tuple[Stretch, ...]:
        """Return the work on one step; AssertionError when there was none."""
        found = tuple(one for one in self.stretches if one.step == step)
        assert found, f"nobody worked on {step}; there was work on {sorted(self.steps)}"
        return found

    @property
    def steps(self) -> frozenset[str]:
        """The steps that somebody worked on."""
        return frozenset(one.step for one in self.stretches)

    def are_in_line(self, *steps: str) -> bool:
        """Say whether each step began only after the one before it had ended."""
        return all(self.on(a)[-1].ended < self.on(b)[0].started for a, b in pairwise(steps))

    def is_held_by_one(self, step: str) -> bool:
        """Say whether nobody took the step up before whoever had it had let go of it."""
        return all(a.ended < b.started for a, b in pairwise(self.on(step)))

    def are_side_by_side(self, *steps: str) -> bool:
        """Say whether all of them were at work at the same time: each with each."""
        first = [self.on(step)[0] for step in steps]
        return all(a.overlaps(b) for a in first for b in first if a is not b)


def shape_of(log: Iterable[StoredEvent]) -> Shape:
    """Return the shape of a run that has ended."""
    reading = _Reading()
    for stored in log:
        reading.take(stored.seq, stored.event)
    return reading.shape()


@dataclass(slots=True)
class _Reading:
    """The log as far as it was read."""

    who: dict[str, str] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    asked: dict[str, Approval | Question] = field(default_factory=dict)

    def shape(self) -> Shape:
        """Return what was read; nothing may still be at work."""
        assert not self.open, f"still at work: {sorted(self.open)}"
        ordered = sorted(self.stretches, key=lambda one: one.started)
        return Shape(tuple(ordered), tuple(self.decisions), tuple(self.skipped))

    def take(self, seq: int, event: e.Event) -> None:
        """Read one event."""
        match event:
            case e.RunStarted():
                self._know(event.plan.steps)
            case e.StepExpanded():
                self._know(event.children)
            case e.StepQueued() if event.agent:
                self.who[event.step_id] = event.agent
            case e.StepStarted():
                self.open[event.step_id] = seq
            case e.PlanRevised():
                self._know(event.steps)
                self._end(seq, event.step_id, PLANNED)
                self._decide(self.who[event.step_id], _planned(event))
            case e.StepHandedOff():
                self._end(seq, event.step_id, f"handed to {event.to}")
                self._decide(event.source, f"hands {event.step_id} to {event.to}")
            case e.QuestionAsked(question=asked):
                self.asked[asked.id] = asked
                self._end(seq, asked.step_id, ASKED)
            case e.QuestionAnswered():
                step = self.asked[event.question_id].step_id
                self._decide(event.by, f"answers {step}: {event.answer}")
            case e.ApprovalRequested(approval=asked):
                self.asked[asked.id] = asked
                self._end(seq, asked.step_id, WAITS)
            case e.ApprovalDecided():
                step = self.asked[event.approval_id].step_id
                self._decide(event.by, f"{event.status} {step}")
            case e.StepSucceeded():
                self._end(seq, event.step_id, SUCCEEDED)
            case e.StepFailed():
                self._end(seq, event.step_id, FAILED)
            case e.StepSkipped():
                self._end(seq, event.step_id, "skipped")
                if event.step_id not in {one.step for one in self.stretches}:
                    self.skipped.append(event.step_id)
            case e.StepRetried() | e.StepLost() | e.StepRequeued():
                self._end(seq, event.step_id, event.type)
            case _:
                pass

    def _know(self, steps: Iterable[Step]) -> None:
        self.who |= {step.id: step.agent or step.tool or "gate" for step in steps}

    def _end(self, seq: int, step: str, end: str) -> None:
        """Close a stretch; a step that only waited for its children has none to close."""
        started = self.open.pop(step, None)
        if started is not None:
            self.stretches.append(Stretch(self.who[step], step, started, seq, end))

    def _decide(self, who: str, what: str) -> None:
        self.decisions.append(Decision(who, what))


def _planned(event: e.PlanRevised) -> str:
    names = ", ".join(step.id for step in event.steps) or "nothing new"
    return f"chooses {event.workflow}: {names}" if event.workflow else f"plans {names}"
