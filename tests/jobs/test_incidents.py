"""How alerts fold into incidents, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.domain import ThreadRef
from jobs import incidents
from jobs.incidents import (
    Alert,
    AlertStatus,
    Change,
    Incident,
    IncidentStatus,
    fold,
    fold_all,
    group_key,
    worst,
)
from tests.jobs.alerts import NOW, ROUTE, SHOW_ONLY, arrivals, firing, resolved


def folded(*alerts: Alert, now: float = NOW) -> Incident:
    """Return the incident that the alerts make, one after the other."""
    incident: Incident | None = None
    for alert in alerts:
        incident, _ = fold(incident, alert, ROUTE, now)
    assert incident is not None
    return incident


def test_first_alert_opens_an_incident_that_needs_a_run() -> None:
    """A firing alert opens an incident with all that is known of it, and work that is due."""
    incident, changes = fold(None, firing(), ROUTE, NOW)

    assert changes == (Change.OPENED,)
    assert (incident.title, incident.service, incident.severity) == (
        "HighErrors",
        "checkout",
        "critical",
    )
    assert incident.needs_run
    assert incident.is_due
    assert [moment.kind for moment in incident.unsent] == ["alert"]


def test_route_without_a_workflow_needs_no_run() -> None:
    """Such an incident is shown: only its thread is due."""
    incident, _ = fold(None, firing(), SHOW_ONLY, NOW)

    assert not incident.needs_run
    assert incident.unsent == ()
    assert incident.is_due
    assert not incidents.with_thread(incident, ThreadRef("console", "x", "1")).is_due


def test_repeated_delivery_only_counts() -> None:
    """The same fingerprint, status and start again changes a count and nothing else."""
    once = folded(firing())

    twice, changes = fold(once, firing(), ROUTE, NOW + 60)

    assert changes == (Change.REPEATED,)
    state = twice.alerts[firing().key]
    assert (state.deliveries, twice.folded, twice.total) == (2, 1, 1)
    assert twice.unsent == once.unsent


def test_second_alert_of_the_group_joins_and_is_counted() -> None:
    """Another alert of the service is folded in, and the incident takes the worse severity."""
    incident = folded(firing(severity="warning"), firing("Slow", severity="critical"))

    assert (incident.total, incident.firing, incident.folded) == (2, 2, 1)
    assert incident.severity == "critical"
    assert incident.needs_run


def test_incident_resolves_with_its_last_alert() -> None:
    """One of two alerts resolved changes nothing; the second ends it and tells the run."""
    started = incidents.run_started(folded(firing(), firing("Slow")), "run-1")
    half, changes = fold(started, resolved(), ROUTE, NOW + 10)
    whole, last = fold(half, resolved("Slow", ends_at=NOW + 12), ROUTE, NOW + 20)

    assert changes == (Change.CLEARED,)
    assert half.status is IncidentStatus.OPEN
    assert last == (Change.CLEARED, Change.RESOLVED)
    assert whole.resolved_at == NOW + 12
    assert whole.unsent[-1].kind == "recovery"


def test_alert_that_comes_back_reopens_the_incident() -> None:
    """Within the window it is the same incident, with a new run and a flap that is counted."""
    incident = incidents.run_started(folded(firing(), resolved()), "run-1")

    again, changes = fold(incident, firing(starts_at=NOW + 50), ROUTE, NOW + 60)

    assert changes == (Change.FLAPPED, Change.REOPENED)
    assert again.status is IncidentStatus.OPEN
    assert again.resolved_at is None
    assert again.needs_run
    assert again.next_run_id != "run-1"
    assert (again.flaps, again.reopened) == (1, 1)


def test_flapping_while_open_needs_no_second_run() -> None:
    """An alert that starts again while another still fires is part of what is investigated."""
    incident = incidents.run_started(folded(firing(), firing("Slow"), resolved("Slow")), "run-1")

    again, changes = fold(incident, firing("Slow", starts_at=NOW + 30), ROUTE, NOW + 40)

    assert changes == (Change.FLAPPED,)
    assert not again.needs_run


def test_source_without_times_repeats_and_starts_again() -> None:
    """Without start times a repeat is told by its status, and a start after an end is new."""
    first = folded(firing(starts_at=None))
    repeat, once = fold(first, firing(starts_at=None), ROUTE, NOW + 5)
    ended, end = fold(repeat, resolved(starts_at=None, ends_at=None), ROUTE, NOW + 6)
    again, second = fold(ended, firing(starts_at=None), ROUTE, NOW + 9)

    assert once == (Change.REPEATED,)
    assert end == (Change.CLEARED, Change.RESOLVED)
    assert second == (Change.FLAPPED, Change.REOPENED)
    assert again.alerts[firing().key].starts_at == NOW + 9


def test_late_news_does_not_undo_newer() -> None:
    """A firing delivery that arrives after its own resolution changes no status."""
    incident = folded(resolved(), firing())

    assert incident.is_resolved
    assert not incident.needs_run
    assert incident.alerts[firing().key].deliveries == 2


def test_group_without_labels_falls_back_to_the_title() -> None:
    """Alerts that lack every grouping label are not thrown together."""
    one, two = firing("A", service=""), firing("B", service="")

    assert group_key(one, ROUTE) != group_key(two, ROUTE)
    assert group_key(one, ROUTE) == group_key(firing("A", service="", fingerprint="z"), ROUTE)


def test_window_that_passed_begins_a_new_incident() -> None:
    """A new alert long after the last is another disruption; a repeat still finds the old one."""
    opened = fold_all({}, arrivals(firing()), NOW)
    key = group_key(firing(), ROUTE)
    group = list(opened.incidents.values())
    late = NOW + ROUTE.group_window_s + 1

    after = fold_all({key: group}, arrivals(firing("Slow"), firing()), late)

    assert [outcome.changes for outcome in after.outcomes] == [
        (Change.OPENED,),
        (Change.REPEATED,),
    ]
    assert after.outcomes[1].incident_id == group[0].id
    assert len(after.groups[key]) == 2


def test_reopen_window_that_passed_begins_a_new_incident() -> None:
    """An alert that comes back much later is a new incident with its own thread."""
    key = group_key(firing(), ROUTE)
    old = folded(firing(), resolved())
    late = NOW + ROUTE.reopen_window_s + 1

    after = fold_all({key: [old]}, arrivals(firing(starts_at=late - 5)), late)

    assert after.outcomes[0].changes == (Change.OPENED,)
    assert after.outcomes[0].incident_id != old.id


def test_alerts_beyond_the_limit_are_counted(monkeypatch: Any) -> None:
    """An incident holds a number of alerts; what comes on top is counted and shown."""
    monkeypatch.setattr(incidents, "MAX_ALERTS", 2)

    incident = folded(firing("A"), firing("B"), firing("C"), firing("D"))

    assert (incident.total, incident.counted, incident.folded) == (2, 2, 3)


def test_run_is_told_of_a_few_alerts_only() -> None:
    """In a storm the run hears of the first alerts, not of hundreds."""
    incident = folded(*(firing(f"A{n}") for n in range(50)))

    assert len(incident.unsent) == incidents.MAX_TOLD_ALERTS


def test_noting_a_run_twice_changes_nothing() -> None:
    """A crash between start and note repeats the note."""
    once = incidents.run_started(folded(firing()), "run-1")

    assert incidents.run_started(once, "run-1") == once
    assert not once.needs_run


def test_worst_severity_wins_and_unknown_ones_are_mild() -> None:
    """Severities that nobody knows never hide a known one."""
    assert worst("warning", "critical", "info") == "critical"
    assert worst("weird", "info") == "info"


def test_acknowledging_keeps_a_resolved_incident_resolved() -> None:
    """Only an open incident can be acknowledged."""
    incident = folded(firing())
    ended = folded(firing(), resolved())

    assert incidents.acknowledged(incident, "Alice").status is IncidentStatus.ACKNOWLEDGED
    assert incidents.acknowledged(ended, "Alice") == ended


def test_who_takes_an_incident_over_needs_no_run() -> None:
    """It is theirs until it fires again; then it is nobody's, and a run is wanted."""
    taken = incidents.taken_over(folded(firing()), "Alice")
    ended, _ = fold(taken, resolved(), ROUTE, NOW + 1)
    again, _ = fold(ended, firing(starts_at=NOW + 2), ROUTE, NOW + 2)

    assert (taken.taken_by, taken.acknowledged_by, taken.needs_run) == ("Alice", "Alice", False)
    assert (again.taken_by, again.needs_run) == ("", True)
    assert incidents.taken_over(ended, "Bob") == ended


