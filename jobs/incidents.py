"""Incidents as values: how alerts fold into them. Pure; `jobs.incident_store` keeps them.

What is known of one alert only ever moves forward: a later start wins over an earlier one, and of
the same start *resolved* wins over *firing*. So deliveries may come twice and in any order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from agents.domain import Moment, ThreadRef
from config.specs import RouteSpec

MAX_ALERTS = 10_000
"""Different alerts kept per incident; more are only counted."""
MAX_SHOWN = 50
"""Alerts that are read with an incident, the first that came."""
MAX_EPISODES = 20
MAX_TOLD_ALERTS = 10
"""Alerts that a run hears of one by one."""
MAX_UNSENT = 20
MAX_GROUP_INCIDENTS = 8
LATE_S = 86_400
"""How long after its end an incident still recognises a delivery that comes again."""
SERVICE_LABEL = "service"
SEVERITIES = ("unknown", "none", "info", "low", "warning", "medium", "error", "high", "critical")
"""From the mildest to the worst; what is not listed counts as unknown."""


class AlertStatus(StrEnum):
    """What a notification says."""

    FIRING = "firing"
    RESOLVED = "resolved"


class IncidentStatus(StrEnum):
    """Where an incident stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Change(StrEnum):
    """What one delivered alert did to its incident."""

    OPENED = "opened"
    JOINED = "joined"
    REPEATED = "repeated"
    FLAPPED = "flapped"
    CLEARED = "cleared"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    OUTDATED = "outdated"
    COUNTED = "counted"


NOTHING_NEW = frozenset({Change.REPEATED, Change.OUTDATED})
MUTED = "It fired again while it was muted: no run was started."


