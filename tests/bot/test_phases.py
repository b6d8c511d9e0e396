"""What a supervised run is doing is said in words, from its first frame to its answer."""

from __future__ import annotations

from hypothesis import given

from agents.domain import Moment
from bot.phases import headline, phase
from jobs import commands as c
from jobs.state import Question, Run
from tests.bot.planned import (
    AGENTS,
    GOAL_TEXT,
    NOW,
    PRESENT,
    ROOT,
    child,
    finish,
    nested_runs,
    planned,
    revise,
    send,
    take,
)

METRICS = child(ROOT, "metrics", "Read metrics", "metrics-analyst")
LOGS = child(ROOT, "logs", "Read logs", "log-analyst")
DRAFT = child(ROOT, "draft", "Draft the update", "comms-lead", needs=("metrics",))


def said(run: Run) -> str:
    """Return the headline."""
    return headline(run, AGENTS)


def test_first_frame_says_planning() -> None:
    """Before any worker took the goal the card says what happens, in the words of the goal."""
    view = PRESENT.run_view(planned())

    assert view.headline == "Planning"
    assert view.title.startswith("find out why p95 of checkout doubled")
    assert view.goal == GOAL_TEXT
    assert view.steps == ()
    assert view.planner is not None
    assert (view.planner.worker_name, view.planner.is_planner) == ("Supervisor", True)
    assert said(take(planned(), ROOT)) == "Planning"


def test_plan_shows_its_steps_instead_of_the_goal() -> None:
    """Who does each, what waits for what, and why the plan is as it is."""
    run = revise(planned(), ROOT, METRICS, LOGS, DRAFT, reason="two places to look at")
    view = PRESENT.run_view(take(run, METRICS.id, LOGS.id))

    assert [(s.title, s.worker_name, s.depth) for s in view.steps] == [
        ("Read metrics", "Metrics analyst", 0),
        ("Read logs", "Log analyst", 0),
        ("Draft the update", "Communications lead", 0),
    ]
    assert view.steps[2].needs == (METRICS.id,)
    assert view.headline == "Read metrics and logs (0 of 3 done)"
    assert view.planner is not None
    assert view.planner.note == "two places to look at"


def test_supervisor_says_why_it_looks_again() -> None:
    """A failure, a finding, a message, and the end each have their words."""
    run = revise(planned(), ROOT, METRICS, LOGS, DRAFT)
    failed = take(run, LOGS.id)
    failed = send(failed, c.FailStep(LOGS.id, 1, "no such file", may_retry=False))
    found = finish(run, METRICS.id, {"replan": "checkout is fine, payments is slow"})
    heard = send(run, c.Signal(Moment(NOW + 5, "Alice: only the EU", "message")))
    alone = revise(planned(), ROOT, METRICS)

    assert said(failed) == "Reviewing what failed (1 of 3 done)"
    assert said(take(failed, METRICS.id)) == (
        "Reviewing what failed; meanwhile: Read metrics (1 of 3 done)"
    )
    assert said(found) == "Reviewing what was found (1 of 3 done)"
    assert said(heard) == "Taking in what was said (0 of 3 done)"
    assert said(finish(alone, METRICS.id)) == "Writing the answer"


def test_plan_in_a_plan_stands_inside_it() -> None:
    """The steps of a supervisor below the first are shown within its own."""
    run = finish(revise(planned(), ROOT, METRICS, DRAFT), METRICS.id)
    run = revise(run, DRAFT.id, child(DRAFT.id, "text", "Write it", "writer", for_each="[1, 2]"))
    view = PRESENT.run_view(run)

    assert [(s.id, s.depth) for s in view.steps] == [
        (METRICS.id, 0),
        (DRAFT.id, 0),
        ("goal.draft.text", 1),
        ("goal.draft.text.0", 2),
        ("goal.draft.text.1", 2),
    ]
    assert [one.planner for one in view.revisions] == ["", "Draft the update"]
    for key in ("goal.draft.text.0", "goal.draft.text.1"):
        run = finish(run, key)
    assert phase(run, DRAFT.id) == "Summing up"
    assert said(run) == "Summing up: Draft the update"


def test_each_revision_is_shown_with_its_reason() -> None:
    """What came in and what fell away, counted as people count; a look in between is none."""
    run = revise(planned(), ROOT, METRICS, LOGS, reason="look first", workflow="incident")
    run = send(run, c.Signal(Moment(NOW + 2, "thanks", "message")))
    run = revise(run, ROOT, reason="nothing to change", heard_at=NOW + 3)
    run = send(run, c.Signal(Moment(NOW + 4, "no logs", "message")))
    run = revise(run, ROOT, DRAFT, reason="as asked", dropped=(LOGS.id,), heard_at=NOW + 5)
    view = PRESENT.run_view(run)

    assert [(r.number, r.reason, r.added, r.dropped) for r in view.revisions] == [
        (1, "look first", ("Read metrics", "Read logs"), ()),
        (2, "as asked", ("Draft the update",), ("Read logs",)),
    ]
    assert view.revisions[0].workflow == "Incident response"
    assert view.workflow == "incident"
    assert view.planner is not None
    assert view.planner.note == "Plan 2: as asked"


def test_question_leaves_the_rest_running() -> None:
    """The headline asks, and says what goes on meanwhile; the question names who asks."""
    run = take(revise(planned(), ROOT, METRICS, LOGS), METRICS.id, LOGS.id)
    question = Question("q1", LOGS.id, "Which region?", ("eu", "us"), kind="input")
    run = send(run, c.AskQuestion(LOGS.id, 1, question))
    view = PRESENT.run_view(run)

    assert view.headline == "Waiting for an answer: Which region? (meanwhile: Read metrics)"
    (shown,) = view.questions
    assert (shown.kind, shown.asked_by) == ("input", "Log analyst")


def test_remark_on_an_output_is_told() -> None:
    """How a step came to its output stays on its line after its end."""
    run = take(revise(planned(), ROOT, METRICS), METRICS.id)
    run = send(run, c.FinishStep(METRICS.id, 1, 7, remark="no model answered: runbook"))

    (step,) = PRESENT.run_view(run).steps
    assert step.note == "no model answered: runbook"


def test_handoff_is_told_on_its_step() -> None:
    """From whom to whom, by their titles, and why; the step is the next agent's."""
    triage = child(ROOT, "ticket", "Solve the ticket", "triage")
    run = take(revise(planned(), ROOT, triage), triage.id)
    run = send(run, c.HandOff(triage.id, 1, "billing", "it is about an invoice"))
    (step,) = PRESENT.run_view(run).steps

    (handoff,) = step.handoffs
    assert (handoff.source, handoff.to) == ("Triage", "Billing")
    assert handoff.reason == "it is about an invoice"
    assert step.worker_name == "Billing"


@given(nested_runs())
def test_any_run_has_a_view(run: Run) -> None:
    """Whatever supervisors planned: each step stands once, inside what planned it, in one line."""
    view = PRESENT.run_view(run)

    shown = {step.id: step for step in view.steps}
    hidden = {view.planner.id} if view.planner else set()
    assert len(shown) == len(view.steps)
    assert set(shown) | hidden == set(run.steps)
    for step in view.steps:
        inside = shown.get(step.parent)
        assert step.depth == (inside.depth + 1 if inside else 0)
        assert "\n" not in step.note
    assert view.headline
    assert "\n" not in view.headline
    assert (view.spent is None) == (run.spent.calls == 0)