def test_a_muted_incident_starts_nothing_until_its_time() -> None:
    """Alerts are counted while it is muted; the first after that counts as any other."""
    quiet = incidents.muted(incidents.run_started(folded(firing()), "run-1"), NOW + 60)
    ended, _ = fold(quiet, resolved(), ROUTE, NOW + 1)
    soon, _ = fold(ended, firing(starts_at=NOW + 2), ROUTE, NOW + 2)
    late, _ = fold(ended, firing(starts_at=NOW + 61), ROUTE, NOW + 61)

    assert (soon.needs_run, soon.waiting, soon.firings) == (False, incidents.MUTED, 2)
    assert (late.needs_run, late.waiting, late.muted_until) == (True, "", 0.0)
    assert incidents.muted(ended, NOW + 60) == ended


episodes = st.integers(min_value=0, max_value=4)
deliveries = st.builds(
    lambda name, service, episode, ends: (
        resolved(name, service, starts_at=NOW - 100 + episode, ends_at=NOW - 100 + episode + 0.5)
        if ends
        else firing(name, service, starts_at=NOW - 100 + episode)
    ),
    st.sampled_from(["A", "B"]),
    st.sampled_from(["checkout", "payments"]),
    episodes,
    st.booleans(),
)


def end_state(alerts: Sequence[Alert]) -> dict[str, tuple[Any, ...]]:
    """Return what is known of every alert, and of each service's incidents, in the end."""
    known: dict[str, list[Incident]] = {}
    for alert in alerts:
        key = group_key(alert, ROUTE)
        group = known.setdefault(key, [])
        after = fold_all({key: group}, arrivals(alert), NOW).incidents
        known[key] = [after.get(i.id, i) for i in group] + [
            i for i in after.values() if i.id not in {known.id for known in group}
        ]
    return {
        key: (
            len(group),
            group[0].status,
            group[0].firings,
            group[0].total,
            group[0].severity,
            sorted(
                (name, s.alert.status, s.episodes, s.deliveries, s.flaps)
                for name, s in group[0].alerts.items()
            ),
        )
        for key, group in known.items()
    }


