"""Views to look at: one story of an incident, and the other things that people see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from agents.domain import Answer, Cite, Claim, Evidence, Finding, Moment, ThreadRef
from bot.views import (
    AnswerView,
    ApprovalView,
    CallView,
    DiagnosisView,
    HandoffView,
    HomeView,
    IncidentView,
    LateView,
    NoteView,
    QuestionView,
    RevisionView,
    RunView,
    SpentView,
    StepView,
    SuspectView,
    View,
)
from jobs.state import Status

NOW: Final = 1_795_210_205.0
RUN: Final = "run-inc-7f3a-1"
THREAD: Final = ThreadRef("slack", "C0INCIDENTS", "1795210205.000100")
SCHEMA: Final = {
    "type": "object",
    "required": ["service", "release"],
    "properties": {
        "service": {"type": "string", "description": "The service to roll back."},
        "release": {"type": "string", "description": "The release to go back to."},
        "strategy": {
            "enum": ["rolling", "all at once"],
            "description": "How its instances are replaced.",
        },
        "grace_s": {
            "type": "integer",
            "minimum": 0,
            "maximum": 60,
            "description": "Seconds to let requests end.",
        },
        "drain": {"type": "boolean", "description": "Take it out of the load balancer first."},
        "notify": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Channels that are told.",
        },
    },
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A view with what it shows."""

    name: str
    title: str
    view: View


def step(
    id_: str, title: str, worker: str, status: Status, started: float | None = None, **more: object
) -> StepView:
    """Return a step that began so many seconds after the story did."""
    took = more.pop("took", None)
    begun = None if started is None else NOW + started
    ended = None if took is None or begun is None else begun + float(str(took))
    base = StepView(id_, title, worker, status, started_at=begun, ended_at=ended)
    return replace(base, **more)  # type: ignore[arg-type]


DONE: Final = Status.SUCCEEDED
GOING: Final = Status.RUNNING
OPEN: Final = Status.PENDING

