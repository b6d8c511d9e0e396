"""From drafts to steps, and every way in which a draft is sent back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.domain import Step
from agents.drafts import (
    ANSWER_SCHEMA,
    FINDINGS_SCHEMA,
    PLAN_SCHEMA,
    REVIEW_SCHEMA,
    SYNTHESIS_SCHEMA,
    PlanDraft,
    ReviewDraft,
)
from agents.models.strict import strict_schema
from agents.planning import (
    MAX_PLANNED_STEPS,
    Scope,
    best_agent,
    check_plan,
    check_review,
    only_step,
    steps_of,
    with_answer,
    workflow_inputs,
    workflow_steps,
)
from config.contents import ToolSchema
from config.specs import (
    AgentSpec,
    InputSpec,
    ReportSpec,
    RunbookSpec,
    ServicesFile,
    ServiceSpec,
    StepSpec,
    WorkflowSpec,
)

ANY = {"type": "object"}
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["service"],
    "properties": {"service": {"type": "string"}},
}
TOOLS = {
    "logs.search": ToolSchema(SERVICE, ANY),
    "service.restart": ToolSchema(SERVICE, ANY, "writes"),
    "secret.read": ToolSchema(ANY, ANY),
}


def agent(name: str, **fields: Any) -> AgentSpec:
    """Return an agent with a model."""
    return AgentSpec(
        **{"name": name, "title": name.title(), "description": "x", "model": "fast", **fields}
    )


AGENTS = {
    one.name: one
    for one in (
        agent("boss", supervises=True),
        agent("below", supervises=True),
        agent(
            "reader",
            description="Reads logs of a service.",
            tools=("logs.search",),
            inputs=SERVICE,
            output={"type": "object", "properties": {"items": {"type": "array"}}},
        ),
        agent("writer", description="Writes texts for customers."),
        agent("fixer", description="Restarts services.", tools=("service.restart",)),
        agent("spy", tools=("secret.read",)),
        agent(
            "reporter",
            model=None,
            runbook=RunbookSpec(report=ReportSpec(output={"headline": "x"})),
            output={"type": "object", "properties": {"headline": {"type": "string"}}},
        ),
    )
}
CHECK = WorkflowSpec(
    name="check",
    title="Check",
    description="Looks.",
    inputs={
        "service": InputSpec(one_of="services"),
        "days": InputSpec(type="integer", default=7),
        "note": InputSpec(required=False),
    },
    steps=(
        StepSpec(id="look", agent="reader", inputs={"service": "{{ goal.inputs.service }}"}),
        StepSpec(id="gate", approves=("fix",), needs=("look",)),
        StepSpec(id="fix", tool="service.restart", needs=("gate",), inputs={"service": "web"}),
        StepSpec(id="answer", agent="reporter", after=("fix",)),
    ),
    answer="answer",
)
SCOPE = Scope(
    step_id="goal",
    supervisor="boss",
    agents=AGENTS,
    team={name: one for name, one in AGENTS.items() if name not in ("boss", "spy")},
    tools=TOOLS,
    reports={},
    workflows={"check": CHECK},
    world=ServicesFile(services={"web": ServiceSpec()}),
)


def read(step_id: str = "read", **fields: Any) -> dict[str, Any]:
    """Return a drafted step of the reader."""
    inputs = [{"name": "service", "value": "web"}]
    return {"id": step_id, "title": step_id, "agent": "reader", "inputs": inputs, **fields}


def plan(*steps: dict[str, Any], decision: str = "plan", **fields: Any) -> PlanDraft:
    """Return a first look."""
    return PlanDraft.model_validate(
        {"decision": decision, "reason": "x", "steps": [*steps], **fields}
    )


def review(*steps: dict[str, Any], decision: str = "revise", **fields: Any) -> ReviewDraft:
    """Return a later look."""
    return ReviewDraft.model_validate(
        {"decision": decision, "reason": "x", "steps": [*steps], **fields}
    )


def later(*drafts: dict[str, Any], **fields: Any) -> Scope:
    """Return the scope after these were planned."""
    return replace(SCOPE, steps=steps_of(plan(*drafts).steps, SCOPE), **fields)


def test_a_good_plan_becomes_steps() -> None:
    """Ids, links and expressions are those of children; its words are not people's."""
    draft = plan(
        read("find"),
        read(
            "each",
            for_each="steps.find.items",
            needs=["find"],
            inputs=[{"name": "service", "value": "{{ item }}"}],
        ),
        {
            "id": "tell-them",
            "title": "Tell",
            "agent": "writer",
            "instruction": "Write about {{ goal.text }} and {{ steps.each }}.",
            "after": ["each", "find"],
            "needs": ["find"],
            "acceptance": "It names no customer.",
        },
    )

    assert check_plan(draft, SCOPE) == []
    find, each, tell = steps_of(draft.steps, SCOPE)
    assert (find.id, find.parent, find.is_reviewed) == ("goal.find", "goal", False)
    assert find.output_schema is None
    assert each.needs == ("goal.find",)
    assert (tell.needs, tell.after) == (("goal.find",), ("goal.each",))
    assert tell.output_schema == FINDINGS_SCHEMA
    assert tell.review is not None
    assert (tell.review.by, tell.review.criteria) == ("boss", "It names no customer.")


