"""The ranking finds the cause from the evidence, and says so when it cannot."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agents.findings import (
    ChangeFinding,
    ChangeFindings,
    IndicatorFinding,
    LogFindings,
    MetricsFindings,
    PatternFinding,
    Ranking,
)
from agents.suspects import CAUSE_THRESHOLD, MAX_CONFIDENCE, DiagnosisFacts, rank

T0 = 1_800_000_000.0
SERVICES = st.sampled_from(["checkout", "payments", "mail"])


def bad(
    service: str, name: str = "error_ratio", at: float = T0, **more: object
) -> IndicatorFinding:
    """Return an indicator that became bad at that time and still is."""
    found = {
        "service": service,
        "indicator": name,
        "unit": "ratio" if name == "error_ratio" else "seconds",
        "is_symptom": True,
        "is_normal_now": False,
        "onset_at": at,
        "before": 0.0,
        "after": 0.4,
        "current": 0.4,
        "direction": "up",
        "evidence_id": "ev-metrics",
        "quote": f"{service} {name} rose",
    }
    return IndicatorFinding.model_validate({**found, **more})


def good(service: str, name: str = "error_ratio", **more: object) -> IndicatorFinding:
    """Return an indicator that is as it should be."""
    return IndicatorFinding.model_validate(
        {"service": service, "indicator": name, "unit": "ratio", "is_normal_now": True, **more}
    )


def logged(service: str, template: str, level: str = "ERROR", at: float = T0) -> PatternFinding:
    """Return a kind of line that is new since that time."""
    return PatternFinding(
        service=service,
        level=level,
        template=template,
        count=50,
        first_seen=at,
        is_new=True,
        evidence_id="ev-logs",
        quote=template,
    )


def deployed(
    service: str, at: float, subject: str = "Copy change", sha: str = "a"
) -> ChangeFinding:
    """Return a deploy."""
    return ChangeFinding(
        service=service,
        release=sha * 40,
        previous="0" * 40,
        at=at,
        subject=subject,
        evidence_id="ev-changes",
        quote=f"{service} deployed {sha * 7}",
    )


def facts(
    indicators: list[IndicatorFinding],
    patterns: list[PatternFinding] | None = None,
    deploys: list[ChangeFinding] | None = None,
) -> DiagnosisFacts:
    """Return what was found about checkout, which calls payments."""
    both = ("rollback", "restart")
    return DiagnosisFacts(
        service="checkout",
        metrics=MetricsFindings(
            service="checkout", depends_on=("payments",), indicators=tuple(indicators)
        ),
        logs=LogFindings(service="checkout", patterns=tuple(patterns or [])),
        changes=ChangeFindings(
            service="checkout",
            deploys=tuple(deploys or []),
            actions={"checkout": both, "payments": both},
        ),
        alerted_at=T0 + 12,
    )


BAD_RELEASE = facts(
    [bad("checkout"), good("payments"), good("payments", "latency_p95")],
    [logged("checkout", "unhandled KeyError: 'tax_region'")],
    [deployed("checkout", T0 - 2, "Price tax by region")],
)
SLOW_PAYMENTS = facts(
    [
        bad("checkout", at=T0 + 3),
        bad("checkout", "latency_p95"),
        bad("payments", "latency_p95", T0 + 2),
    ],
    [
        logged("checkout", "upstream timeout payments after <NUM>ms", at=T0 + 1),
        logged("payments", "ledger pool exhausted waiting=<NUM>", "WARN", T0 - 1),
    ],
    [deployed("checkout", T0 - 14, "Friendlier words")],
)


def top(ranking: Ranking) -> tuple[str, str]:
    """Return the kind and service of the first suspect."""
    return ranking.suspects[0].kind, ranking.suspects[0].service


def test_bad_release_is_found_and_a_rollback_proposed() -> None:
    """Errors that start with a deploy and are new in that service speak for the release."""
    ranking = rank(BAD_RELEASE)

    assert ranking.status == "cause_found"
    assert top(ranking) == ("deploy", "checkout")
    assert ranking.proposal.tool == "service.rollback"
    assert ranking.proposal.args.release == "0" * 40
    assert ranking.symptom_since == T0


def test_slow_dependency_is_found_despite_a_deploy_nearby() -> None:
    """A dependency that moved first explains the symptom, the innocent deploy does not."""
    ranking = rank(SLOW_PAYMENTS)

    assert ranking.status == "cause_found"
    assert top(ranking) == ("dependency", "payments")
    assert ranking.proposal.tool == "service.restart"
    assert ranking.proposal.args.service == "payments"
    deploy = next(one for one in ranking.suspects if one.kind == "deploy")
    assert deploy.score < CAUSE_THRESHOLD / 2


def test_dependency_that_shows_late_is_still_found() -> None:
    """Durations are counted when requests end, so the cause may be measured after its effect."""
    late = facts(
        [bad("checkout"), bad("payments", "latency_p95", T0 + 8)],
        list(SLOW_PAYMENTS.logs.patterns),
        [deployed("checkout", T0 - 14)],
    )

    assert top(rank(late)) == ("dependency", "payments")


def test_bad_release_of_the_dependency_is_rolled_back() -> None:
    """A dependency that broke with its own deploy is rolled back, not restarted."""
    ranking = rank(
        facts(
            [bad("checkout", at=T0 + 2), bad("payments")],
            [
                logged("payments", "ZeroDivisionError in fees"),
                logged("checkout", "payments answered <NUM>", at=T0 + 1),
            ],
            [deployed("payments", T0 - 2), deployed("checkout", T0 - 4_000, sha="b")],
        )
    )

    assert top(ranking) == ("deploy", "payments")


def test_healthy_service_has_no_proposal() -> None:
    """Nothing bad now means nothing to do, whatever was deployed."""
    ranking = rank(
        facts(
            [good("checkout", is_blip=True, onset_at=T0 - 20, until=T0 - 8, after=0.05)],
            [logged("checkout", "one odd line")],
            [deployed("checkout", T0 - 300)],
        )
    )

    assert (ranking.status, ranking.proposal.tool) == ("healthy", None)
    assert ranking.suspects == ()
    assert "blip" in ranking.symptoms[0].text


def test_deploy_alone_is_not_enough() -> None:
    """An old deploy without new errors leaves the cause open."""
    ranking = rank(
        facts([bad("checkout"), good("payments")], [], [deployed("checkout", T0 - 1_500)])
    )

    assert (ranking.status, ranking.proposal.tool) == ("inconclusive", None)


def test_two_equal_suspects_are_inconclusive() -> None:
    """Two causes that fit alike are not told apart by guessing."""
    two = facts(
        list(BAD_RELEASE.metrics.indicators),
        [],
        [deployed("checkout", T0 - 2), deployed("checkout", T0 - 3, sha="b")],
    )

    assert rank(two).status == "inconclusive"


def test_no_data_is_inconclusive_not_healthy() -> None:
    """What was not measured is not called healthy."""
    ranking = rank(facts([good("checkout", is_normal_now=None)]))

    assert (ranking.status, ranking.is_present_now) == ("inconclusive", None)


def test_change_after_the_symptom_is_no_suspect() -> None:
    """A deploy that came later did not cause it."""
    ranking = rank(facts([bad("checkout")], [], [deployed("checkout", T0 + 30)]))

    assert ranking.suspects == ()


def test_surge_of_traffic_is_a_suspect() -> None:
    """Much more traffic just before the symptom, and no deploy, speaks for the load."""
    surge = good("checkout", "request_rate", surge_at=T0 - 5)

    ranking = rank(facts([bad("checkout"), surge, good("payments")]))

    assert top(ranking) == ("traffic", "checkout")
    assert ranking.proposal.tool is None


def test_without_a_declared_command_nothing_is_proposed() -> None:
    """What nobody declared cannot be done."""
    undeclared = replace(
        BAD_RELEASE, changes=BAD_RELEASE.changes.model_copy(update={"actions": {}})
    )

    ranking = rank(undeclared)

    assert (ranking.status, ranking.proposal.tool) == ("cause_found", None)


def test_a_dependency_is_no_rival_of_its_own_release() -> None:
    """That payments broke and that its release broke it is one finding: the release."""
    ranking = rank(
        facts(
            [bad("checkout", at=T0), bad("payments", at=T0 - 4)],
            [logged("payments", "KeyError", at=T0 - 4), logged("checkout", "payments sent 500")],
            [deployed("payments", T0 - 10, "Support more currencies")],
        )
    )

    assert {one.service for one in ranking.suspects[:2]} == {"payments"}
    assert (ranking.status, top(ranking)) == ("cause_found", ("deploy", "payments"))
    assert ranking.proposal.tool == "service.rollback"


def test_reasons_quote_their_evidence() -> None:
    """Each reason that rests on evidence names it with its words."""
    for scene in (BAD_RELEASE, SLOW_PAYMENTS):
        for reason in rank(scene).suspects[0].reasons:
            assert bool(reason.evidence_id) == bool(reason.quote)
        assert rank(scene).suspects[0].reasons[0].quote


TIMES = st.floats(T0 - 7_300, T0 + 100)


@given(
    st.lists(
        st.builds(bad, SERVICES, st.sampled_from(["error_ratio", "latency_p95"]), TIMES)
        | st.builds(good, SERVICES),
        max_size=6,
    ),
    st.lists(
        st.builds(
            logged,
            SERVICES,
            st.text(max_size=20),
            st.sampled_from(["INFO", "WARN", "ERROR", ""]),
            TIMES,
        ),
        max_size=6,
    ),
    st.lists(st.builds(deployed, SERVICES, TIMES, st.text(max_size=20)), max_size=6),
)
def test_any_facts_give_a_sane_ranking(
    indicators: list[IndicatorFinding],
    patterns: list[PatternFinding],
    deploys: list[ChangeFinding],
) -> None:
    """Scores are shares in order, and nothing is proposed without a clear cause that is there."""
    ranking = rank(facts(indicators, patterns, deploys))

    scores = [suspect.score for suspect in ranking.suspects]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert 0 <= ranking.confidence <= MAX_CONFIDENCE
    if ranking.proposal.tool is not None:
        assert ranking.status == "cause_found"
        assert ranking.is_present_now
        assert scores[0] >= CAUSE_THRESHOLD
