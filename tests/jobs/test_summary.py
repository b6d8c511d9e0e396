"""What a run says of itself."""

from __future__ import annotations

from agents.domain import Finding, JsonObject, Moment
from jobs import commands as c
from jobs.state import ProposedCall, Run
from jobs.summary import call_text, decisions, fallback_answer, missing, timeline, variables
from tests.jobs.plans import (
    ALICE,
    NOW,
    ONCALL,
    approve,
    asked,
    fail,
    finish,
    plan,
    send,
    started,
    step,
    take,
)

PLAN = plan(step("look"), step("fix"), step("answer", after=("look", "fix")))


def acted(dropped: tuple[str, ...] = ()) -> Run:
    """Return a run in which an approved rollback ran."""
    run, approval = asked(started(PLAN), "fix", calls=2 if dropped else 1)
    run = send(run, approve(approval, dropped=dropped), NOW + 5)
    if dropped:
        return run
    run = take(run, "fix")
    call = approval.calls[0]
    run = send(run, c.IntendCall("fix", 2, call.key, call.tool, call.args, approval.id), NOW + 6)
    return send(run, c.FinishCall("fix", 2, call.key, is_success=True), NOW + 7)


def test_timeline_tells_signals_decisions_and_actions_in_order() -> None:
    """Whatever came from where, the oldest comes first."""
    run = send(acted(), c.Signal(Moment(NOW - 60, "ErrorRate fired", "alert")))

    assert [(moment.kind, moment.text) for moment in timeline(run)] == [
        ("alert", "ErrorRate fired"),
        ("note", "Approval asked: Roll back checkout"),
        ("decision", "Roll back checkout: approved by Alice"),
        ("action", "service.rollback checkout a0: succeeded"),
    ]


def test_decisions_are_plain_data() -> None:
    """Expressions can read who decided what, and why."""
    (decision,) = decisions(acted())

    assert decision["outcome"] == "approved"
    assert (decision["tool"], decision["by"]) == ("service.rollback", "Alice")


def test_call_that_was_left_out_counts_as_denied() -> None:
    """An approved plan does not make a dropped call an approved one."""
    found = decisions(acted(dropped=("fix/call1",)))

    assert [item["outcome"] for item in found] == ["approved", "denied"]


def test_decision_about_a_whole_step_is_told_too() -> None:
    """An approval without calls is a decision like others."""
    run, approval = asked(started(PLAN), "fix", ONCALL, calls=0)

    (decision,) = decisions(send(run, approve(approval, is_approval=False)))

    assert (decision["step"], decision["tool"], decision["outcome"]) == ("fix", "", "denied")


def test_long_arguments_do_not_stand_in_a_title() -> None:
    """Prose is left to the details."""
    call = ProposedCall(
        "k", "service.rollback", {"service": "checkout", "why": "x" * 60, "n": None}
    )

    assert call_text(call) == "service.rollback checkout"


def test_only_what_names_something_stands_in_a_title() -> None:
    """Sentences, switches and moments say nothing to people."""
    args: JsonObject = {
        "service": "payments",
        "reason": "It became bad first.",
        "with_dependencies": True,
        "since": 1_795_225_381.2,
        "limit": 20,
    }

    assert call_text(ProposedCall("k", "logs.patterns", args)) == "logs.patterns payments 20"


def test_expressions_see_ended_steps_only() -> None:
    """What a step reads does not depend on when it is started."""
    run = take(finish(started(PLAN), "look", {"x": 1}), "fix")

    known = variables(run, step("answer"))

    assert known["steps"] == {"look": {"x": 1}}
    assert known["status"] == {"look": "succeeded", "fix": "running", "answer": "pending"}


def test_story_is_told_only_to_steps_that_ask_for_it() -> None:
    """A step that does not speak of `run` does not pay for it."""
    run = fail(started(PLAN), "look", "boom")

    assert "run" not in variables(run, step("s", inputs={"x": "{{ steps.look }}"}))
    for fields in ({"inputs": {"x": ["{{ run.id }}"]}}, {"when": "run.id"}, {"for_each": "run.x"}):
        known = variables(run, step("s", **fields))
        assert known["run"]["statuses"]["look"]["error"] == "boom"
        assert known["run"]["statuses"]["look"]["title"] == "Look"


def test_what_failed_is_missing() -> None:
    """The answer can say what nobody could look at."""
    assert missing(fail(started(PLAN), "look", "no connection")) == ("Look failed: no connection",)


def test_answer_of_a_stopped_run_says_what_to_look_at() -> None:
    """A write that was cut off is named, for a person to check."""
    run = take(started(PLAN), "fix")
    run = send(run, c.IntendCall("fix", 1, "fix/call", "service.restart", {"service": "checkout"}))
    run = send(run, c.StopRun(ALICE, "wrong service"))

    answer = fallback_answer(run)

    assert answer.headline == "Stopped by Alice (wrong service); nothing further was done."
    assert answer.finding is Finding.FAILED
    assert answer.recommendations == (
        "Check by hand whether this took effect: service.restart checkout",
    )