@dataclass(frozen=True, slots=True)
class Alert:
    """One notification. `starts_at` is None when the source does not say.

    `cut_off` counts alerts that the source left out of the same delivery.
    """

    fingerprint: str
    source: str
    title: str
    status: AlertStatus = AlertStatus.FIRING
    severity: str = "unknown"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    starts_at: float | None = None
    ends_at: float | None = None
    url: str = ""
    cut_off: int = 0

    @property
    def key(self) -> str:
        """What tells it from every other alert."""
        return f"{self.source}/{self.fingerprint}"

    @property
    def is_firing(self) -> bool:
        """Whether it says that something is wrong."""
        return self.status is AlertStatus.FIRING

    @property
    def service(self) -> str:
        """The service it is about; empty when no label says so."""
        return self.labels.get(SERVICE_LABEL, "")


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is known of one alert. `episodes` are the starts seen, the last of them newest."""

    alert: Alert
    episodes: tuple[float, ...]
    first_at: float
    last_at: float
    deliveries: int = 1
    flaps: int = 0

    @property
    def starts_at(self) -> float:
        """When it began to fire the last time."""
        return self.episodes[-1]


@dataclass(frozen=True, slots=True)
class Incident:
    """A disruption that groups alerts.

    `alerts` holds those that were read (see MAX_SHOWN); `total` and `firing` count all of them.
    `needs_run`, `unsent` and a missing thread are work that is still due, kept until it is done.
    """

    id: str
    group_key: str
    route: str
    workflow: str
    channel: str
    platform: str
    title: str
    opened_at: float
    last_at: float
    version: int = 0
    status: IncidentStatus = IncidentStatus.OPEN
    service: str = ""
    severity: str = "unknown"
    alerts: Mapping[str, AlertState] = field(default_factory=dict)
    shown: tuple[str, ...] = ()
    total: int = 0
    firing: int = 0
    firings: int = 0
    counted: int = 0
    cut_off: int = 0
    flaps: int = 0
    reopened: int = 0
    last_ended_at: float = 0.0
    resolved_at: float | None = None
    acknowledged_by: str = ""
    run_ids: tuple[str, ...] = ()
    needs_run: bool = False
    waiting: str = ""
    unsent: tuple[Moment, ...] = ()
    thread: ThreadRef | None = None
    taken_by: str = ""
    """Who works on it themselves: no run is started for it until it is resolved."""
    muted_until: float = 0.0
    """Until when its alerts start no run and are told to none."""

    @property
    def folded(self) -> int:
        """How many firing notifications came after the first, and started nothing of their own."""
        return max(0, self.firings - 1)

    @property
    def is_resolved(self) -> bool:
        """Whether every alert of it is resolved."""
        return self.status is IncidentStatus.RESOLVED

    @property
    def is_due(self) -> bool:
        """Whether something is still to be done for it."""
        return self.needs_run or bool(self.unsent) or self.thread is None

    @property
    def next_run_id(self) -> str:
        """The id of the run that would be started next; the same until it is noted."""
        return f"run-{self.id}-{len(self.run_ids) + 1}"


@dataclass(frozen=True, slots=True)
class Arrival:
    """An alert and the route it takes."""

    alert: Alert
    route: RouteSpec


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one arrival.

    `is_due`: something can be done for its incident now, after the batch. One that is held back
    is looked at again by the clock, not by each alert of a storm.
    """

    incident_id: str
    changes: tuple[Change, ...]
    is_due: bool = False

    @property
    def is_repeat(self) -> bool:
        """Whether the alert told nothing new."""
        return NOTHING_NEW.issuperset(self.changes)


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch of arrivals changed: incidents by id, groups by key, an outcome for each."""

    incidents: Mapping[str, Incident]
    groups: Mapping[str, tuple[str, ...]]
    outcomes: tuple[Outcome, ...]


def group_key(alert: Alert, route: RouteSpec) -> str:
    """Return what an alert has in common with those it may share an incident with.

    An alert with none of the labels shares one only with alerts of its own title: nothing says
    that it belongs to anything else.
    """
    values = [alert.labels.get(label, "") for label in route.group_by]
    if route.group_by and not any(values):
        values.append(alert.title)
    return json.dumps([route.name, *values], ensure_ascii=False)


def fold_all(
    candidates: Mapping[str, Sequence[Incident]], arrivals: Iterable[Arrival], now: float
) -> Folded:
    """Fold arrivals into the incidents of their groups (oldest first); pure."""
    known = {key: list(incidents) for key, incidents in candidates.items()}
    changed: dict[str, Incident] = {}
    grown: dict[str, tuple[str, ...]] = {}
    results: list[tuple[str, tuple[Change, ...]]] = []
    for arrival in arrivals:
        key = group_key(arrival.alert, arrival.route)
        group = known.setdefault(key, [])
        before = choose(group, arrival.alert, arrival.route, now)
        after, changes = fold(before, arrival.alert, arrival.route, now)
        if before is None:
            group.append(after)
            grown[key] = tuple(i.id for i in _kept(group, now))
        else:
            group[group.index(before)] = after
        changed[after.id] = after
        results.append((after.id, changes))
    outcomes = tuple(Outcome(key, changes, _can_go_on(changed[key])) for key, changes in results)
    return Folded(changed, grown, outcomes)


def _can_go_on(incident: Incident) -> bool:
    return incident.is_due and not (incident.waiting and incident.needs_run)


def _kept(group: Sequence[Incident], now: float) -> list[Incident]:
    """Return the incidents of a group that may still be meant by a delivery."""
    alive = [i for i in group if not i.is_resolved or now - i.last_at <= LATE_S]
    return alive[-MAX_GROUP_INCIDENTS:]


def choose(
    group: Sequence[Incident], alert: Alert, route: RouteSpec, now: float
) -> Incident | None:
    """Return the incident that the alert belongs to; None when it begins a new one."""
    for incident in reversed(group):
        if _recognises(incident, alert):
            return incident
    for incident in reversed(group):
        if _takes(incident, alert, route, now):
            return incident
    return None


def _recognises(incident: Incident, alert: Alert) -> bool:
    """Whether the incident has seen this episode of the alert, or a later one."""
    state = incident.alerts.get(alert.key)
    if state is None:
        return False
    if alert.starts_at is None:
        return state.alert.is_firing or not alert.is_firing
    return alert.starts_at <= state.starts_at


def _takes(incident: Incident, alert: Alert, route: RouteSpec, now: float) -> bool:
    if incident.is_resolved:
        return now - incident.last_at <= route.reopen_window_s
    return alert.key in incident.alerts or now - incident.last_at <= route.group_window_s


def fold(
    incident: Incident | None, alert: Alert, route: RouteSpec, now: float
) -> tuple[Incident, tuple[Change, ...]]:
    """Return the incident after the alert, and what that changed."""
    if incident is None:
        incident, first = _empty(alert, route, now), Change.OPENED
    else:
        first = Change.JOINED
    incident = replace(
        incident,
        firings=incident.firings + alert.is_firing,
        cut_off=max(incident.cut_off, alert.cut_off),
        muted_until=incident.muted_until if now < incident.muted_until else 0.0,
    )
    known = incident.alerts.get(alert.key)
    if known is not None:
        incident, change = _meet_again(incident, known, alert, now)
    elif incident.total >= MAX_ALERTS:
        return replace(incident, counted=incident.counted + 1), (Change.COUNTED,)
    else:
        incident, change = _meet(incident, alert, now), first
    if change in NOTHING_NEW:
        return incident, (change,)
    return _settle(replace(incident, last_at=now), alert, change, now)


def _empty(alert: Alert, route: RouteSpec, now: float) -> Incident:
    key = group_key(alert, route)
    seed = json.dumps([key, alert.key, now], ensure_ascii=False)
    return Incident(
        id=f"inc-{hashlib.sha256(seed.encode()).hexdigest()[:12]}",
        group_key=key,
        route=route.name,
        workflow=route.workflow or "",
        channel=route.channel,
        platform=route.platform,
        title=alert.title,
        service=alert.service,
        opened_at=now,
        last_at=now,
    )


def _meet(incident: Incident, alert: Alert, now: float) -> Incident:
    """Add an alert that the incident has not seen before."""
    starts_at = now if alert.starts_at is None else alert.starts_at
    state = AlertState(alert, (starts_at,), first_at=now, last_at=now)
    shown = incident.shown
    return replace(
        incident,
        alerts={**incident.alerts, alert.key: state},
        shown=(*shown, alert.key) if len(shown) < MAX_SHOWN else shown,
        total=incident.total + 1,
        firing=incident.firing + alert.is_firing,
        severity=worst(incident.severity, alert.severity),
        last_ended_at=max(incident.last_ended_at, alert.ends_at or 0.0),
    )


def _meet_again(
    incident: Incident, known: AlertState, alert: Alert, now: float
) -> tuple[Incident, Change]:
    """Fold an alert that the incident has seen; it may be new, the same, or older news."""
    starts_at = _start_of(known, alert, now)
    is_full = len(known.episodes) >= MAX_EPISODES
    is_new = starts_at not in known.episodes and not (is_full and starts_at < known.episodes[0])
    episodes = tuple(sorted({*known.episodes, starts_at}))[-MAX_EPISODES:]
    rank = (starts_at, not alert.is_firing)
    known_rank = (known.starts_at, not known.alert.is_firing)
    wins = rank > known_rank
    state = replace(
        known,
        alert=alert if wins else known.alert,
        episodes=episodes if is_new else known.episodes,
        last_at=now,
        deliveries=known.deliveries + 1,
        flaps=known.flaps + is_new,
    )
    incident = replace(
        incident,
        alerts={**incident.alerts, alert.key: state},
        firing=incident.firing + state.alert.is_firing - known.alert.is_firing,
        severity=worst(incident.severity, alert.severity),
        flaps=incident.flaps + is_new,
        last_ended_at=max(incident.last_ended_at, alert.ends_at or 0.0),
    )
    if not wins:
        return incident, Change.REPEATED if rank == known_rank else Change.OUTDATED
    return incident, Change.FLAPPED if alert.is_firing else Change.CLEARED


def _start_of(known: AlertState, alert: Alert, now: float) -> float:
    """Return when the alert's episode began; a source that does not say is asked by status."""
    if alert.starts_at is not None:
        return alert.starts_at
    begins_again = alert.is_firing and not known.alert.is_firing
    return max(now, known.starts_at) if begins_again else known.starts_at


