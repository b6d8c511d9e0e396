"""Plans and commands that tests of the run share."""

from __future__ import annotations

from typing import Any

from agents.domain import Goal, Origin, Plan, Step, ThreadRef
from jobs import commands as c
from jobs.run import apply_all, begin, decide, start
from jobs.state import Approval, Person, ProposedCall, Run, Terms

NOW = 1_000.0
GOAL = Goal(
    text="why is checkout failing?",
    requester_id="console:rae",
    requester_name="Rae",
    origin=Origin.MESSAGE,
    thread=ThreadRef("console", "incidents", "t-1"),
)
ALICE = Person("console:alice", "Alice", frozenset({"oncall"}))
BOB = Person("console:bob", "Bob", frozenset({"oncall"}))
STRANGER = Person("console:sam", "Sam", frozenset({"sales"}))
ONCALL = Terms(groups=("oncall",), expires_at=NOW + 600)


def step(step_id: str, **fields: Any) -> Step:
    """Return a step that calls a tool."""
    return Step(**{"id": step_id, "title": step_id.title(), "tool": "test.tool", **fields})


def plan(*steps: Step, answer: str = "") -> Plan:
    """Return a plan whose last step answers, unless another is named."""
    return Plan(workflow="test", steps=steps, answer=answer or steps[-1].id)


def started(a_plan: Plan, now: float = NOW) -> Run:
    """Return a run that has just begun."""
    happened = start("run-1", c.StartRun(GOAL, a_plan), now)
    return apply_all(begin("run-1", happened[0]), happened[1:])  # type: ignore[arg-type]


def send(run: Run, command: c.Command, now: float = NOW) -> Run:
    """Return the run after the command."""
    return apply_all(run, decide(run, command, now))


def take(run: Run, step_id: str, worker: str = "w1") -> Run:
    """Return the run with the step taken by a worker."""
    return send(run, c.StartStep(step_id, run.steps[step_id].attempt, worker))


def finish(run: Run, step_id: str, output: Any = None) -> Run:
    """Return the run with the step taken and succeeded."""
    run = take(run, step_id)
    return send(run, c.FinishStep(step_id, run.steps[step_id].attempt, output))


def fail(run: Run, step_id: str, error: str = "boom") -> Run:
    """Return the run with the step taken and failed."""
    run = take(run, step_id)
    return send(run, c.FailStep(step_id, run.steps[step_id].attempt, error))


def rollback_approval(run: Run, step_id: str, terms: Terms = ONCALL, calls: int = 1) -> Approval:
    """Return the approval of one rollback or several."""
    return Approval(
        id=f"ap-{run.id}-{step_id}",
        step_id=step_id,
        calls=tuple(
            ProposedCall(
                f"{step_id}/call{n}",
                "service.rollback",
                {"service": "checkout", "release": f"a{n}"},
            )
            for n in range(calls)
        ),
        terms=terms,
        requested_at=NOW,
        title="Roll back checkout",
    )


def asked(run: Run, step_id: str, terms: Terms = ONCALL, calls: int = 1) -> tuple[Run, Approval]:
    """Return the run with the step waiting for an approval, and the approval."""
    run = take(run, step_id)
    approval = rollback_approval(run, step_id, terms, calls)
    attempt = run.steps[step_id].attempt
    return send(run, c.RequestApproval(step_id, attempt, approval)), approval


def approve(approval: Approval, person: Person = ALICE, **fields: Any) -> c.Decide:
    """Return the click on Approve for what the approval shows now."""
    return c.Decide(
        **{
            "approval_id": approval.id,
            "person": person,
            "is_approval": True,
            "revision": approval.revision,
            "digest": approval.digest,
            **fields,
        }
    )
