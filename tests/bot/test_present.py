"""Runs and incidents become views that say what is going on in plain words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.domain import Answer, Cite, Claim, Evidence, JsonObject, Moment, Plan
from agents.plan import plan_from_workflow
from bot.phases import headline
from bot.present import Presenter
from jobs import commands as c
from jobs.incidents import fold, held_back
from jobs.questions import answerers_text
from jobs.run import apply_all, begin, decide, start
from jobs.state import Approval, ProposedCall, Question, Run, Status, Terms
from tests.bot.samples import ALICE, CATALOGUE, INCIDENT, NOW, TOOLBOX
from tests.jobs.alerts import NOW as ALERT_NOW
from tests.jobs.alerts import ROUTE, firing, resolved
from tests.jobs.plans import GOAL

PRESENT = Presenter(CATALOGUE, TOOLBOX)
BOB = replace(ALICE, id="console:bob", name="Bob")


def begun(plan: Plan | None = None) -> Run:
    """Return a run of the incident workflow that has just begun."""
    plan = plan or plan_from_workflow(INCIDENT)
    goal = replace(GOAL, inputs={"service": "checkout"})
    happened = start("run-1", c.StartRun(goal, plan), NOW)
    return apply_all(begin("run-1", happened[0]), happened[1:])  # type: ignore[arg-type]


def send(run: Run, *commands: c.Command) -> Run:
    """Return the run after the commands."""
    for command in commands:
        run = apply_all(run, decide(run, command, NOW + 1))
    return run


def take(run: Run, *steps: str) -> Run:
    """Return the run with the steps taken."""
    return send(run, *(c.StartStep(s, run.steps[s].attempt, "w") for s in steps))


def finish(run: Run, *steps: str, output: Any = None) -> Run:
    """Return the run with the steps taken and succeeded."""
    run = take(run, *steps)
    return send(run, *(c.FinishStep(s, run.steps[s].attempt, output) for s in steps))


def waiting(quorum: int = 1) -> Run:
    """Return a run that waits for a rollback to be approved."""
    run = take(finish(begun(), "metrics", "logs"), "rollback")
    args: JsonObject = {"service": "checkout", "release": "3f2a1c9"}
    approval = Approval(
        id="run-1-rollback",
        step_id="rollback",
        calls=(
            ProposedCall(
                "rollback/call", "service.rollback", args, "roll back checkout to 3f2a1c9"
            ),
        ),
        terms=Terms(groups=("oncall",), quorum=quorum, expires_at=NOW + 600, policy="writes"),
        requested_at=NOW + 1,
        reason="The release is the most likely cause.",
    )
    return send(run, c.RequestApproval("rollback", 1, approval))


def test_headline_names_what_runs_and_how_far_it_is() -> None:
    """While steps run, the headline joins their titles without saying the same twice."""
    assert headline(begun()) == (
        "Waiting for a free worker: Reading metrics and logs (0 of 4 done)"
    )
    assert headline(take(begun(), "metrics", "logs")) == "Reading metrics and logs (0 of 4 done)"
    assert headline(take(finish(begun(), "logs"), "metrics")) == "Reading metrics (1 of 4 done)"


def test_headline_asks_for_the_approval() -> None:
    """A decision that is waited for comes before anything else."""
    assert headline(waiting()) == "Waiting for approval: roll back checkout to 3f2a1c9"


def test_headline_asks_the_question() -> None:
    """A question is shown as it was asked."""
    question = Question("q1", "rollback", "Did the rollback happen?", ("done", "retry", "skip"))
    run = take(finish(begun(), "metrics", "logs"), "rollback")

    asked = send(run, c.AskQuestion("rollback", 1, question))

    assert headline(asked) == "Waiting for an answer: Did the rollback happen?"
    (view,) = PRESENT.run_view(asked).questions
    assert view.options == ("done", "retry", "skip")


def test_headline_of_a_stopped_run_names_who_stopped_it() -> None:
    """In the end the answer's headline is the headline."""
    stopped = send(take(begun(), "metrics"), c.StopRun(ALICE, "false alarm"))

    assert stopped.is_over
    assert headline(stopped).startswith("Stopped by Alice")


def test_run_view_shows_every_step_with_its_worker() -> None:
    """Agents are shown by title, tools by name, times and attempts as they are."""
    view = PRESENT.run_view(take(begun(), "metrics"))

    assert view.title == "Incident response: checkout"
    assert [(s.id, s.worker_name, s.status) for s in view.steps] == [
        ("metrics", "Metrics analyst", Status.RUNNING),
        ("logs", "logs.patterns", Status.QUEUED),
        ("rollback", "service.rollback", Status.PENDING),
        ("answer", "test.answer", Status.PENDING),
    ]
    assert view.steps[0].started_at == NOW + 1
    assert view.steps[0].attempt == 1
    assert view.requester == "Rae"


