"""A supervising step: it decides, plans, looks again, and sums up, through a real executor."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import JsonValue

from agents.domain import Answer, Cite, Claim, Finding, Moment, Plan, Step
from agents.models.port import ModelReply, ModelRequest, NoModelError
from agents.models.scripted import Line, ScriptedModel, output
from agents.tool import ToolContext, ToolFailed
from config.specs import (
    AgentSpec,
    ApproversSpec,
    BudgetsSpec,
    CallSpec,
    InputSpec,
    MatchSpec,
    ServiceLevelSpec,
    StepSpec,
    WorkflowSpec,
)
from jobs import commands as c
from jobs import events as e
from jobs import planning
from jobs.asking import Suspended
from jobs.state import Run, Status
from jobs.supervising import supervise_step
from jobs.workbench import Workbench
from tests.jobs.plans import GOAL, NOW
from tests.jobs.world import (
    ALLOW,
    RUN_ID,
    Args,
    World,
    agent,
    kill_everything,
    until,
)

SUPERVISOR = AgentSpec(
    name="supervisor",
    title="Supervisor",
    description="Plans.",
    model="smart",
    supervises=True,
)
LOOKER = agent("looker", CallSpec(id="saw", tool="look.at", args={"text": "{{ inputs.text }}"}))
HELPER = agent("helper", CallSpec(id="saw", tool="look.trusted", args={"text": "help"}))
WRITER = AgentSpec(name="writer", title="Writer", description="Writes texts.", model="fast")
BELOW = AgentSpec(
    name="below",
    title="Below",
    description="Plans a part.",
    model="smart",
    supervises=True,
    team=("looker",),
)
CHECK = WorkflowSpec(
    name="check",
    title="Check a service",
    description="Looks at a service.",
    match=MatchSpec(keywords=("failing",), examples=("why is checkout failing?",)),
    inputs={"service": InputSpec(one_of="services")},
    steps=(
        StepSpec(id="look", tool="look.at", inputs={"text": "{{ goal.inputs.service }}"}),
        StepSpec(
            id="answer",
            agent="answerer",
            needs=("look",),
            inputs={"headline": "{{ steps.look.text }}"},
        ),
    ),
    answer="answer",
    max_wall_s=900,
    service_levels=(ServiceLevelSpec(within_s=600, to=ApproversSpec(groups=("leads",))),),
)
PLAN = Plan(
    workflow="",
    steps=(Step(id="goal", title="The goal", agent="supervisor", instruction="{{ goal.text }}"),),
    answer="goal",
)
DONE: dict[str, Any] = {"headline": "All is well.", "finding": "healthy", "summary": "Fine."}


def planned(*steps: dict[str, Any], **fields: Any) -> ModelReply:
    """Return a reply that plans these steps."""
    return output({"decision": "plan", "reason": "They are needed.", "steps": [*steps], **fields})


def look(step_id: str = "look", text: str = "x", **fields: Any) -> dict[str, Any]:
    """Return a drafted step of the looker."""
    inputs = [{"name": "text", "value": text}]
    return {"id": step_id, "title": step_id, "agent": "looker", "inputs": inputs, **fields}


def decided(decision: str, **fields: Any) -> ModelReply:
    """Return the reply of a later look."""
    return output({"decision": decision, "reason": f"It says {decision}.", **fields})


def world(lines: Iterable[Line], *, price: float | None = 0.0, **fields: Any) -> World:
    """Return a house with a supervisor, a looker, and a model that says these lines."""
    agents = (SUPERVISOR, LOOKER, HELPER, WRITER, BELOW)
    model = ScriptedModel(lines, usd_per_token=price)
    return World(**{"agents": agents, "workflows": (CHECK,), "model": model, **fields})


def asked(house: World) -> list[ModelRequest]:
    """Return what its model was asked."""
    assert isinstance(house.model, ScriptedModel)
    return house.model.requests


def told(house: World, index: int = -1) -> str:
    """Return the last message of a request."""
    return asked(house)[index].messages[-1].text


def answer_of(run: Run) -> Answer:
    """Return the answer of a run that has ended."""
    assert run.answer is not None
    return run.answer


async def retried(house: World) -> Run:
    """Start the run, and work until the failed steps have had their second try."""
    await house.start(PLAN)
    return await house.later(5)


async def fails(_: ToolContext, args: Args) -> str:
    """Be a tool that cannot look at some things."""
    if args.text.startswith("bad"):
        raise ToolFailed(f"cannot look at {args.text}")
    return f"saw {args.text}"


async def test_a_fitting_workflow_is_chosen_and_filled() -> None:
    """Its steps become children, its answer the run's, without another model call."""
    house = world(
        [
            output(
                {
                    "decision": "workflow",
                    "reason": "It is made for this.",
                    "workflow": "check",
                    "inputs": [{"name": "service", "value": "Checkout"}],
                }
            )
        ]
    )

    run = await house.start(PLAN)

    assert run.status is Status.SUCCEEDED
    assert answer_of(run).headline == "saw checkout"
    assert [step.id for step in run.all_steps()] == ["goal", "goal.look", "goal.answer"]
    assert run.children["goal.look"].is_reviewed
    (revision,) = run.revisions
    assert (revision.reason, revision.workflow) == ("It is made for this.", "check")
    subplan = run.steps["goal"].subplan
    assert subplan is not None
    assert (subplan.max_wall_s, subplan.service_levels) == (900, CHECK.service_levels)
    assert len(asked(house)) == 1
    assert "one of the services" in asked(house)[0].messages[0].text