@pytest.mark.parametrize(
    ("steps", "what"),
    [
        ([], "needs steps"),
        ([read("A")], 'step "A": id'),
        ([read("a"), read("a")], "used by an earlier step"),
        ([read("a", agent="raeder")], 'no agent "raeder"; did you mean'),
        ([read("a", agent="spy", inputs=[])], "spy is not in the team"),
        ([read("a", agent="")], "exactly one of agent, tool and approves"),
        ([read("a", tool="logs.search")], "exactly one of agent, tool and approves"),
        ([read("a", needs=["b"])], 'no step "b"'),
        ([read("a", needs=["a"])], "cannot wait for itself"),
        ([read("a", needs=["b"]), read("b", after=["a"])], "wait for each other"),
        ([read("a", inputs=[])], 'needs "service"'),
        ([read("a", inputs=[{"name": "x", "value": 1}])], 'takes no "x"'),
        ([read("a", inputs=[{"name": "service", "value": 1}])], "is not of type 'string'"),
        ([read("a", when="steps.b")], 'no step "b"'),
        ([read("a"), read("b", when="steps.a.items")], "may not have ended"),
        ([read("a", when="1 +")], "ends too early"),
        ([read("a", for_each="goal.text")], "not a list"),
        ([read("a"), read("b", needs=["a"], when="steps.a.count > 1")], 'nothing called "count"'),
        ([read("a", instruction="{{ steps.b }}")], "it reads b, which may not have ended"),
        ([read("a", instruction="{{ x }}")], 'no variable "x"'),
        ([read("a", instruction="{{ ")], "never closed"),
        ([read("a", inputs=[{"name": "service", "value": "{{ goal.inputs.x }}"}])], 'no input "x"'),
        ([read("a", title="x" * 81)], "title: String should have at most 80"),
        ([read("a", approval=True)], "no policy says who approves"),
        ([{"id": "a", "title": "a", "tool": "secret.read"}], "nobody of the team may use"),
        ([{"id": "a", "title": "a", "tool": "logs.serch"}], 'did you mean "logs.search"'),
        ([read(f"a{n}") for n in range(MAX_PLANNED_STEPS + 1)], "at most 20 steps"),
        (
            [{"id": "g", "title": "g", "approves": ["a"]}, read("a")],
            "is no direct tool step",
        ),
    ],
)
def test_a_wrong_plan_is_told_what_is_wrong(steps: list[dict[str, Any]], what: str) -> None:
    """Each fault is a sentence that names the step and, where it can, the right name."""
    errors = check_plan(plan(*steps), SCOPE)

    assert any(what in error for error in errors), errors


def test_a_fault_is_told_once() -> None:
    """An agent that is not there is not reported twice."""
    assert len(check_plan(plan(read("a", agent="raeder")), SCOPE)) == 1


def test_levels_end_somewhere() -> None:
    """Where nobody below may plan, no supervisor gets a step."""
    below = {"id": "part", "title": "part", "agent": "below"}

    assert check_plan(plan(below), SCOPE) == []
    (error,) = check_plan(plan(below), replace(SCOPE, may_nest=False))
    assert "no level below this one may plan" in error


def test_a_gate_before_tool_steps_is_allowed() -> None:
    """A plan may ask once for several writes."""
    fix: dict[str, Any] = {"id": "fix", "title": "fix", "tool": "service.restart"}
    fix["needs"] = ["gate"]
    fix["inputs"] = [{"name": "service", "value": "web"}]
    draft = plan({"id": "gate", "title": "gate", "approves": ["fix"]}, fix)

    assert check_plan(draft, SCOPE) == []
    gate, _ = steps_of(draft.steps, SCOPE)
    assert gate.approves == ("goal.fix",)