def _settle(
    incident: Incident, alert: Alert, change: Change, now: float
) -> tuple[Incident, tuple[Change, ...]]:
    """Let the incident follow its alerts: it resolves with the last and opens with the first."""
    wants_run = bool(incident.workflow)
    if incident.firing == 0 and not incident.is_resolved:
        resolved_at = min(incident.last_ended_at or now, now)
        incident = replace(incident, status=IncidentStatus.RESOLVED, resolved_at=resolved_at)
        if wants_run and (incident.needs_run or incident.run_ids):
            incident = tell(incident, Moment(resolved_at, _recovery(incident, alert), "recovery"))
        return incident, (change, Change.RESOLVED)
    if not alert.is_firing:
        return incident, (change,)
    changes: tuple[Change, ...] = (change,)
    if incident.is_resolved and incident.firing:
        incident = replace(
            incident,
            status=IncidentStatus.OPEN,
            resolved_at=None,
            reopened=incident.reopened + 1,
            acknowledged_by="",
            taken_by="",
            needs_run=wants_run and not incident.muted_until,
            waiting=MUTED if incident.muted_until else incident.waiting,
        )
        changes = (change, Change.REOPENED)
    elif change is Change.OPENED:
        incident = replace(incident, needs_run=wants_run)
    is_told = not incident.muted_until and not incident.taken_by
    if wants_run and is_told and (incident.total <= MAX_TOLD_ALERTS or len(changes) > 1):
        text = f"Alert {'fired again' if change is Change.FLAPPED else 'fired'}: {alert.title}"
        at = now if alert.starts_at is None else min(alert.starts_at, now)
        incident = tell(incident, Moment(at, text, "alert"))
    return incident, changes