async def test_one_step_is_enough() -> None:
    """A single step whose output is an answer is all that runs."""
    step: dict[str, Any] = {
        "id": "say",
        "title": "Say it",
        "agent": "writer",
        "instruction": "Say hello.",
    }
    house = world(
        [
            output({"decision": "single", "reason": "One step is enough.", "steps": [step]}),
            output(DONE),
        ]
    )

    run = await house.start(PLAN)

    assert answer_of(run).headline == "All is well."
    assert answer_of(run).finding is Finding.HEALTHY
    assert [state.status for state in run.steps.values()] == [Status.SUCCEEDED] * 2
    assert len(asked(house)) == 2


async def test_steps_run_and_are_summed_up() -> None:
    """Independent steps run together; the answer's claims are held to their evidence."""
    claims: list[Any] = [
        {"text": "It saw one.", "cites": [{"evidence_id": "ev-goal.one-saw", "quote": "saw 1"}]},
        {"text": "It saw lies.", "cites": [{"evidence_id": "ev-goal.one-saw", "quote": "lies"}]},
    ]
    house = world(
        [
            planned(look("one", "1"), look("two", "2")),
            output({**DONE, "claims": claims, "confidence": 0.9, "include": ["two"]}),
        ]
    )

    run = await house.start(PLAN)

    answer = answer_of(run)
    held, struck = answer.claims
    assert held == Claim("It saw one.", (Cite("ev-goal.one-saw", "saw 1"),))
    assert struck.is_struck
    assert answer.confidence == 0.5
    assert answer.used_model
    assert not run.children["goal.one"].is_reviewed
    assert "saw 1" in told(house)
    assert "ev-goal.one-saw" in told(house)
    assert [request.purpose for request in asked(house)] == ["plan", "synthesis"]


async def test_a_wrong_plan_goes_back_twice_and_then_one_agent_takes_the_goal() -> None:
    """The exact errors are told; after two corrections a capable agent works alone."""
    wrong = planned(look("look", needs=["nowhere"]), {"id": "B", "title": "b", "agent": "nobody"})
    house = world([wrong, wrong, wrong, output(DONE)])

    run = await house.start(PLAN)

    assert answer_of(run).headline == "All is well."
    assert run.children["goal.work"].agent == "writer"
    assert "takes the goal alone" in run.revisions[0].reason
    assert len(asked(house)) == 4
    assert 'step "B": id' in told(house, 1)
    assert GOAL.text in told(house, 3)


