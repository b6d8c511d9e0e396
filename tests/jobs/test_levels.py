"""When a run is late: by the levels of its plan, and by those of workflows chosen on the way."""

from __future__ import annotations

from config.specs import ApproversSpec, ServiceLevelSpec
from jobs import commands as c
from jobs import levels
from jobs.commands import TimerKind
from jobs.consequences import consequences
from jobs.state import Run
from tests.jobs.plans import NOW, finish, plan, send, started, step, take

LEADS = ApproversSpec(groups=("leads",))
URGENT = ServiceLevelSpec(when="steps.sort.urgent", within_s=60, to=LEADS)
USUAL = ServiceLevelSpec(within_s=600, to=LEADS)
FOR_CHECKOUT = ServiceLevelSpec(when="goal.inputs.service == 'checkout'", within_s=30, to=LEADS)
CHOSEN_AT = NOW + 5


def chosen(*service_levels: ServiceLevelSpec) -> Run:
    """Return a run whose supervisor chose a workflow with these levels after five seconds."""
    run = take(started(plan(step("goal"))), "goal")
    steps = (
        step("goal.sort", parent="goal"),
        step("goal.reply", parent="goal", needs=("goal.sort",)),
    )
    command = c.RevisePlan(
        "goal",
        1,
        "It fits.",
        steps=steps,
        answer="goal.reply",
        workflow="triage",
        inputs={"service": "checkout"},
        service_levels=service_levels,
    )
    return send(run, command, CHOSEN_AT)


def test_a_chosen_workflow_keeps_its_levels() -> None:
    """They count from when it was chosen, and read its steps by their own names."""
    run = chosen(URGENT, USUAL)
    assert levels.due_at(run) == CHOSEN_AT + 600

    run = finish(run, "goal.sort", {"urgent": True})

    assert levels.due_at(run) == CHOSEN_AT + 60
    timers = consequences(None, run).timers_set
    assert timers[(TimerKind.SERVICE_LEVEL, "")] == CHOSEN_AT + 60
    fired = c.FireTimer(TimerKind.SERVICE_LEVEL, "")
    late = send(run, fired, CHOSEN_AT + 60)
    assert late.late is not None
    assert (late.late.within_s, late.late.groups) == (60, ("leads",))
    assert levels.due_at(late) is None


def test_levels_of_a_chosen_workflow_read_its_inputs() -> None:
    """Not those of the goal, which was typed and has none."""
    assert levels.due_at(chosen(FOR_CHECKOUT)) == CHOSEN_AT + 30


def test_a_plan_goes_on_with_the_levels_that_it_has() -> None:
    """A later look says nothing of them, and the workflow began when it was chosen."""
    run = send(chosen(USUAL), c.StartStep("goal.sort", 1, "w1"))
    run = send(run, c.FailStep("goal.sort", 1, "boom", may_retry=False))
    run = take(run, "goal")

    run = send(run, c.RevisePlan("goal", 2, "go on", seen=("goal.sort",)), NOW + 50)

    assert levels.due_at(run) == CHOSEN_AT + 600


def test_what_has_ended_is_not_late() -> None:
    """The levels of a workflow hold as long as its supervisor's step is under way."""
    run = finish(chosen(USUAL), "goal.sort", {})

    run = finish(run, "goal.reply", {"headline": "done"})

    assert levels.due_at(run) is None
