"""From a workflow to the plan of a run."""

from __future__ import annotations

from dataclasses import fields

from agents.domain import Step
from agents.plan import plan_for_goal, plan_from_workflow, supervisor_of
from config.specs import AgentSpec, Retries, ReviewSpec, StepSpec, WorkflowSpec

WORKFLOW = WorkflowSpec(
    name="incident",
    title="Incident",
    description="Find and fix.",
    version=3,
    steps=(
        StepSpec(
            id="look",
            title="Look",
            agent="scout",
            fallback_agent="other",
            instruction="Look at {{ goal.text }}",
            inputs={"service": "{{ goal.inputs.service }}"},
            after=("gate",),
            when="true",
            for_each="goal.inputs.list",
            timeout_s=5,
            retries=Retries(times=2),
            memory_mib=64,
            output_schema={"type": "object"},
            approval=True,
            review=ReviewSpec(criteria="It is true."),
            max_hops=2,
            aside=True,
        ),
        StepSpec(id="gate", approves=("fix",)),
        StepSpec(id="fix", tool="service.restart", needs=("gate",)),
    ),
    answer="look",
    max_wall_s=60,
)


def test_every_field_of_a_step_gets_into_the_plan() -> None:
    """What a workflow says of a step is what the run knows of it."""
    spec = WORKFLOW.steps[0]
    step = plan_from_workflow(WORKFLOW).steps[0]

    own = {"parent", "item", "is_reviewed"}
    for field in fields(Step):
        if field.name not in own:
            given = getattr(spec, field.name)
            assert getattr(step, field.name) == ("" if given is None else given), field.name


def test_plan_says_where_it_comes_from() -> None:
    """The plan names its workflow with the version, and keeps its limits."""
    plan = plan_from_workflow(WORKFLOW)

    assert (plan.workflow, plan.answer, plan.max_wall_s) == ("incident", "look", 60)
    assert plan.reason == "workflow incident v3"
    assert plan.step("gate").approves == ("fix",)


def test_step_without_a_title_is_called_by_its_id() -> None:
    """A card always has something to show."""
    assert plan_from_workflow(WORKFLOW).step("fix").title == "fix"


BOSS = AgentSpec(
    name="supervisor", title="Boss", description="Plans.", model="smart", supervises=True
)


def test_a_goal_is_the_one_step_of_its_supervisor() -> None:
    """The card's title is the goal, cut; what it holds is not read as an expression."""
    plan = plan_for_goal("{{ x }} " * 30, BOSS)

    (step,) = plan.steps
    assert (step.id, step.agent, plan.answer) == ("goal", "supervisor", "goal")
    assert step.instruction == "{{ goal.text }}"
    assert len(step.title) == 80
    assert not plan.workflow


def test_only_a_supervisor_with_a_model_takes_goals() -> None:
    """Nobody plans without a model, and no agent that does not supervise."""
    other = AgentSpec(name="supervisor", title="x", description="x", model="smart")

    assert supervisor_of({"supervisor": BOSS}, {"smart"}) is BOSS
    assert supervisor_of({"supervisor": BOSS}, {"fast"}) is None
    assert supervisor_of({"supervisor": other}, {"smart"}) is None
    assert supervisor_of({}, {"smart"}) is None