async def test_errors_name_what_is_there() -> None:
    """A step that refers to another that is not there is told so with the step's name."""
    wrong = planned(look("look", needs=["lok"]), look("lock"))
    house = world([wrong, planned(look("look")), output(DONE)])

    run = await house.start(PLAN)

    assert run.status is Status.SUCCEEDED
    assert 'no step "lok"; did you mean' in told(house, 1)


async def test_a_failure_leads_to_another_plan() -> None:
    """A step that waits for the failed one waits for the supervisor too, and then goes on."""
    house = world(
        [
            planned(
                look("first", "bad"),
                look("second", "{{ steps.first.saw }}", needs=["first"]),
                look("other", "fine"),
            ),
            decided(
                "revise",
                steps=[
                    look("again", "good"),
                    look("second", "{{ steps.again.saw }}", needs=["again"]),
                ],
            ),
            output(DONE),
        ]
    )
    house.behaviours["look.at"] = fails

    run = await retried(house)

    assert run.status is Status.SUCCEEDED
    assert run.steps["goal.first"].status is Status.FAILED
    assert run.steps["goal.second"].output == {"saw": "saw saw good"}
    assert [revision.reason for revision in run.revisions] == [
        "They are needed.",
        "It says revise.",
    ]
    assert "first failed" in told(house, 1)
    assert "cannot look at bad" in told(house, 1)
    assert "first failed: " in " ".join(answer_of(run).missing)


async def test_going_on_lets_what_waited_be_skipped() -> None:
    """A supervisor that changes nothing releases the steps that waited for its word."""
    house = world(
        [
            planned(look("first", "bad"), look("second", needs=["first"])),
            decided("go_on"),
            output(DONE),
        ]
    )
    house.behaviours["look.at"] = fails

    run = await retried(house)

    assert run.status is Status.SUCCEEDED
    assert run.steps["goal.second"].status is Status.SKIPPED


async def test_finishing_early_drops_what_has_not_begun() -> None:
    """What is needless now is skipped with the reason, and the rest is summed up."""
    house = world(
        [
            planned(look("first", "bad"), look("second", needs=["first"])),
            decided("finish"),
            output(DONE),
        ]
    )
    house.behaviours["look.at"] = fails

    run = await retried(house)

    assert run.status is Status.SUCCEEDED
    assert "It says finish." in run.steps["goal.second"].reason
    assert run.revisions[-1].dropped == ("goal.second",)


async def test_a_message_changes_the_plan() -> None:
    """What a person writes in the thread is told to the supervisor while others work."""
    house = world(
        [
            planned(look("first"), look("slow", "slow")),
            decided("revise", steps=[look("more", "more")]),
            output(DONE),
        ]
    )
    gate: list[bool] = []

    async def slow(_: ToolContext, args: Args) -> str:
        if args.text == "slow":
            await until(lambda: bool(gate))
        return "seen"

    house.behaviours["look.at"] = slow
    await house.runs().start(RUN_ID, GOAL, PLAN)
    await (await house.begin())
    working = [await house.begin() for _ in range(2)]
    await house.runs().send(
        RUN_ID, c.Signal(Moment(NOW, "Rae: also look at more", planning.MESSAGE))
    )
    await (await house.begin())
    gate.append(True)
    for task in working:
        await task
    run = await house.drive()

    assert run.steps["goal.more"].status is Status.SUCCEEDED
    assert run.status is Status.SUCCEEDED
    assert "also look at more" in told(house, 1)
    assert "also look at more" not in told(house, 2)


async def test_a_finding_can_change_the_plan() -> None:
    """An output that says why the plan should change is looked at once."""
    step = {"id": "read", "title": "Read", "agent": "writer", "instruction": "Read it."}
    house = world(
        [
            planned(step, look("slow", needs=["read"])),
            output({"summary": "It is the database.", "replan": "the database is at fault"}),
            decided("revise", steps=[look("database")], dropped=[]),
            output(DONE),
        ]
    )

    run = await house.start(PLAN)

    assert run.steps["goal.database"].status is Status.SUCCEEDED
    assert "the database is at fault" in told(house, 2)