def _recovery(incident: Incident, alert: Alert) -> str:
    if incident.total == 1:
        return f"Alert resolved: {alert.title}"
    return f"All {incident.total} alerts resolved, {alert.title} last"


def worst(*severities: str) -> str:
    """Return the worst of the severities, by SEVERITIES."""
    return max(severities, key=lambda name: SEVERITIES.index(name) if name in SEVERITIES else 0)


def tell(incident: Incident, moment: Moment) -> Incident:
    """Keep a moment that the incident's run has to hear of."""
    if moment in incident.unsent:
        return incident
    return replace(incident, unsent=(*incident.unsent, moment)[-MAX_UNSENT:])


def told(incident: Incident, moments: Iterable[Moment]) -> Incident:
    """Forget moments that the run has heard of."""
    done = set(moments)
    return replace(incident, unsent=tuple(m for m in incident.unsent if m not in done))


def with_thread(incident: Incident, thread: ThreadRef) -> Incident:
    """Note where the incident is reported."""
    return replace(incident, thread=thread)


def run_started(incident: Incident, run_id: str) -> Incident:
    """Note the run that was started for it; noting it twice changes nothing."""
    if run_id in incident.run_ids:
        return incident
    run_ids = (*incident.run_ids, run_id)
    return replace(incident, run_ids=run_ids, needs_run=False, waiting="")


def run_not_needed(incident: Incident, why: str = "") -> Incident:
    """Note that no run is started: one is at it already, or `why` says what is in the way."""
    return replace(incident, needs_run=False, waiting=why)


def held_back(incident: Incident, why: str) -> Incident:
    """Note why the run has to wait, for people to see; it stays due."""
    return replace(incident, waiting=why)


def acknowledged(incident: Incident, by: str) -> Incident:
    """Note that a person has seen it; a resolved one stays resolved."""
    if incident.is_resolved:
        return incident
    return replace(incident, status=IncidentStatus.ACKNOWLEDGED, acknowledged_by=by)


def taken_over(incident: Incident, by: str) -> Incident:
    """Note that a person works on it themselves; what it still wanted a run for is dropped."""
    if incident.is_resolved:
        return incident
    seen = acknowledged(incident, incident.acknowledged_by or by)
    return replace(seen, taken_by=by, needs_run=False, waiting="")


def muted(incident: Incident, until: float) -> Incident:
    """Note until when its alerts, when they come back, start nothing."""
    return incident if incident.is_resolved else replace(incident, muted_until=until)