@pytest.mark.parametrize(
    ("draft", "what"),
    [
        (plan(read("a"), read("b"), decision="single"), "exactly one step"),
        (plan(decision="single"), "exactly one step"),
        (plan(decision="answer"), "needs an answer"),
        (plan(decision="answer", answer={"headline": " "}), "needs an answer"),
        (plan(decision="ask"), "needs a question"),
        (plan(decision="ask", question="x" * 1_001), "at most 1000 characters"),
        (plan(decision="ask", question="x", options=["a", "a"]), "must differ"),
        (plan(decision="ask", question="x", options=["a", " "]), "must differ"),
        (plan(decision="ask", question="x", options=["a", "a "]), "must differ"),
        (plan(decision="ask", question="x", options=["a" * 61]), "at most 60 characters"),
        (plan(decision="workflow", workflow="chek"), 'did you mean "check"'),
        (plan(decision="workflow", workflow="check"), 'needs the input "service"'),
    ],
)
def test_each_decision_needs_what_belongs_to_it(draft: PlanDraft, what: str) -> None:
    """A decision without its part is sent back."""
    assert any(what in error for error in check_plan(draft, SCOPE))


@pytest.mark.parametrize(
    "draft",
    [
        plan(read("a"), decision="single"),
        plan(decision="answer", answer={"headline": "x"}),
        plan(decision="ask", question="x", options=["a", "b"]),
        plan(decision="workflow", workflow="check", inputs=[{"name": "service", "value": "WEB"}]),
    ],
)
def test_each_decision_can_be_right(draft: PlanDraft) -> None:
    """What is whole is taken as it is."""
    assert check_plan(draft, SCOPE) == []


def test_inputs_of_a_workflow_get_their_types() -> None:
    """Values are converted, defaults filled, and wrong ones told."""
    draft = plan(
        inputs=[
            {"name": "service", "value": "WEB"},
            {"name": "days", "value": "3"},
            {"name": "note", "value": None},
        ]
    )

    assert workflow_inputs(CHECK, draft.inputs, SCOPE.world) == ({"service": "web", "days": 3}, [])
    wrong = plan(
        inputs=[
            {"name": "service", "value": "wbe"},
            {"name": "days", "value": "many"},
            {"name": "color", "value": "red"},
        ]
    )
    faults = " ".join(workflow_inputs(CHECK, wrong.inputs, SCOPE.world)[1])
    assert "did you mean web" in faults
    assert "not a whole number" in faults
    assert 'takes no input "color"' in faults


def test_a_workflow_becomes_children_that_people_wrote() -> None:
    """All links lead to siblings, and the words stay reviewed."""
    steps = {step.id: step for step in workflow_steps(CHECK, SCOPE)}

    assert list(steps) == ["goal.look", "goal.gate", "goal.fix", "goal.answer"]
    assert steps["goal.gate"].approves == ("goal.fix",)
    assert steps["goal.fix"].needs == ("goal.gate",)
    assert steps["goal.answer"].after == ("goal.fix",)
    assert all(step.parent == "goal" and step.is_reviewed for step in steps.values())


def test_a_later_look_may_add_replace_and_drop() -> None:
    """New steps see what was planned before; those not begun may be planned anew."""
    scope = later(read("a"), read("b"), read("c"), begun=frozenset({"goal.a"}))
    draft = review(read("b", needs=["a"]), read("d", after=["b"]), dropped=["c"])

    assert check_review(draft, scope) == []


@pytest.mark.parametrize(
    ("draft", "what"),
    [
        (review(), "needs steps or dropped"),
        (review(read("a")), "has begun, so it cannot be planned anew"),
        (review(dropped=["a"]), "has begun, so it cannot be dropped"),
        (review(dropped=["x"]), 'no step "x"'),
        (review(read("d", needs=["c"]), dropped=["c"]), "will not succeed any more"),
        (review(read("d", needs=["bad"])), "will not succeed any more"),
        (review(read("b"), dropped=["b"]), "both planned and dropped"),
        (review(read("b", after=["d"]), read("d", after=["b"])), "wait for each other"),
        (review(decision="ask"), "needs a question"),
    ],
)
def test_a_wrong_change_is_told_what_is_wrong(draft: ReviewDraft, what: str) -> None:
    """The past is never rewritten, and nothing is hung on what has failed."""
    begun = frozenset({"goal.a", "goal.bad"})
    steps = (read("a"), read("b"), read("c"), read("bad"))
    scope = later(*steps, begun=begun, failed=frozenset({"goal.bad"}))

    assert any(what in error for error in check_review(draft, scope))