async def test_an_answer_that_is_known_is_given_at_once() -> None:
    """A follow-up is answered from what earlier runs of the thread said, evidence and all."""
    house = world([planned(look("look", "7 %")), output({**DONE, "headline": "It was 7 %."})])
    await house.start(PLAN)
    cites = [{"evidence_id": f"{RUN_ID}/ev-goal.look-saw", "quote": "saw 7 %"}]
    answer = {**DONE, "claims": [{"text": "As before.", "cites": cites}], "confidence": 0.8}
    house.model = ScriptedModel(
        [output({"decision": "answer", "reason": "Known.", "answer": answer})]
    )
    goal = replace(GOAL, text="how much was it?", earlier=(RUN_ID, "run-gone"))

    await house.runs().start("run-2", goal, PLAN)
    await house.drive()

    run = await house.runs().get("run-2")
    assert answer_of(run).headline == "All is well."
    assert answer_of(run).confidence == 0.8
    assert not answer_of(run).claims[0].is_struck
    assert "It was 7 %." in told(house)


async def test_a_question_is_asked_and_its_answer_used() -> None:
    """What only the requester can say is asked for; the plan is made with the answer."""
    question: dict[str, Any] = {
        "decision": "ask",
        "reason": "?",
        "question": "Which region?",
        "options": ["eu", "us"],
    }
    house = world([output(question), planned(look("look", "eu")), output(DONE)])

    run = await house.start(PLAN)
    asking = await house.question()

    assert (asking.text, asking.options, asking.kind) == ("Which region?", ("eu", "us"), "input")
    assert run.status is Status.WAITING
    run = await house.answer("eu")
    assert run.status is Status.SUCCEEDED
    assert "Which region?" in told(house, 1)
    assert "eu" in told(house, 1)
    assert len(asked(house)) == 3


async def test_who_only_asks_is_stopped() -> None:
    """A supervisor may ask twice; then it has to decide, or an agent takes the goal."""
    question = output({"decision": "ask", "reason": "?", "question": "Which?"})
    house = world([question, question, question, output(DONE)])

    await house.start(PLAN)
    await house.answer("this")
    run = await house.answer("that")

    assert len(run.questions) == 2
    assert run.children["goal.work"].agent == "writer"
    assert run.status is Status.SUCCEEDED


@pytest.mark.parametrize("word", ["start", "stop"])
async def test_a_dear_plan_is_shown_first(word: str) -> None:
    """Above the threshold a person says whether it starts; the plan is not made again."""
    lines = [planned({"id": "w", "title": "w", "agent": "writer"}), output(DONE)]
    house = world(lines, price=0.001, budgets=BudgetsSpec(ask_above_usd=0.5))

    await house.start(PLAN)
    question = await house.question()
    assert question.kind == "plan"
    assert "about $" in question.text
    run = await house.answer(word)

    assert run.status is Status.SUCCEEDED
    if word == "stop":
        assert answer_of(run).headline == "Not started: Alice found the plan too dear."
        assert not run.children
        assert len(asked(house)) == 1
    else:
        assert answer_of(run).headline == "All is well."
        assert [request.purpose for request in asked(house)] == ["plan", "turn"]


async def test_without_a_model_words_choose_the_workflow() -> None:
    """No model answers: the workflow whose words fit runs, and the reason says so."""
    house = world([NoModelError("smart", {"m": "down"})])

    run = await house.start(PLAN)

    assert run.status is Status.SUCCEEDED
    assert answer_of(run).headline == "saw checkout"
    assert "no model answers" in run.revisions[0].reason
    assert not answer_of(run).used_model


async def test_without_a_model_and_a_match_the_answer_is_honest() -> None:
    """Nothing is pretended: the answer says why nothing was done, and what could be."""
    house = world([NoModelError("smart", {"m": "down"})])
    await house.runs().start(RUN_ID, replace(GOAL, text="order the cake"), PLAN)

    run = await house.drive()

    answer = answer_of(run)
    assert answer.finding is Finding.INCONCLUSIVE
    assert "why is checkout failing?" in answer.recommendations
    assert "m: down" in answer.missing[0]


