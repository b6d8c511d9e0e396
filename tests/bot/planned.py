"""Runs that a supervisor plans, as values: agents, and random nested runs for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from agents.domain import Goal, Moment, Origin, Plan, Step, ThreadRef
from agents.tool import Toolbox
from bot.present import Presenter
from config.contents import Catalogue
from config.specs import AgentSpec, MatchSpec, ReportSpec, RunbookSpec, StepSpec, WorkflowSpec
from jobs import commands as c
from jobs.commands import Refused
from jobs.run import apply_all, begin, decide, start
from jobs.state import TERMINAL, Person, Question, Run, Status, StepState

NOW = 1_763_640_000.0
ALICE = Person("console:alice", "Alice", frozenset({"oncall"}))
GOAL_TEXT = "find out why p95 of checkout doubled since noon, and draft an update for customers"
GOAL = Goal(
    text=GOAL_TEXT,
    requester_id=ALICE.id,
    requester_name=ALICE.name,
    origin=Origin.MESSAGE,
    thread=ThreadRef("console", "incidents", "t1"),
)
ROOT = "goal"


def agent(name: str, title: str, **fields: Any) -> AgentSpec:
    """Return an agent that works with a model."""
    return AgentSpec(name=name, title=title, description=f"{title}.", model="smart", **fields)


AGENTS = {
    spec.name: spec
    for spec in (
        agent("supervisor", "Supervisor", supervises=True),
        agent("comms-lead", "Communications lead", supervises=True),
        agent("metrics-analyst", "Metrics analyst"),
        agent("log-analyst", "Log analyst"),
        agent("release-analyst", "Release analyst"),
        agent("triage", "Triage", handoffs=("billing",)),
        agent("billing", "Billing"),
        agent("writer", "Writer"),
        AgentSpec(
            name="clerk",
            title="Clerk",
            description="Works without a model.",
            runbook=RunbookSpec(report=ReportSpec(output={"x": 1})),
        ),
    )
}
CATALOGUE = Catalogue(
    agents=AGENTS,
    workflows={
        "incident": WorkflowSpec(
            name="incident",
            title="Incident response",
            description="Finds out why a service misbehaves.",
            match=MatchSpec(keywords=("failing",), examples=("why is checkout failing?",)),
            steps=(StepSpec(id="metrics", agent="metrics-analyst"),),
            answer="metrics",
        )
    },
)
PRESENT = Presenter(CATALOGUE, Toolbox([]))


def root_step(agent_name: str = "supervisor") -> Step:
    """Return the only step of a run that is planned as it goes."""
    return Step(id=ROOT, title="The goal", agent=agent_name, instruction=GOAL_TEXT)


def planned(agent_name: str = "supervisor") -> Run:
    """Return such a run that has just begun."""
    plan = Plan(workflow="", steps=(root_step(agent_name),), answer=ROOT)
    happened = start("run-1", c.StartRun(GOAL, plan), NOW)
    return apply_all(begin("run-1", happened[0]), happened[1:])  # type: ignore[arg-type]


def child(parent: str, name: str, title: str, agent_name: str, **fields: Any) -> Step:
    """Return a step that a supervisor planned; needs are given by their short names."""
    needs = tuple(f"{parent}.{need}" for need in fields.pop("needs", ()))
    return Step(
        id=f"{parent}.{name}",
        title=title,
        agent=agent_name,
        parent=parent,
        needs=needs,
        is_reviewed=False,
        **fields,
    )


def send(run: Run, *commands: c.Command, after_s: float = 1.0) -> Run:
    """Return the run after the commands."""
    for command in commands:
        run = apply_all(run, decide(run, command, NOW + after_s))
    return run


def take(run: Run, *steps: str) -> Run:
    """Return the run with the steps taken."""
    return send(run, *(c.StartStep(s, run.steps[s].attempt, "w1") for s in steps))


def finish(run: Run, step: str, output: Any = None) -> Run:
    """Return the run with the step taken and succeeded."""
    run = take(run, step)
    return send(run, c.FinishStep(step, run.steps[step].attempt, output))


def revise(run: Run, step: str, *steps: Step, reason: str = "to begin", **fields: Any) -> Run:
    """Return the run after a supervising step was taken and planned."""
    run = take(run, step)
    return send(run, c.RevisePlan(step, run.steps[step].attempt, reason, steps=steps, **fields))


@st.composite
def nested_runs(draw: st.DrawFn) -> Run:
    """Return a run that supervisors planned at random, however far it has come."""
    run = planned(draw(st.sampled_from(["supervisor", "clerk", "gone"])))
    for number in range(draw(st.integers(0, 25))):
        going = [key for key, state in run.steps.items() if state.status not in TERMINAL]
        if not going or run.is_over:
            break
        key = draw(st.sampled_from(going))
        try:
            run = send(run, _move(draw, run, key, number), after_s=float(number))
        except Refused:
            continue
    return run


def _move(draw: st.DrawFn, run: Run, key: str, number: int) -> c.Command:
    state = run.steps[key]
    attempt = state.attempt
    if state.status is Status.QUEUED:
        return c.StartStep(key, attempt, "w")
    if state.status is not Status.RUNNING or state.is_waiting_for_children:
        return _from_outside(draw, run, number)
    reason = draw(st.text(max_size=20))
    moves: list[c.Command] = [
        c.FinishStep(key, attempt, {"replan": reason}),
        c.FailStep(key, attempt, reason),
        c.NoteStep(key, attempt, reason),
        c.HandOff(key, attempt, "billing", reason),
        c.NoteTurn(key, attempt, f"t{number}", "triage", reason, cost_usd=None),
        c.AskQuestion(key, attempt, Question(f"q{number}", key, reason, kind="input")),
        _plan(draw, state, key, attempt, reason),
        _plan(draw, state, key, attempt, reason),
    ]
    return draw(st.sampled_from(moves))


def _plan(draw: st.DrawFn, state: StepState, key: str, attempt: int, reason: str) -> c.RevisePlan:
    names = [f"s{len(state.children) + n}" for n in range(draw(st.integers(1, 4)))]
    steps = []
    for place, name in enumerate(names):
        is_last = draw(st.booleans())
        needs = names[:place] if is_last else []
        who = draw(st.sampled_from(["triage", "comms-lead", "gone"]))
        each = draw(st.sampled_from(["", "", "[1, 2]"]))
        steps.append(child(key, name, reason, who, needs=needs, for_each=each))
    dropped = tuple(draw(st.lists(st.sampled_from(state.children or ("x",)), max_size=1)))
    return c.RevisePlan(key, attempt, reason, steps=tuple(steps), dropped=dropped)


def _from_outside(draw: st.DrawFn, run: Run, number: int) -> c.Command:
    opened = [one.id for one in run.questions.values() if one.is_open]
    is_answered: bool = draw(st.booleans())
    if opened and is_answered:
        return c.AnswerQuestion(opened[0], ALICE, "here")
    if draw(st.integers(0, 9)) == 0:
        return c.StopRun(ALICE)
    return c.Signal(Moment(NOW + number, "and the other one?", "message"))