@given(st.lists(deliveries, max_size=12), st.randoms())
def test_order_of_deliveries_does_not_matter(alerts: list[Alert], chance: Any) -> None:
    """Whatever order they come in, the same deliveries lead to the same end."""
    shuffled = list(alerts)
    chance.shuffle(shuffled)

    assert end_state(alerts) == end_state(shuffled)


@given(st.lists(deliveries, min_size=1, max_size=12))
def test_no_alert_is_lost_or_put_into_another_service(alerts: list[Alert]) -> None:
    """Every alert stands in exactly one incident, which is that of its own service."""
    known: dict[str, list[Incident]] = {}
    for alert in alerts:
        key = group_key(alert, ROUTE)
        after = fold_all({key: known.get(key, [])}, arrivals(alert), NOW).incidents
        kept = {i.id: i for i in known.get(key, [])} | dict(after)
        known[key] = list(kept.values())
    everything = [incident for group in known.values() for incident in group]

    for alert in alerts:
        holders = [incident for incident in everything if alert.key in incident.alerts]
        assert [incident.service for incident in holders] == [alert.service]
    for incident in everything:
        states = incident.alerts.values()
        assert incident.firing == sum(state.alert.is_firing for state in states)
        assert incident.is_resolved == (incident.firing == 0)
        assert sum(state.deliveries for state in states) == sum(
            alert.service == incident.service for alert in alerts
        )


@given(st.lists(deliveries, min_size=1, max_size=10), st.integers(1, 3))
def test_repeated_deliveries_never_ask_for_another_run(alerts: list[Alert], times: int) -> None:
    """Once a run is noted, deliveries that were seen before leave nothing due."""
    incident: Incident | None = None
    mine = [replace(a, labels={"service": "x"}, fingerprint=a.title) for a in alerts]
    for alert in mine:
        incident, _ = fold(incident, alert, ROUTE, NOW)
    assert incident is not None
    settled = incidents.told(incidents.run_started(incident, "run-1"), incident.unsent)

    for alert in mine * times:
        settled, changes = fold(settled, alert, ROUTE, NOW + 1)
        assert incidents.NOTHING_NEW.issuperset(changes)

    assert not settled.needs_run
    assert settled.unsent == ()
    assert settled.status is incident.status


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_flaps_beyond_memory_stay_counted(ends: list[bool]) -> None:
    """However often an alert flaps, what is remembered stays small and the count right."""
    incident: Incident | None = None
    for number, is_end in enumerate(ends):
        status = AlertStatus.RESOLVED if is_end else AlertStatus.FIRING
        alert = firing(starts_at=NOW + number, status=status)
        incident, _ = fold(incident, alert, ROUTE, NOW + number)

    assert incident is not None
    state = incident.alerts[firing().key]
    assert len(state.episodes) <= incidents.MAX_EPISODES
    assert state.flaps == len(ends) - 1