async def test_without_a_model_at_the_end_outputs_are_listed() -> None:
    """What the steps found is not lost when nobody can sum it up."""
    house = world([planned(look("look", "7 %")), NoModelError("smart", {"m": "down"})])

    run = await house.start(PLAN)

    assert run.status is Status.SUCCEEDED
    assert "saw 7 %" in answer_of(run).summary
    assert "m: down" in " ".join(answer_of(run).missing)


async def test_without_a_model_in_the_middle_the_plan_goes_on() -> None:
    """A supervisor that cannot think lets its plan go on."""
    house = world(
        [
            planned(look("first", "bad"), look("second", needs=["first"]), look("third")),
            NoModelError("smart", {"m": "down"}),
            output(DONE),
        ]
    )
    house.behaviours["look.at"] = fails

    run = await retried(house)

    assert run.status is Status.SUCCEEDED
    assert run.steps["goal.second"].status is Status.SKIPPED


async def test_a_supervisor_plans_for_a_supervisor() -> None:
    """A part goes to another supervisor, whose summary is what the first one reads."""
    part = {"id": "part", "title": "Part", "agent": "below", "instruction": "Look at one."}
    cite = {"evidence_id": "ev-goal.part.one-saw", "quote": "saw 1"}
    lie = {"evidence_id": "ev-goal.part.one-saw", "quote": "lies"}
    found = {
        **DONE,
        "headline": "Part is well.",
        "claims": [{"text": "One.", "cites": [cite]}, {"text": "Lie.", "cites": [lie]}],
    }
    house = world(
        [
            planned(part, look("other", "2")),
            planned(look("one", "1"), look("two", "{{ steps.one.saw }}", needs=["one"])),
            output(found),
            output(DONE),
        ]
    )

    run = await house.start(PLAN)

    assert run.status is Status.SUCCEEDED
    assert run.steps["goal.part.two"].output == {"saw": "saw saw 1"}
    part_output = run.steps["goal.part"].output
    assert isinstance(part_output, dict)
    assert part_output["headline"] == "Part is well."
    assert "Look at one." in told(house, 1)
    assert "helper" not in asked(house)[1].messages[0].text
    assert "Part is well." in told(house, 3)
    assert "saw 1" in told(house, 3)


async def test_no_work_comes_back_to_those_above() -> None:
    """Who plans below gives nothing to a supervisor above it, and starts no workflow anew."""
    lead = BELOW.model_copy(update={"name": "lead", "team": ()})
    house = world(
        [
            output(
                {
                    "decision": "workflow",
                    "reason": "x",
                    "workflow": "nested",
                    "inputs": [],
                }
            ),
            planned(look("one")),
            output(DONE),
        ],
        agents=(SUPERVISOR, LOOKER, lead),
        workflows=(
            CHECK,
            WorkflowSpec(
                name="nested",
                title="Nested",
                description="Gives a part to a lead.",
                steps=(StepSpec(id="part", agent="lead", instruction="Look at one."),),
                answer="part",
            ),
        ),
    )

    run = await house.start(PLAN)

    assert run.status is Status.SUCCEEDED
    assert answer_of(run).headline == "All is well."
    first, second = (request.messages[0].text for request in asked(house)[:2])
    assert "- nested:" in first
    assert "- lead:" in first
    assert "- check:" in second
    assert "- nested:" not in second
    assert "- supervisor:" not in second


async def test_a_plan_too_large_for_the_run_fails_with_the_reason() -> None:
    """What the run would refuse is not tried again and again."""
    many = tuple(StepSpec(id=f"s{n}", agent="looker", inputs={"text": "x"}) for n in range(100))
    large = CHECK.model_copy(update={"steps": many, "answer": "s99", "inputs": {}})
    house = world(
        [output({"decision": "workflow", "reason": "x", "workflow": "check"})], workflows=(large,)
    )

    run = await house.start(PLAN)

    assert run.status is Status.FAILED
    assert "more than 100 steps" in run.steps["goal"].error


