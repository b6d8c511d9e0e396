"""The rules of supervising steps, as plain values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.domain import Moment, Plan, Step
from config.specs import Retries
from jobs import commands as c
from jobs import events as e
from jobs import planning
from jobs.commands import Refusal, Refused
from jobs.consequences import consequences
from jobs.run import MAX_REQUEUES, decide
from jobs.state import ApprovalStatus, CallStatus, Question, Run, Status, SubPlan
from tests.jobs.plans import (
    ALICE,
    NOW,
    fail,
    finish,
    plan,
    rollback_approval,
    send,
    started,
    step,
    take,
)


def child(name: str, scope: str = "goal", **fields: Any) -> Step:
    """Return a planned step."""
    links = {
        key: tuple(f"{scope}.{one}" for one in fields.pop(key, ())) for key in ("needs", "after")
    }
    return step(f"{scope}.{name}", parent=scope, is_reviewed=False, **links, **fields)


def revision(run: Run, *steps: Step, scope: str = "goal", **fields: Any) -> c.RevisePlan:
    """Return the command that plans these steps."""
    attempt = run.steps[scope].attempt
    return c.RevisePlan(scope, attempt, fields.pop("reason", "because"), steps=steps, **fields)


def planned(*steps: Step, **fields: Any) -> Run:
    """Return a run whose one step has planned these."""
    run = take(started(plan(step("goal"))), "goal")
    return send(run, revision(run, *steps, **fields))


def looking(run: Run, scope: str = "goal") -> Run:
    """Return the run with its supervisor at work again."""
    return take(run, scope)


def status(run: Run, name: str) -> Status:
    """Return where a child stands."""
    return run.steps[f"goal.{name}"].status


def refused(run: Run, command: c.Command) -> Refused:
    """Return why the run does not take the command."""
    with pytest.raises(Refused) as caught:
        decide(run, command, NOW)
    return caught.value


def message(text: str, at: float = NOW) -> c.Signal:
    """Return what a person wrote."""
    return c.Signal(Moment(at, text, planning.MESSAGE))


def test_a_plan_starts_what_is_ready_and_holds_no_worker() -> None:
    """Children are queued as their needs allow; the supervisor waits without a lease."""
    run = planned(child("a"), child("b", needs=("a",)))

    assert status(run, "a") is Status.QUEUED
    assert status(run, "b") is Status.PENDING
    assert run.steps["goal"].is_waiting_for_children
    assert run.steps["goal"].worker == ""
    assert run.revisions[0].added == ("goal.a", "goal.b")


def test_the_same_plan_sent_twice_plans_once() -> None:
    """A worker that repeats itself after a silence of the store changes nothing."""
    run = take(started(plan(step("goal"))), "goal")
    command = revision(run, child("a"))
    run = send(run, command)

    assert decide(run, command, NOW) == []
    assert refused(run, c.FinishStep("goal", 1, {})).refusal is Refusal.STALE
    assert refused(run, c.LoseStep("goal", 1)).refusal is Refusal.STALE


def test_a_supervisor_looks_again_when_all_has_ended() -> None:
    """The last child to end queues its supervisor."""
    run = finish(planned(child("a"), child("b")), "goal.a")
    assert run.steps["goal"].is_waiting_for_children

    run = finish(run, "goal.b")

    assert run.steps["goal"].status is Status.QUEUED
    assert run.steps["goal"].attempt == 2
    run = finish(run, "goal", {"headline": "done"})
    assert run.status is Status.SUCCEEDED


def test_the_answer_of_a_child_is_the_answer() -> None:
    """With an answer the supervisor need not look at the end."""
    run = planned(child("a"), child("b", after=("a",)), answer="goal.b")

    run = finish(finish(run, "goal.a"), "goal.b", {"headline": "b says"})

    assert run.answer is not None
    assert run.answer.headline == "b says"
    assert run.gives_answer("goal.b")
    assert run.steps["goal"].attempt == 1


def test_an_answer_that_failed_is_looked_at() -> None:
    """Without the answer it was promised, the supervisor decides."""
    run = fail(planned(child("a"), answer="goal.a"), "goal.a")

    assert run.steps["goal"].status is Status.QUEUED


def test_a_changed_plan_forgets_its_answer() -> None:
    """Whoever adds steps wants them in the answer; going on keeps the one there is."""
    run = fail(planned(child("a"), child("b"), answer="goal.b"), "goal.a")
    run = looking(run)
    went_on = send(run, revision(run, seen=("goal.a",)))
    changed = send(run, revision(run, child("c"), seen=("goal.a",)))

    assert _subplan(went_on).answer == "goal.b"
    assert _subplan(changed).answer == ""


def _subplan(run: Run) -> SubPlan:
    subplan = run.steps["goal"].subplan
    assert subplan is not None
    return subplan


def test_what_needs_a_failed_step_waits_for_the_supervisor() -> None:
    """It is neither run nor skipped before the supervisor has looked."""
    run = fail(planned(child("a"), child("b", needs=("a",)), child("c", after=("a",))), "goal.a")

    assert status(run, "b") is Status.PENDING
    assert status(run, "c") is Status.QUEUED
    assert run.steps["goal"].status is Status.QUEUED
    run = looking(run)
    run = send(run, revision(run, seen=("goal.a",)))
    assert status(run, "b") is Status.SKIPPED


def test_a_replaced_step_goes_on_with_what_it_needs_now() -> None:
    """A step not yet begun may be planned anew under its own name."""
    run = looking(fail(planned(child("a"), child("b", needs=("a",))), "goal.a"))

    run = send(run, revision(run, child("a2"), child("b", needs=("a2",)), seen=("goal.a",)))

    assert run.children["goal.b"].needs == ("goal.a2",)
    run = finish(run, "goal.a2")
    assert status(run, "b") is Status.QUEUED


def test_a_failure_during_a_look_is_looked_at_next() -> None:
    """What failed while the supervisor was thinking is news after its look."""
    run = looking(fail(planned(child("a"), child("b"), child("c")), "goal.a"))
    run = fail(run, "goal.b")

    run = send(run, revision(run, seen=("goal.a",)))

    assert run.steps["goal"].status is Status.QUEUED
    assert planning.news(run, run.steps["goal"].children, _subplan(run)) == ["goal.b"]


@pytest.mark.parametrize(
    "output", [{"replan": "look at the database"}, [{"x": 1}, {"replan": "look at the database"}]]
)
def test_a_finding_wakes_the_supervisor(output: Any) -> None:
    """A child (or one of a fan-out) says that the plan should change."""
    run = finish(planned(child("a"), child("b")), "goal.a", output)

    assert run.steps["goal"].status is Status.QUEUED
    assert planning.finding_of(run.steps["goal.a"]) == "look at the database"


@pytest.mark.parametrize("output", [{"replan": ""}, {"replan": 3}, "replan", None, {}])
def test_nothing_to_say_wakes_nobody(output: Any) -> None:
    """Only words count as a finding."""
    run = finish(planned(child("a"), child("b")), "goal.a", output)

    assert run.steps["goal"].is_waiting_for_children


def test_a_message_wakes_the_first_supervisor_alone() -> None:
    """People speak to the run; who plans below is told by its own supervisor."""
    run = take(planned(child("part"), child("other")), "goal.part")
    run = send(run, revision(run, child("x", "goal.part"), scope="goal.part"))

    run = send(run, message("Rae: hurry"))

    assert run.steps["goal"].status is Status.QUEUED
    assert run.steps["goal.part"].is_waiting_for_children
    assert planning.unheard(run, "goal", _subplan(run)) == ["Rae: hurry"]
    assert planning.unheard(run, "goal.part", None) == []


def test_a_message_is_heard_once() -> None:
    """After a look that heard it, the plan goes on; the next message wakes again."""
    run = looking(send(planned(child("a")), message("Rae: one")))
    run = send(run, revision(run, heard_at=NOW))
    assert run.steps["goal"].is_waiting_for_children

    run = send(run, message("Rae: two"))

    assert run.steps["goal"].status is Status.QUEUED
    assert planning.unheard(run, "goal", _subplan(run)) == ["Rae: two"]


def test_a_message_of_a_slow_clock_is_heard() -> None:
    """A message that claims to be older than the last one heard comes after it all the same."""
    run = looking(send(planned(child("a")), message("Rae: one", NOW + 5)))
    run = send(run, revision(run, heard_at=NOW + 5))

    run = send(run, message("Bob: two", NOW - 100))

    assert planning.unheard(run, "goal", _subplan(run)) == ["Bob: two"]


def test_a_message_sent_twice_is_one() -> None:
    """A repeated delivery is not heard as another message."""
    run = send(planned(child("a")), message("Rae: one"))
    run = send(run, message("Bob: two"))

    assert decide(run, message("Rae: one"), NOW) == []
    assert decide(run, message("Bob: two"), NOW) == []
    assert len(run.signals) == 2


def test_a_message_at_the_end_is_looked_at() -> None:
    """An answer of a child does not end a plan that a person just spoke to."""
    run = planned(child("a"), answer="goal.a")
    run = looking(send(run, message("Rae: wait")))
    run = finish(run, "goal.a", {"headline": "x"})

    run = send(run, message("Rae: and this"))
    run = send(run, revision(run, child("b"), heard_at=NOW, seen=("goal.a",)))

    assert run.steps["goal"].status is Status.QUEUED


def test_what_has_begun_is_never_rewritten() -> None:
    """Neither replaced nor dropped: a queued, running or ended step stays as it was."""
    run = looking(fail(planned(child("a"), child("b"), child("c", needs=("b",))), "goal.a"))

    sentence = refused(run, revision(run, child("b", title="other"))).sentence
    dropped = send(run, revision(run, dropped=("goal.b", "goal.c"), seen=("goal.a",)))

    assert "goal.b has begun" in sentence
    assert status(dropped, "b") is Status.QUEUED
    assert status(dropped, "c") is Status.SKIPPED
    assert "no longer needed: because" in dropped.steps["goal.c"].reason


def test_dropping_all_that_is_left_leads_to_the_last_look() -> None:
    """A supervisor that wants to finish is queued for it at once."""
    run = looking(fail(planned(child("a"), child("b", needs=("a",))), "goal.a"))

    run = send(run, revision(run, dropped=("goal.b",), seen=("goal.a",)))

    assert status(run, "b") is Status.SKIPPED
    assert run.steps["goal"].status is Status.QUEUED


@pytest.mark.parametrize(
    ("steps", "fields", "what"),
    [
        ((), {}, "nothing is left"),
        ((child("x"), child("x")), {}, "same id"),
        ((step("x"),), {}, "not named as a child"),
        ((child("x", "other"),), {}, "not named as a child"),
        ((child("x", needs=("nowhere",)),), {}, "not in the plan"),
        ((child("x", after=("y",)), child("y", needs=("x",))), {}, "loops"),
        ((child("x"),), {"dropped": ("goal.x",)}, "no step goal.x to drop"),
        ((child("x"),), {"answer": "goal.y"}, "no step that is still to end"),
        (tuple(child(f"x{n}") for n in range(100)), {}, "more than 100"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    steps: tuple[Step, ...], fields: dict[str, Any], what: str
) -> None:
    """Each rule says in words what is wrong."""
    run = take(started(plan(step("goal"))), "goal")

    refusal = refused(run, revision(run, *steps, **fields))

    assert refusal.refusal is Refusal.INVALID
    assert what in refusal.sentence


def test_a_full_plan_may_still_replace_its_steps() -> None:
    """A step that is planned anew does not count twice."""
    steps = [child("a"), *(child(f"x{n}", needs=("a",)) for n in range(98))]
    run = looking(fail(planned(*steps), "goal.a"))

    run = send(run, revision(run, child("x0"), seen=("goal.a",)))

    assert status(run, "x0") is Status.QUEUED


def test_supervisors_plan_only_so_deep() -> None:
    """Beyond the limit no steps can be planned."""
    run = take(started(plan(step("goal"))), "goal")
    scope = "goal"
    for _ in range(planning.MAX_DEPTH - 1):
        run = send(run, revision(run, child("s", scope), scope=scope))
        scope = f"{scope}.s"
        run = take(run, scope)
    run = send(run, revision(run, child("s", scope), scope=scope))
    run = take(run, f"{scope}.s")

    refusal = refused(run, revision(run, child("s", f"{scope}.s"), scope=f"{scope}.s"))

    assert "levels deep" in refusal.sentence
    assert planning.depth(run, f"{scope}.s") == planning.MAX_DEPTH


def test_a_plan_is_changed_only_so_often() -> None:
    """After the most looks, failures wake nobody and nothing can be added; the end still does."""
    run = planned(child("a"), child("b", needs=("a",)))
    state = run.steps["goal"]
    assert state.subplan is not None
    worn = replace(state, subplan=replace(state.subplan, looks=planning.MAX_LOOKS))
    run = replace(run, steps={**run.steps, "goal": worn})

    run = fail(run, "goal.a")

    assert status(run, "b") is Status.SKIPPED
    run = looking(run)
    assert "most" in refused(run, revision(run, child("c"))).sentence


def test_a_supervisor_cannot_end_before_its_steps() -> None:
    """An answer while steps still work is refused."""
    run = looking(fail(planned(child("a"), child("b")), "goal.a"))

    assert refused(run, c.FinishStep("goal", 2, {})).refusal is Refusal.INVALID


def broken(run: Run) -> Run:
    """Return the run after its supervisor, which has something to look at, failed."""
    run = looking(run)
    attempt = run.steps["goal"].attempt
    return send(run, c.FailStep("goal", attempt, "broken", may_retry=False))


def test_a_failed_supervisor_takes_its_plan_along() -> None:
    """What has not begun is skipped, what works is cancelled, at every level, and the run ends."""
    steps = (child("a"), child("b"), child("c", needs=("b",)), child("d", for_each="[1, 2]"))
    run = planned(*steps, child("part"), child("asks"), child("waits"))
    run = take(run, "goal.part")
    run = send(run, revision(run, child("x", "goal.part"), scope="goal.part"))
    run = take(take(take(run, "goal.asks"), "goal.waits"), "goal.d.0")
    question = Question("q-1", "goal.asks", "Which?", kind="input", asked_at=NOW)
    run = send(run, c.AskQuestion("goal.asks", 1, question))
    run = send(run, c.RequestApproval("goal.waits", 1, rollback_approval(run, "goal.waits")))

    run = broken(fail(run, "goal.a"))

    assert status(run, "c") is Status.SKIPPED
    for name in ("b", "d", "d.0", "d.1", "part", "part.x", "asks", "waits"):
        assert status(run, name) is Status.CANCELLED, name
    assert run.questions["q-1"].is_cancelled
    assert [one.status for one in run.approvals.values()] == [ApprovalStatus.CANCELLED]
    assert run.status is Status.FAILED


def timed(*steps: Step, **fields: Any) -> Run:
    """Return a run whose one step has chosen a workflow that may take a minute."""
    return planned(*steps, workflow="check", max_wall_s=60, **fields)


def test_a_chosen_workflow_that_takes_too_long_ends() -> None:
    """Its supervisor fails, whatever it waits for, and its plan with it."""
    run = looking(fail(timed(child("a"), child("b")), "goal.a"))
    question = Question("q-1", "goal", "Which?", kind="input", asked_at=NOW)
    run = send(run, c.AskQuestion("goal", 2, question))
    limit = c.FireTimer(c.TimerKind.WALL, "goal")
    assert consequences(None, run).timers_set[(c.TimerKind.WALL, "goal")] == NOW + 60
    assert decide(run, limit, NOW + 59) == []

    run = send(run, limit, NOW + 60)

    assert run.steps["goal"].error == "its workflow check may take 60 s"
    assert status(run, "b") is Status.CANCELLED
    assert run.questions["q-1"].is_cancelled
    assert run.status is Status.FAILED


def test_the_limit_of_a_workflow_below_ends_only_that() -> None:
    """The supervisor above looks at the failure, and the run goes on."""
    run = take(planned(child("part"), child("other")), "goal.part")
    below = revision(
        run, child("x", "goal.part"), scope="goal.part", workflow="check", max_wall_s=60
    )
    run = send(run, below)

    run = send(run, c.FireTimer(c.TimerKind.WALL, "goal.part"), NOW + 60)

    assert status(run, "part") is Status.FAILED
    assert status(run, "part.x") is Status.CANCELLED
    assert status(run, "other") is Status.QUEUED
    assert run.steps["goal"].status is Status.QUEUED


def test_what_has_no_limit_or_has_ended_takes_no_time() -> None:
    """A plan of a supervisor's own is held to the run's limit alone."""
    limit = c.FireTimer(c.TimerKind.WALL, "goal")
    ended = finish(timed(child("a"), answer="goal.a"), "goal.a", {"headline": "done"})

    assert decide(planned(child("a")), limit, NOW + 1e6) == []
    assert decide(ended, limit, NOW + 60) == []
    assert decide(planned(child("a")), c.FireTimer(c.TimerKind.WALL, "gone"), NOW) == []


def test_a_failed_supervisor_lets_a_write_end() -> None:
    """Half a write helps nobody: it is put on record, no other begins, and then its step ends."""
    run = take(planned(child("a"), child("b"), child("c")), "goal.b")
    run = send(run, c.IntendCall("goal.b", 1, "goal.b/call", "service.restart", {}))
    run = broken(fail(run, "goal.a"))

    assert (status(run, "b"), status(run, "c")) == (Status.RUNNING, Status.CANCELLED)
    another = c.IntendCall("goal.b", 1, "goal.b/more", "service.restart", {})
    assert refused(run, another).refusal is Refusal.RUN_OVER
    run = send(run, c.FinishCall("goal.b", 1, "goal.b/call", is_success=True))
    assert run.calls["goal.b/call"].status is CallStatus.SUCCEEDED
    assert status(run, "b") is Status.CANCELLED
    assert run.status is Status.FAILED


@pytest.mark.parametrize(
    ("command", "becomes"),
    [
        (c.LoseStep("goal.b", 1), Status.CANCELLED),
        (c.RequeueStep("goal.b", 1, "late"), Status.CANCELLED),
        (c.FailStep("goal.b", 1, "boom"), Status.FAILED),
    ],
)
def test_a_write_that_nobody_saw_end_is_told(command: c.Command, becomes: Status) -> None:
    """Its step is not tried again for a plan that has ended; the answer says where to look."""
    run = take(planned(child("a"), child("b", retries=Retries(times=3))), "goal.b")
    run = send(run, c.IntendCall("goal.b", 1, "goal.b/call", "service.restart", {}))
    run = broken(fail(run, "goal.a"))

    run = send(run, command)

    assert status(run, "b") is becomes
    assert run.answer is not None
    assert "Check by hand" in run.answer.recommendations[0]


def test_a_lost_supervisor_looks_again() -> None:
    """A worker that dies during a look gives the look to another."""
    run = looking(fail(planned(child("a"), child("b", needs=("a",))), "goal.a"))

    run = send(run, c.LoseStep("goal", 2))

    assert run.steps["goal"].status is Status.QUEUED
    assert status(run, "b") is Status.PENDING


def test_a_decision_that_came_too_late_is_no_loss() -> None:
    """The supervisor looks once more, and the log says why; no worker died."""
    run = looking(fail(planned(child("a"), child("b", needs=("a",))), "goal.a"))

    run = send(run, c.RequeueStep("goal", 2, "step goal.b has begun"))

    state = run.steps["goal"]
    assert (state.status, state.attempt) == (Status.QUEUED, 3)
    assert (state.losses, state.tries, state.requeues) == (0, 0, 1)
    assert refused(run, c.RequeueStep("goal", 2, "again")).refusal is Refusal.STALE
    run = send(looking(run), replace(revision(run, child("d")), attempt=3))
    assert run.steps["goal"].requeues == 0


def test_who_always_decides_too_late_fails() -> None:
    """A decision that never fits is not made for ever."""
    run = planned(child("a"), child("b"))
    run = fail(run, "goal.a")
    for _ in range(MAX_REQUEUES + 1):
        run = looking(run)
        run = send(run, c.RequeueStep("goal", run.steps["goal"].attempt, "b has begun"))

    assert run.steps["goal"].status is Status.FAILED
    assert run.steps["goal"].error.endswith("came too late 6 times in a row: b has begun")


def test_a_stopped_run_looks_no_more() -> None:
    """What a stop let end only because of its write is not queued again."""
    run = take(started(plan(step("a"), step("end", after=("a",)))), "a")
    run = send(run, c.IntendCall("a", 1, "a/call", "service.restart", {}))
    run = send(run, c.StopRun(ALICE))

    run = send(run, c.RequeueStep("a", 1, "late"))

    assert run.steps["a"].status is Status.CANCELLED


def test_a_question_of_the_supervisor_holds_up_nobody_else() -> None:
    """Its children go on while people think."""
    run = looking(fail(planned(child("a"), child("b"), child("c", needs=("b",))), "goal.a"))
    question = Question("q-1", "goal", "Which?", kind="input", asked_at=NOW)
    run = send(run, c.AskQuestion("goal", 2, question))

    run = finish(run, "goal.b")

    assert status(run, "c") is Status.QUEUED
    assert run.status is Status.RUNNING
    run = send(run, c.AnswerQuestion("q-1", ALICE, "this"))
    assert run.steps["goal"].attempt == 3


def test_stopping_ends_every_level() -> None:
    """A stopped run has no step left, however deep it was planned."""
    run = take(planned(child("part"), child("other")), "goal.part")
    run = send(run, revision(run, child("x", "goal.part"), scope="goal.part"))

    run = send(run, c.StopRun(ALICE))

    assert run.is_over
    assert all(state.status is Status.CANCELLED for state in run.steps.values())


def test_a_step_at_the_side_does_not_hold_up_the_answer_below() -> None:
    """In a supervisor's plan, too, the answer ends what only waits at its side."""
    run = planned(child("a"), child("post", aside=True), answer="goal.a")
    run = take(run, "goal.post")
    run = send(run, c.RequestApproval("goal.post", 1, rollback_approval(run, "goal.post")))

    run = finish(run, "goal.a", {"headline": "done"})

    assert status(run, "post") is Status.SKIPPED
    assert run.status is Status.SUCCEEDED
    assert [one.status for one in run.approvals.values()] == [ApprovalStatus.CANCELLED]


def test_expressions_of_children_name_their_siblings() -> None:
    """A planned step reads its siblings by their short names."""
    steps = (child("a"), child("b", needs=("a",), when="steps.a.ok and status.a == 'succeeded'"))

    run = finish(planned(*steps, inputs={"x": 1}), "goal.a", {"ok": True})

    assert status(run, "b") is Status.QUEUED


def test_the_whole_story_can_be_told_again() -> None:
    """Replaying the events of a revision gives the same run."""
    run = take(started(Plan("test", (step("goal"),), "goal")), "goal")
    happened = decide(run, revision(run, child("a"), child("b", needs=("a",))), NOW)

    assert [type(event) for event in happened] == [e.PlanRevised, e.StepQueued]