def test_notes_of_steps_say_why() -> None:
    """A failed step shows its error, a skipped one its reason, a waiting one what for."""
    run = take(begun(), "metrics")
    run = send(run, c.FailStep("metrics", 1, "no such metric", may_retry=False))
    steps = {step.id: step for step in PRESENT.run_view(run).steps}

    assert steps["metrics"].note == "no such metric"
    assert steps["rollback"].note == "needs Reading metrics, which failed"
    asking = {step.id: step for step in PRESENT.run_view(waiting()).steps}
    assert asking["rollback"].note == "waiting for approval"


def test_approval_view_has_all_that_a_click_needs() -> None:
    """Schema, digest, revision and who may decide come from the tool and the policy."""
    run = waiting(quorum=2)
    approval = run.approvals["run-1-rollback"]
    run = send(run, c.Decide(approval.id, BOB, True, 1, approval.digest, "looks right"))
    (view,) = PRESENT.run_view(run).approvals

    assert view.title == "roll back checkout to 3f2a1c9"
    assert view.approvers == "group oncall"
    assert view.digest == approval.digest
    assert view.votes == ("Bob approved: looks right",)
    assert (view.quorum, view.revision, view.status) == (2, 1, "pending")
    (call,) = view.calls
    assert set(call.schema["properties"]) == {"service", "release"}
    assert call.effect == "writes"


def test_call_of_a_tool_that_is_gone_is_still_shown() -> None:
    """An old run can be looked at after its tool was removed."""
    run = waiting()
    approval = run.approvals["run-1-rollback"]
    call = replace(approval.calls[0], tool="gone.tool")
    run = replace(run, approvals={approval.id: replace(approval, calls=(call,))})

    (view,) = PRESENT.run_view(run).approvals

    assert view.calls[0].schema == {}


def test_answer_view_carries_the_evidence_in_order_of_mention() -> None:
    """Cited evidence first, then charts; what is not cited stays out."""
    evidence = {
        key: Evidence(key, "run-1", "metrics", "metrics.onset", key, "text", NOW)
        for key in ("e1", "e2", "e3", "chart")
    }
    claims = (Claim("b", (Cite("e2", "x"), Cite("e1", "y"))), Claim("a", (Cite("e2", "z"),)))
    answer = Answer("Fixed", claims=claims, charts=("chart",))

    view = PRESENT.answer_view(replace(begun(), answer=answer), evidence)

    assert view is not None
    assert [one.id for one in view.evidence] == ["e2", "e1", "chart"]
    assert PRESENT.answer_view(begun(), evidence) is None


def test_incident_view_counts_what_is_folded() -> None:
    """Each alert has a line; repeats, flaps and what waits are said."""
    incident, _ = fold(None, firing(annotations={"summary": "41 % errors"}), ROUTE, ALERT_NOW)
    incident, _ = fold(incident, firing(), ROUTE, ALERT_NOW)
    incident, _ = fold(incident, resolved("Slow"), ROUTE, ALERT_NOW)
    incident, _ = fold(incident, firing("Cut", cut_off=3), ROUTE, ALERT_NOW)

    view = PRESENT.incident_view(held_back(incident, "Waiting for room."))

    assert view.folded == 2
    assert [moment.text for moment in view.alerts] == [
        "HighErrors (critical): 41 % errors — delivered 2 times",
        "Slow (critical) — resolved",
        "Cut (critical)",
        "The source left 3 alerts out of a delivery.",
        "Waiting for room.",
    ]
    assert view.alerts[1] == Moment(ALERT_NOW - 10, "Slow (critical) — resolved", "recovery")


@pytest.mark.parametrize(
    ("titles", "joined"),
    [
        (["Reading metrics"], "Reading metrics"),
        (
            ["Look at metrics", "Look at logs", "Look at deploys"],
            "Look at metrics, logs and deploys",
        ),
        (["Metrics", "Logs"], "Metrics and logs"),
        (["A b", "HTTP check", "C", "D", "E"], "A b, HTTP check, C and 2 more"),
        (["Same", "Same"], "Same"),
    ],
)
def test_titles_are_joined_as_people_do(titles: list[str], joined: str) -> None:
    """Words that all titles begin with are said once; a long list is counted."""
    steps = tuple(
        replace(plan_from_workflow(INCIDENT).steps[1], id=f"s{index}", title=title)
        for index, title in enumerate(titles)
    )
    plan = Plan(workflow="incident", steps=steps, answer="s0")

    run = take(begun(plan), *(step.id for step in steps))

    assert headline(run) == f"{joined} (0 of {len(titles)} done)"


def test_a_question_names_who_may_answer() -> None:
    """Groups and people are named; without any, nothing is said."""
    limited = Question("q", "rollback", "Done?", users=("console:bob",), groups=("oncall",))

    assert answerers_text(limited) == "group oncall or console:bob"
    assert answerers_text(Question("q", "rollback", "Done?")) == ""


def test_examples_come_from_the_workflows() -> None:
    """What people may type is read from the configuration, each goal once."""
    examples = PRESENT.examples()

    assert set(examples) == {
        text for w in CATALOGUE.workflows.values() for text in w.match.examples
    }