async def test_a_change_that_the_run_has_no_room_for_goes_back() -> None:
    """Its author is told how much room there is; what works is not lost for it."""
    wide = [look(f"wide{n}", for_each="range(45)|list") for n in range(2)]
    more = decided("revise", steps=[look(f"more{n}") for n in range(15)])
    house = world([planned(*wide, look("bad", "bad")), more, decided("go_on"), output(DONE)])
    house.behaviours["look.at"] = fails

    run = await retried(house)

    assert run.status is Status.SUCCEEDED
    assert "room for 6 more steps, not for 15" in told(house, 2)


async def test_a_takeover_does_not_plan_again() -> None:
    """Killed after its model had spoken, the step goes on with what was said."""
    house = world([planned(look("look")), output(DONE)])
    await house.runs().start(RUN_ID, GOAL, PLAN)
    stuck = house.store.commit
    reached: list[str] = []

    async def never(before: Run | None, after: Run, events: Any) -> None:
        if any(event.type == "plan_revised" for event in events):
            reached.append("plan")
            await asyncio.Event().wait()
        await stuck(before, after, events)

    house.store.commit = never  # type: ignore[method-assign]
    await house.begin()
    await until(lambda: bool(reached))
    await kill_everything()
    house.store.commit = stuck  # type: ignore[method-assign]

    run = await house.take_over()

    assert run.status is Status.SUCCEEDED
    assert [request.purpose for request in asked(house)] == ["plan", "synthesis"]


async def test_a_plan_that_comes_too_late_is_made_to_fit() -> None:
    """A step that began while the supervisor was thinking is not planned anew."""
    gate: list[str] = []

    async def slow(_: ToolContext, args: Args) -> str:
        await until(lambda: "open" in gate)
        return f"saw {args.text}"

    async def think(_: ModelRequest) -> ModelReply:
        gate.append("thinking")
        await until(lambda: "second" in gate)
        return decided("revise", steps=[look("second", "other"), look("more")])

    steps = (look("first"), look("second", "second", after=["first"]))
    house = world([planned(*steps), think, output(DONE)])
    house.behaviours["look.at"] = slow
    await house.runs().start(RUN_ID, GOAL, PLAN)
    await (await house.begin())
    first = await house.begin()
    await house.runs().send(RUN_ID, c.Signal(Moment(NOW, "Rae: hm", planning.MESSAGE)))
    goal = await house.begin()
    await until(lambda: "thinking" in gate)
    gate.append("open")
    await first
    await (await house.begin())
    gate.append("second")
    await goal
    run = await house.drive()

    assert run.status is Status.SUCCEEDED
    assert run.steps["goal.more"].status is Status.SUCCEEDED
    assert run.steps["goal.second"].output == {"saw": "saw second"}
    assert run.revisions[-1].added == ("goal.more",)


async def test_a_plan_that_the_run_refuses_is_decided_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor looks once more, and the log says why; its worker was not lost."""
    house = world([planned(look("look")), output(DONE)])
    looks: list[int] = []

    async def too_late(bench: Workbench) -> JsonValue:
        looks.append(bench.lease.attempt)
        if len(looks) == 1:
            raise Suspended(c.RevisePlan(bench.step.id, bench.lease.attempt, "nothing is planned"))
        return await supervise_step(bench)

    monkeypatch.setattr("jobs.executor.supervise_step", too_late)

    run = await house.start(PLAN)

    assert run.status is Status.SUCCEEDED
    assert run.steps["goal"].losses == 0
    told = [stored.event for stored in await house.store.events(RUN_ID)]
    assert not [one for one in told if isinstance(one, e.StepLost)]
    (again,) = [one for one in told if isinstance(one, e.StepRequeued)]
    assert "nothing is left to do in this plan" in again.reason


async def test_a_plan_may_write_only_as_policy_says() -> None:
    """A planned tool step goes through policy like any other, and its effect is told."""
    actor = agent("actor", CallSpec(id="act", tool="act.once", args={"text": "go"}))
    house = world(
        [planned({"id": "do", "title": "Do", "agent": "actor"}), output(DONE)],
        agents=(SUPERVISOR, actor),
        policies=(ALLOW,),
    )

    run = await house.start(PLAN)

    assert answer_of(run).actions == ("act.once go: succeeded",)
