"""Views that hold anything: for rules that have to hold whatever a model or an alert says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from agents.domain import Answer, Cite, Claim, Evidence, Finding, Moment, ThreadRef
from bot.views import (
    AnswerView,
    ApprovalView,
    CallView,
    DiagnosisView,
    HandoffView,
    IncidentView,
    LateView,
    NoteView,
    QuestionView,
    RevisionView,
    RunView,
    SpentView,
    StepView,
    SuspectView,
)
from jobs.state import Status

NASTY = st.sampled_from(
    [
        "<!channel> <!here> <@U123> <#C1|x> <!subteam^S1>",
        "@channel @here @everyone",
        "[click](https://evil.example) ![x](https://evil.example/p.png)",
        "<https://evil.example|https://good.example>",
        "```\nrm -rf /\n```\n~~~\n# heading\n| a | b |\n---\n> quote",
        "*bold* _it_ ~gone~ `code` :tada: &amp; &lt;!channel&gt;",
        "\u202etxt.exe \u200b\u2066 \x00\x07 \ud800 \r\n\u2028",
        "&" * 4_000,
        "😀" * 4_000,
        '"\\' * 3_000,
        "字" * 5_000,
        "word " * 3_000,
        "",
        "   ",
        "\n\n\n",
    ]
)
TEXT = st.one_of(NASTY, st.text(max_size=60), st.lists(NASTY, max_size=3).map(" ".join))
NAME = st.one_of(st.text(max_size=40), NASTY)
ID = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)
AT = st.floats(0, 4_000_000_000)
RATIO = st.floats(0, 1)
STATUS = st.sampled_from(Status)
VALUE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAME, inner, max_size=4),
    max_leaves=8,
)
CITES = st.lists(st.builds(Cite, ID, TEXT), max_size=4).map(tuple)
CLAIMS = st.lists(st.builds(Claim, TEXT, CITES, st.booleans()), max_size=12).map(tuple)
MOMENTS = st.lists(
    st.builds(Moment, AT, TEXT, st.sampled_from(["alert", "note", "recovery"])), max_size=40
).map(tuple)
SPENT = st.none() | st.builds(
    SpentView,
    TEXT,
    *[st.integers(0, 10**9)] * 4,
    st.floats(0, 1e6),
    st.booleans(),
    st.lists(NAME, max_size=5).map(tuple),
)
CALLS = st.lists(
    st.builds(
        CallView,
        ID,
        NAME,
        TEXT,
        st.dictionaries(NAME, VALUE, max_size=5),
        st.just({}),
        st.sampled_from(["reads", "writes"]),
        st.booleans(),
    ),
    max_size=7,
).map(tuple)
APPROVALS = st.builds(
    ApprovalView,
    id=ID,
    run_id=ID,
    title=TEXT,
    reason=TEXT,
    calls=CALLS,
    revision=st.integers(1, 10**6),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
    status=st.sampled_from(["pending", "approved", "denied", "expired", "cancelled"]),
    approvers=TEXT,
    quorum=st.integers(1, 9),
    votes=st.lists(TEXT, max_size=8).map(tuple),
    requested_at=AT,
    expires_at=st.none() | AT,
    decided_by=NAME,
    decided_at=st.none() | AT,
    comment=TEXT,
    editor=NAME,
    escalated_at=st.none() | AT,
    policy=TEXT,
)
QUESTIONS = st.builds(
    QuestionView,
    id=ID,
    run_id=ID,
    text=TEXT,
    options=st.lists(TEXT, max_size=30).map(tuple),
    answer=st.none() | TEXT,
    answered_by=NAME,
    answerers=TEXT,
    expires_at=st.none() | AT,
    escalated_at=st.none() | AT,
    is_closed=st.booleans(),
    kind=st.sampled_from(["", "outcome", "budget", "new kind"]),
    asked_by=NAME,
    asked_at=AT,
)
DIAGNOSES = st.builds(
    DiagnosisView,
    st.sampled_from(["cause_found", "healthy", "inconclusive", "new"]),
    RATIO,
    CLAIMS,
    st.lists(st.builds(SuspectView, TEXT, NAME, RATIO, CLAIMS), max_size=5).map(tuple),
)
NOTES = st.builds(
    NoteView,
    TEXT,
    st.sampled_from(["info", "warning", "error", "new"]),
    st.lists(NAME | st.just("slack:T1:U42"), max_size=40).map(tuple),
    NAME,
)
INCIDENTS = st.builds(
    IncidentView,
    id=ID,
    title=TEXT,
    status=st.sampled_from(["open", "resolved"]),
    severity=NAME,
    service=NAME,
    opened_at=AT,
    resolved_at=st.none() | AT,
    alerts=MOMENTS,
    folded=st.integers(0, 10**9),
    run_ids=st.lists(ID, max_size=12).map(tuple),
    thread=st.none() | st.builds(ThreadRef, st.just("slack"), ID, ID),
    acknowledged_by=NAME,
    taken_by=NAME,
    muted_until=st.none() | AT,
)
ANSWERS = st.builds(
    AnswerView,
    run_id=ID,
    title=TEXT,
    answer=st.builds(
        Answer,
        headline=TEXT,
        finding=st.sampled_from(Finding),
        summary=TEXT,
        claims=CLAIMS,
        confidence=st.none() | RATIO,
        timeline=MOMENTS,
        actions=st.lists(TEXT, max_size=8).map(tuple),
        recommendations=st.lists(TEXT, max_size=8).map(tuple),
        missing=st.lists(TEXT, max_size=8).map(tuple),
        used_model=st.booleans(),
    ),
    evidence=st.lists(
        st.builds(
            Evidence,
            id=ID,
            run_id=ID,
            step_id=ID,
            tool=NAME,
            title=TEXT,
            text=TEXT,
            at=AT,
            media_type=st.sampled_from(["text/plain", "image/png"]),
        ),
        max_size=20,
    ).map(tuple),
    spent=SPENT,
    took_s=st.none() | st.floats(0, 1e7),
)


@st.composite
def steps(draw: st.DrawFn) -> tuple[StepView, ...]:
    """Return a tree of steps, each after the one that it is inside of."""
    count = draw(st.sampled_from([0, 1, 5, 39, 60]))
    made: list[StepView] = []
    template = draw(
        st.builds(
            StepView,
            id=st.just(""),
            title=TEXT,
            worker_name=NAME,
            status=STATUS,
            note=TEXT,
            attempt=st.integers(1, 99),
            started_at=st.none() | AT,
            ended_at=st.none() | AT,
            waited_s=st.floats(0, 1e6),
            handoffs=st.lists(st.builds(HandoffView, NAME, NAME, TEXT, AT), max_size=5).map(tuple),
        )
    )
    for number in range(count):
        parent = made[draw(st.integers(0, len(made) - 1))] if made and number % 3 else None
        made.append(
            replace(
                template,
                id=f"s{number}",
                status=draw(STATUS),
                parent=parent.id if parent else "",
                depth=parent.depth + 1 if parent else 0,
            )
        )
    return tuple(made)


RUNS = st.builds(
    RunView,
    run_id=ID,
    title=TEXT,
    goal=TEXT,
    status=STATUS,
    headline=TEXT,
    requester=NAME,
    workflow=NAME,
    steps=steps(),
    approvals=st.lists(APPROVALS, max_size=8).map(tuple),
    questions=st.lists(QUESTIONS, max_size=8).map(tuple),
    started_at=AT,
    ended_at=st.none() | AT,
    version=st.integers(0, 10**9),
    diagnosis=st.none() | DIAGNOSES,
    planner=st.none() | st.builds(StepView, ID, TEXT, NAME, STATUS, note=TEXT),
    revisions=st.lists(
        st.builds(
            RevisionView,
            st.integers(1, 99),
            TEXT,
            AT,
            added=st.lists(TEXT, max_size=9).map(tuple),
            dropped=st.lists(TEXT, max_size=9).map(tuple),
        ),
        max_size=5,
    ).map(tuple),
    spent=SPENT,
    late=st.none() | st.builds(LateView, AT, st.floats(0, 1e6), TEXT),
)