LOOKED: Final = (
    step("metrics", "Read the metrics of checkout", "Metrics analyst", DONE, 1, took=4.2),
    step("logs", "Read the logs of checkout", "Log analyst", DONE, 1, took=6.8, attempt=2),
    step("deploys", "List recent deploys", "deploys.list", DONE, 1, took=1.2),
    step("alerts", "Look for related alerts", "alerts.related", DONE, 1, took=0.4),
    step("rank", "Rank the suspects", "Diagnostician", DONE, 8, took=1.4),
)
AFTER: Final = (
    step("rollback", "Roll back checkout", "service.rollback", OPEN),
    step("verify", "Verify the recovery", "Verifier", OPEN),
    step("answer", "Write the answer", "Reporter", OPEN),
)
CALL: Final = CallView(
    key="rollback/call",
    tool="service.rollback",
    title="service.rollback checkout to 3f2a1c9",
    args={
        "service": "checkout",
        "release": "3f2a1c9",
        "strategy": "rolling",
        "grace_s": 10,
        "drain": True,
        "notify": ["#checkout", "#oncall"],
    },
    schema=SCHEMA,
)
APPROVAL: Final = ApprovalView(
    id="ap-run-inc-7f3a-1-gate",
    run_id=RUN,
    title="Roll back checkout to 3f2a1c9",
    reason="Release 9d81e02 is the prime suspect: it went live 8 s before the first error, and "
    "its change touches the code in the new stack trace.",
    calls=(CALL,),
    revision=1,
    digest="5d41402abc4b2a76b9719d911017c592",
    status="pending",
    approvers="group oncall or group leads",
    quorum=1,
    votes=(),
    requested_at=NOW + 11,
    expires_at=NOW + 1_811,
    policy="writes need on-call",
)
DIAGNOSIS: Final = DiagnosisView(
    status="cause_found",
    confidence=0.91,
    symptoms=(Claim("41.2 % of checkouts fail since 21:30:02, before it was 0.1 %."),),
    suspects=(
        SuspectView(
            "Release 9d81e02 of checkout",
            "release",
            0.91,
            (
                Claim(
                    "It went live 8 s before the first error.",
                    (Cite("ev-deploys-1", "9d81e02 live 21:29:54"),),
                ),
            ),
        ),
        SuspectView("Payments answers slowly", "dependency", 0.22),
    ),
)
SPENT: Final = SpentView(
    text="$0.0214, 18,402 tokens, 6 model calls",
    calls=6,
    input_tokens=16_100,
    cached_tokens=8_192,
    output_tokens=2_302,
    cost_usd=0.0214,
    has_unknown_cost=False,
    models=("gpt-5-mini", "gpt-5"),
)
RUNNING: Final = RunView(
    run_id=RUN,
    title="Incident response: checkout",
    goal="Find out why checkout is failing: CheckoutErrorRateHigh",
    status=GOING,
    headline="Read the metrics, logs of checkout and list recent deploys (1 of 9 done)",
    requester="alertmanager",
    workflow="incident",
    steps=(
        replace(LOOKED[0], status=GOING, ended_at=None, note="error ratio 0.41 since 21:30:02"),
        replace(LOOKED[1], status=GOING, ended_at=None, note="12,204 lines, 3 new patterns"),
        replace(LOOKED[2], status=GOING, ended_at=None, attempt=1),
        LOOKED[3],
        replace(LOOKED[4], status=OPEN, started_at=None, ended_at=None),
        step("gate", "Approve the fix", "approval", OPEN),
        *AFTER,
    ),
    approvals=(),
    questions=(),
    started_at=NOW,
    ended_at=None,
    version=9,
    thread=THREAD,
)
WAITING: Final = replace(
    RUNNING,
    status=Status.WAITING,
    headline="Waiting for approval: Roll back checkout to 3f2a1c9",
    steps=(
        *LOOKED,
        step(
            "gate", "Approve the fix", "approval", Status.WAITING, 11, note="waiting for approval"
        ),
        *AFTER,
    ),
    approvals=(APPROVAL,),
    diagnosis=DIAGNOSIS,
    spent=SPENT,
    version=31,
)
APPROVED: Final = replace(
    APPROVAL,
    status="approved",
    decided_by="Alice",
    decided_at=NOW + 42,
    comment="the evidence is clear",
    votes=("Alice approved: the evidence is clear",),
)
FIXED: Final = replace(
    WAITING,
    status=DONE,
    headline="Fixed: checkout is back on 3f2a1c9, and 0.1 % of checkouts fail.",
    steps=(
        *LOOKED,
        step("gate", "Approve the fix", "approval", DONE, 11, took=31, waited_s=31.0),
        step("rollback", "Roll back checkout", "service.rollback", DONE, 42, took=8.1),
        step("verify", "Verify the recovery", "Verifier", DONE, 51, took=30),
        step("answer", "Write the answer", "Reporter", DONE, 81, took=2.0),
    ),
    approvals=(APPROVED,),
    ended_at=NOW + 83,
    version=52,
)
FAILED: Final = replace(
    RUNNING,
    status=Status.FAILED,
    headline="No answer: the metrics of checkout could not be read",
    steps=(
        step(
            "metrics",
            "Read the metrics of checkout",
            "Metrics analyst",
            Status.FAILED,
            1,
            took=30,
            attempt=3,
            note="Prometheus does not answer: connection refused (3 tries)",
        ),
        *LOOKED[1:4],
        step("rank", "Rank the suspects", "Diagnostician", Status.SKIPPED, note="not needed"),
        step("answer", "Write the answer", "Reporter", Status.CANCELLED),
    ),
    ended_at=NOW + 34,
    version=20,
)
GOAL: Final = "find out why p95 of checkout doubled since noon, and draft an update for customers"
PLANNING: Final = RunView(
    run_id="run-p95",
    title=GOAL,
    goal=GOAL,
    status=GOING,
    headline="Planning",
    requester="Alice",
    workflow="",
    steps=(),
    approvals=(),
    questions=(),
    started_at=NOW,
    ended_at=None,
    version=2,
    planner=step("goal", "The goal", "Supervisor", GOING, 0, is_planner=True),
    thread=replace(THREAD, id="1795210207.000300"),
)
QUESTION: Final = QuestionView(
    id="q-region",
    run_id="run-p95",
    text="Which region's logs should I read first? All of them take about ten minutes.",
    options=("EU", "US", "APAC"),
    expires_at=NOW + 900,
    kind="input",
    asked_by="Log analyst",
    asked_at=NOW + 20,
)
NESTED: Final = replace(
    PLANNING,
    status=Status.WAITING,
    headline="Waiting for an answer: Which region's logs should I read first? (meanwhile: "
    "Measure payments)",
    steps=(
        step("goal.latency", "Measure p95 since noon", "Metrics analyst", DONE, 3, took=9),
        step("goal.logs", "Look for new log patterns", "Log analyst", Status.WAITING, 3),
        step(
            "goal.traffic",
            "Compare the traffic",
            "Metrics analyst",
            Status.FAILED,
            3,
            took=2,
            note="no such indicator: checkout_traffic",
        ),
        step("goal.draft", "Draft the customer update", "Communications lead", GOING, 13),
        step(
            "goal.draft.facts",
            "Collect what customers see",
            "Log analyst",
            DONE,
            14,
            took=4,
            parent="goal.draft",
            depth=1,
        ),
        step("goal.draft.word", "Word it", "Writer", GOING, 18, parent="goal.draft", depth=1),
        step(
            "goal.draft.word.0", "EU", "Writer", DONE, 18, took=5, parent="goal.draft.word", depth=2
        ),
        step(
            "goal.draft.word.1",
            "US",
            "Billing",
            GOING,
            19,
            parent="goal.draft.word",
            depth=2,
            handoffs=(
                HandoffView("Writer", "Billing", "customers ask about double charges", NOW + 21),
            ),
        ),
        step("goal.draft.word.2", "APAC", "Writer", OPEN, parent="goal.draft.word", depth=2),
        step("goal.payments", "Measure payments", "Metrics analyst", GOING, 16),
        step("goal.verdict", "Weigh what was found", "Triage", OPEN),
    ),
    questions=(QUESTION,),
    revisions=(
        RevisionView(1, "Latency has three usual causes; the update can be drafted.", NOW + 2),
        RevisionView(
            2,
            "Checkout itself is idle, it waits for payments: look there.",
            NOW + 14,
            added=("Measure payments", "Weigh what was found"),
            dropped=("Compare the releases of checkout",),
        ),
    ),
    spent=SPENT,
    late=LateView(NOW + 60, 60.0, "group leads"),
    version=40,
)
EVIDENCE: Final = (
    Evidence(
        id="ev-metrics-1",
        run_id=RUN,
        step_id="metrics",
        tool="metrics.compare",
        title="Error ratio of checkout, before and after",
        text="before 0.1 % (median of 3600 s)\nafter 41.2 %\nonset 21:30:02Z\n",
        at=NOW + 5,
    ),
    Evidence(
        id="ev-deploys-1",
        run_id=RUN,
        step_id="deploys",
        tool="deploys.list",
        title="Deploys of checkout",
        text="9d81e02 live 21:29:54\n3f2a1c9 live 14:02:11\n",
        at=NOW + 2,
    ),
    Evidence(
        id="ev-chart-1",
        run_id=RUN,
        step_id="verify",
        tool="metrics.chart",
        title="Error ratio of checkout",
        text="error ratio, 21:00 to 21:32",
        at=NOW + 80,
        media_type="image/png",
    ),
)
ANSWER: Final = AnswerView(
    run_id=RUN,
    title="Incident response: checkout",
    answer=Answer(
        headline="Release 9d81e02 broke checkout; going back to 3f2a1c9 fixed it.",
        finding=Finding.FIXED,
        summary="The release wrote prices as text, and the tax service refused them with "
        "`ValueError: invalid literal`. After the rollback the error ratio fell from 41.2 % to "
        "0.1 % within 20 s.",
        claims=(
            Claim("41.2 % of checkouts failed.", (Cite("ev-metrics-1", "after 41.2 %"),)),
            Claim(
                "9d81e02 went live 8 s before the first error.",
                (
                    Cite("ev-deploys-1", "9d81e02 live 21:29:54"),
                    Cite("ev-metrics-1", "onset 21:30:02Z"),
                ),
            ),
            Claim("Payments was slow as well.", (), is_struck=True),
        ),
        confidence=0.91,
        timeline=(
            Moment(NOW - 11, "9d81e02 of checkout went live", "change"),
            Moment(NOW - 3, "the error ratio rose above 5 %", "symptom"),
            Moment(NOW, "CheckoutErrorRateHigh fired", "alert"),
            Moment(NOW + 42, "Alice approved the rollback", "decision"),
            Moment(NOW + 50, "checkout went back to 3f2a1c9", "action"),
            Moment(NOW + 70, "CheckoutErrorRateHigh was resolved", "recovery"),
        ),
        actions=("Rolled checkout back to 3f2a1c9, approved by Alice.",),
        recommendations=("Test prices with decimals before 9d81e02 goes live again.",),
        charts=("ev-chart-1",),
        used_model=True,
    ),
    evidence=EVIDENCE,
    spent=SPENT,
    took_s=83.0,
)
INCIDENT: Final = IncidentView(
    id="inc-7f3a",
    title="CheckoutErrorRateHigh: 41 % of checkouts fail",
    status="open",
    severity="critical",
    service="checkout",
    opened_at=NOW,
    resolved_at=None,
    alerts=(
        Moment(NOW, "CheckoutErrorRateHigh (critical): 41 % of checkouts fail", "alert"),
        Moment(NOW + 4, "CheckoutLatencyHigh (warning): p95 is 4.1 s", "alert"),
        Moment(NOW + 9, "CartAbandonedHigh (warning): 63 % leave — fired 3 times", "alert"),
        Moment(NOW + 12, "PodRestarts (warning): resolved, checkout-7d9 restarted", "recovery"),
        Moment(NOW + 30, "312 more alerts are part of this incident.", "note"),
        Moment(NOW + 30, "20 alerts beyond the limit were only counted.", "note"),
    ),
    folded=329,
    run_ids=(RUN,),
    thread=THREAD,
)
RESOLVED: Final = replace(
    INCIDENT,
    status="resolved",
    resolved_at=NOW + 96,
    alerts=(Moment(NOW, "CheckoutErrorRateHigh (critical): resolved — fired 1 time", "recovery"),),
    folded=0,
    acknowledged_by="Alice",
)
TAKEN: Final = replace(INCIDENT, taken_by="Bob", muted_until=NOW + 3_600)
ESCALATION: Final = NoteView(
    "Nobody has decided on *Roll back checkout* for 10 minutes: you may decide now.",
    "warning",
    ("group:leads", "slack:T0SHOP:U0BOB"),
)
HOME: Final = HomeView(
    person="Alice",
    at=NOW + 60,
    approvals=(APPROVAL,),
    runs=(WAITING, NESTED),
    incidents=(INCIDENT, replace(TAKEN, id="inc-2", title="PaymentsSlow: p95 is 3.2 s")),
    waiting_for_others=2,
)

SAMPLES: Final = (
    Sample("planning", "Planning", PLANNING),
    Sample("running", "Steps in parallel", RUNNING),
    Sample("approval", "An approval waits", WAITING),
    Sample("fixed", "Decided, fixed", FIXED),
    Sample("answer", "The answer", ANSWER),
    Sample("question", "A plan that changed, with a question", NESTED),
    Sample("failed", "Failed", FAILED),
    Sample("storm", "An alert storm", INCIDENT),
    Sample("taken", "Taken over and muted", TAKEN),
    Sample("resolved", "Resolved", RESOLVED),
    Sample("escalation", "An escalation", ESCALATION),
)
