"""What a supervising step is told of its run: what it may plan with, and how things stand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from agents.domain import Evidence, Step
from agents.fencing import nonce_of
from agents.planning import Scope
from agents.policy import Query, rule
from agents.registry import report_outputs, tool_schemas
from agents.supervising import Asked, Earlier, Quote, Situation, Summary, quotes_of, summary_of
from agents.tool import Effect
from agents.wording import one_line
from config.specs import MAX_STEPS, AgentSpec, Verdict, WorkflowSpec
from jobs import planning
from jobs.asking import TRUSTED_ORIGINS
from jobs.filling import instruction_of
from jobs.gates import STEP_TOOL
from jobs.patience import patiently
from jobs.state import TERMINAL, Question, Run, Status, StepState
from jobs.workbench import Workbench

MAX_EARLIER_TOLD = 5
MAX_GOAL_CHARS = 300
MAX_SUMMARY_CHARS = 600
QUESTION = "input"
"""The kind of a question that an agent asks because it wants to know something."""
_DEAD = frozenset({Status.FAILED, Status.SKIPPED, Status.CANCELLED})


def scope_of(bench: Workbench, run: Run) -> Scope:
    """Return what the supervising step may plan with, by the run as it is."""
    step, agent = bench.step, bench.agent
    state = run.steps[step.id]
    siblings = run.siblings(step.id)
    subplan = state.subplan
    inputs = run.goal.inputs if subplan is None or subplan.inputs is None else subplan.inputs
    may_plan = planning.depth(run, step.id) + 1 < planning.MAX_DEPTH
    return Scope(
        step_id=step.id,
        supervisor=agent.name,
        agents=bench.agents,
        team=team_of(bench, run, may_nest=may_plan),
        tools=tool_schemas(bench.toolbox),
        reports=report_outputs(),
        workflows={} if agent.team else _workflows(bench, run),
        world=bench.rules.world,
        steps=siblings,
        begun=frozenset(one.id for one in siblings if has_begun(run.steps[one.id])),
        failed=frozenset(one.id for one in siblings if run.steps[one.id].status in _DEAD),
        inputs=inputs,
        may_add=subplan is None or subplan.looks < planning.MAX_LOOKS,
        may_nest=may_plan,
        may_ask_before_steps=_may_ask_before_steps(bench, run),
        room=max(0, MAX_STEPS - len(run.steps)),
    )


def has_begun(state: StepState) -> bool:
    """Say whether a step is past changing."""
    return state.status is not Status.PENDING or state.attempt > 0


def team_of(bench: Workbench, run: Run, *, may_nest: bool) -> dict[str, AgentSpec]:
    """Return whom the supervisor may give steps: its team, as far as they can work now.

    Nobody gives work to those above: it would come back.
    """
    return _able(bench, run, bench.agent, may_nest=may_nest)


def team_of_reviewer(bench: Workbench, reviewer: AgentSpec) -> tuple[str, ...]:
    """Return whom a reviewer may give the step instead: of its team, who can do it now.

    Nobody judges their own work, so the reviewer cannot take it; what a supervisor sums up is
    not reviewed, so none may take it either.
    """
    able = _able(bench, bench.run, reviewer, may_nest=False)
    return tuple(name for name in able if name != bench.agent.name)


def _able(bench: Workbench, run: Run, giver: AgentSpec, *, may_nest: bool) -> dict[str, AgentSpec]:
    """Return who of an agent's team (without one: of all) can work now on this step's behalf."""
    model = bench.thinking.model
    above = {run.steps[key].agent for key in planning.above(run, bench.step.id)}
    return {
        name: one
        for name in giver.team or tuple(sorted(bench.agents))
        if (one := bench.agents.get(name)) is not None
        and name not in (giver.name, *above)
        and (one.runbook is not None or model.offers(one.model or ""))
        and (may_nest or not one.supervises)
    }


def _workflows(bench: Workbench, run: Run) -> dict[str, WorkflowSpec]:
    """Return the workflows that this step may choose: none that it is a part of itself."""
    plans = [run.steps[key].subplan for key in planning.above(run, bench.step.id)]
    taken = {run.plan.workflow, *(plan.workflow for plan in plans if plan is not None)}
    return {name: one for name, one in bench.workflows.items() if name not in taken}


def _may_ask_before_steps(bench: Workbench, run: Run) -> bool:
    query = Query(
        tool=STEP_TOOL,
        effect=Effect.WRITES,
        args={"step": bench.step.id, "workflow": run.plan.workflow},
        agent=bench.agent.name,
        requester=run.goal.requester_id,
    )
    return rule(bench.rules.policies, query).verdict is Verdict.ASK


async def situation_of(
    bench: Workbench,
    run: Run,
    *,
    news: tuple[str, ...] = (),
    messages: tuple[str, ...] = (),
    may_ask: bool = True,
) -> Situation:
    """Return what the supervisor is told now: the goal, its steps, and what is new."""
    step = bench.step
    is_top = not run.scope(run.step(step.id))
    subplan = run.steps[step.id].subplan
    evidence = await patiently(lambda: bench.runs.store.evidence(run.id))
    is_goal_trusted = run.goal.origin in TRUSTED_ORIGINS or not is_top
    told = instruction_of(run, step.id) if is_goal_trusted else step.instruction
    return Situation(
        goal=told or run.goal.text,
        requester=run.goal.requester_name if is_top else "the supervisor above you",
        nonce=nonce_of(run.id, step.id),
        is_goal_trusted=is_goal_trusted,
        facts=run.goal.facts if is_top and run.goal.facts else None,
        earlier=await _earlier(bench, run) if is_top else (),
        asked=tuple(
            Asked(one.text, one.answer or "", one.answered_by)
            for one in questions_of(run, step.id)
            if one.answer is not None
        ),
        steps=summaries(run, step.id, dict(evidence)),
        news=news,
        messages=messages,
        may_ask=may_ask,
        may_add=subplan is None or subplan.looks < planning.MAX_LOOKS,
    )


def questions_of(run: Run, step_id: str) -> list[Question]:
    """Return what the step wanted to know of people, oldest first."""
    return [
        one for one in run.questions.values() if one.step_id == step_id and one.kind == QUESTION
    ]


def summaries(run: Run, step_id: str, evidence: dict[str, Evidence]) -> tuple[Summary, ...]:
    """Return the steps that the supervising step planned, each in few words."""
    return tuple(_summary(run, step_id, child, evidence) for child in run.siblings(step_id))


def _summary(run: Run, step_id: str, child: Step, evidence: dict[str, Evidence]) -> Summary:
    state = run.steps[child.id]
    prefix = f"{step_id}."
    is_open = state.status not in TERMINAL
    waits = [*child.needs, *child.after] if is_open else []
    return summary_of(
        child,
        child.id.removeprefix(prefix),
        state.status.value,
        state.output,
        evidence,
        error=state.error if state.status is Status.FAILED else state.reason,
        finding=planning.finding_of(state),
        needs=tuple(key.removeprefix(prefix) for key in waits),
        has_begun=has_begun(state),
    )


async def _earlier(bench: Workbench, run: Run) -> tuple[Earlier, ...]:
    """Return what the latest runs of the thread were asked and answered, oldest first."""
    found: list[Earlier] = []
    for run_id in run.goal.earlier[-MAX_EARLIER_TOLD:]:
        before = await patiently(partial(bench.runs.store.load, run_id))
        if before is None or before.answer is None:
            continue
        answer = before.answer
        found.append(
            Earlier(
                id=run_id,
                goal=one_line(before.goal.text, MAX_GOAL_CHARS),
                headline=one_line(answer.headline, MAX_GOAL_CHARS),
                summary=one_line(answer.summary, MAX_SUMMARY_CHARS),
                quotes=tuple(_of_run(run_id, quote) for quote in quotes_of(answer.claims)),
            )
        )
    return tuple(found)


def _of_run(run_id: str, quote: Quote) -> Quote:
    """Return the quote with the name that the evidence of an earlier run has in this one."""
    if "/" in quote.evidence_id:
        return quote
    return replace(quote, evidence_id=f"{run_id}/{quote.evidence_id}")