def test_a_worn_out_plan_takes_no_steps() -> None:
    """Only going on and finishing are left."""
    scope = later(read("a"), may_add=False)

    assert "no steps can be added" in check_review(review(read("b")), scope)[0]
    assert check_review(review(decision="finish"), scope) == []
    assert check_review(review(dropped=["a"]), scope) == []


def test_faults_of_what_was_planned_before_are_not_told() -> None:
    """A workflow's step that the model did not write is not its fault."""
    odd = Step(id="goal.odd", title="odd", agent="gone", parent="goal")

    assert check_review(review(read("b", after=["odd"])), replace(SCOPE, steps=(odd,))) == []


def test_the_answer_of_one_step() -> None:
    """An agent without an own output is asked for an answer; one with a headline gives it."""
    free, own, without, below = (
        Step(id="goal.x", title="x", agent=name)
        for name in ("writer", "reporter", "reader", "below")
    )

    step, answer = with_answer(free, SCOPE)
    assert (step.output_schema, answer) == (ANSWER_SCHEMA, "goal.x")
    assert with_answer(own, SCOPE) == (own, "goal.x")
    assert with_answer(below, SCOPE) == (below, "goal.x")
    assert with_answer(without, SCOPE) == (without, "")
    assert with_answer(replace(free, for_each="[1]"), SCOPE)[1] == ""


def test_the_best_agent_is_chosen_by_words() -> None:
    """The description decides; without a word in common, whoever has most tools."""
    team = dict(SCOPE.team)

    assert best_agent("restart the service", team) is AGENTS["fixer"]
    assert best_agent("a text for our customers", team) is AGENTS["writer"]
    assert best_agent("qqq", team) is AGENTS["fixer"]
    assert best_agent("restart it", {"below": AGENTS["below"], "reader": AGENTS["reader"]}) is None


def test_who_takes_the_goal_alone_gets_its_words_as_they_are() -> None:
    """The goal is an input, so what looks like an expression in it is none."""
    step = only_step(AGENTS["writer"], "sum up {{ x }}", SCOPE)

    assert (step.id, step.title) == ("goal.work", "sum up {{ x }}")
    assert step.instruction == "{{ goal.inputs.goal }}"


@pytest.mark.parametrize("schema", [PLAN_SCHEMA, REVIEW_SCHEMA, SYNTHESIS_SCHEMA, ANSWER_SCHEMA])
def test_shapes_fit_providers(schema: dict[str, Any]) -> None:
    """What a supervisor is asked for can be enforced while a model writes."""
    assert strict_schema(schema) is not None


NAMES = st.sampled_from(["a", "b", "c", "A", "", "a.b", "{{", "x" * 60])
EXPRESSIONS = st.sampled_from(
    ["", "1", "steps.a", "steps.b.items", "{{", "item", "1 / 0", "goal.x"]
)


@given(
    drafts=st.lists(
        st.fixed_dictionaries(
            {
                "id": NAMES,
                "title": st.text(max_size=90),
                "agent": st.sampled_from(["", "reader", "writer", "below", "spy", "nobody"]),
                "tool": st.sampled_from(["", "", "logs.search", "x", "no.tool"]),
                "instruction": EXPRESSIONS.map(lambda one: f"{{{{ {one} }}}}" if one else one),
                "needs": st.lists(NAMES, max_size=3),
                "after": st.lists(NAMES, max_size=2),
                "approves": st.lists(NAMES, max_size=1),
                "when": EXPRESSIONS,
                "for_each": EXPRESSIONS,
                "approval": st.booleans(),
            }
        ),
        max_size=4,
    )
)
def test_any_draft_is_either_carried_out_or_sent_back(drafts: list[dict[str, Any]]) -> None:
    """Nothing that a model can write breaks the check, and what passes makes steps."""
    draft = plan(*drafts)

    errors = check_plan(draft, SCOPE)

    assert all(isinstance(error, str) and error for error in errors)
    if not errors:
        steps = steps_of(draft.steps, SCOPE)
        ids = {step.id for step in steps}
        assert len(ids) == len(steps)
        assert all({*step.needs, *step.after, *step.approves} <= ids for step in steps)
