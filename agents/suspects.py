"""Ranks possible causes of a symptom without a model, from what the tools found.

Each kind of suspect has a few observations that would be true if it were the cause. They add up
to 1, and each that was really made adds its points, with the line of evidence that shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.findings import (
    ChangeFinding,
    ChangeFindings,
    IndicatorFinding,
    LogFindings,
    Mark,
    MetricsFindings,
    PatternFinding,
    Proposal,
    ProposalArgs,
    Ranking,
    Reason,
    Suspect,
)
from agents.wording import amount, clock, duration, indicator_name, number, possessive, short

CAUSE_THRESHOLD = 0.6
"""Below it, more speaks against the best suspect than a person would act on at night."""
CLEAR_LEAD = 0.1
"""Two suspects closer than this are not told apart by the evidence."""
RUNNER_UP_DOUBT = 0.25
"""A runner-up as strong as the winner would take this share of the confidence away."""
MAX_CONFIDENCE = 0.95
"""Even a perfect fit is a correlation: what nobody measures may be the cause."""
INCONCLUSIVE_CONFIDENCE = 0.5
"""An unproven suspect is worth at most half of its score as confidence."""
HEALTHY_CONFIDENCE = 0.9
"""All indicators look good; what is not measured could still be wrong."""

DEPLOY_CLOSE = 0.35
"""Most incidents begin with a change, and most changes that break something do so at once."""
DEPLOY_NEW_ERRORS = 0.30
"""Errors that the service never logged before the release are the change's own fingerprint."""
DEPLOY_MOVED_FIRST = 0.20
"""Nothing that the service depends on moved before it: the trouble starts inside."""
DEPLOY_LATEST = 0.10
"""An older release had already shown that it works."""
DEPLOY_NAMED = 0.05
"""The new errors use words of the change; weak, since words are common."""
DEPENDENCY_EXPLAINS = 0.4
"""Factor on a deploy when a dependency moved first: it fits the time but is not needed."""

DEPENDENCY_MOVED_FIRST = 0.40
"""A caller waits for what it calls: trouble that is there first travels up, not down."""
DEPENDENCY_NEW_LINES = 0.30
"""The dependency itself says something that it did not say before."""
DEPENDENCY_NAMED = 0.20
"""The service's own new errors name it."""
DEPENDENCY_NO_DEPLOY = 0.10
"""Without a deploy of its own, it broke at run time and a restart may help."""
LATE_SHARE = 0.5
"""A dependency that moved shortly after: durations are only counted when requests end."""
UNMOVED_FACTOR = 0.5
"""Factor on a dependency whose measured indicators did not move at all."""

TRAFFIC_SURGE = 0.55
"""More requests than usual just before the symptom is a cause that needs no fault."""
TRAFFIC_NO_DEPLOY = 0.15
"""Nothing was changed, so the load is what changed."""

CLOSE_HALF_LIFE_S = 600.0
"""A deploy ten minutes before the symptom is half as suspect as one right before it."""
MAX_DEPLOY_GAP_S = 7_200.0
"""Older deploys are not suspects of a sudden change."""
CLOCK_SLACK_S = 3.0
"""Clocks, scrapes and windows put the onset this far off; it never proves an order by itself."""
LATE_S = 15.0
"""How much later a dependency may show its trouble than its caller."""
LOG_SLACK_S = 10.0
"""New lines may come this long before the symptom crosses its floor."""
SURGE_LEAD_S = 300.0
"""A surge longer ago was coped with."""
MIN_LINES = 3
"""A line that came once or twice says little."""
SURGE_RATE = 3.0
"""A known line is telling when it comes this many times as often."""
SURGE_SHARE = 0.5
"""A more frequent line is half as telling as a new one."""
MIN_WORD_CHARS = 5
MAX_SUSPECTS = 8
MAX_REASON_LINES = 3
TROUBLE = frozenset({"WARN", "ERROR", "FATAL"})
ERRORS = frozenset({"ERROR", "FATAL"})
UNIT_ORDER = ("ratio", "seconds", "per_second", "count", "bytes")
"""Which indicator says best what people feel: failures, then slowness, then the rest."""


@dataclass(frozen=True, slots=True)
class DiagnosisFacts:
    """All that is known: what the three analysts found, and when people were alerted."""

    service: str
    metrics: MetricsFindings
    logs: LogFindings
    changes: ChangeFindings
    alerted_at: float | None = None


def rank(facts: DiagnosisFacts) -> Ranking:
    """Return the suspects, best first, with a verdict and what could be done."""
    own = [item for item in facts.metrics.indicators if item.service == facts.service]
    bad = [item for item in own if item.is_normal_now is False]
    best = min(
        bad or [i for i in own if i.onset_at is not None] or own, key=_say_order, default=None
    )
    missing = tuple(
        dict.fromkeys([*facts.metrics.missing, *facts.logs.missing, *facts.changes.missing])
    )
    base = Ranking(
        service=facts.service,
        status="inconclusive",
        symptom_indicator=best.indicator if best else "",
        symptom_unit=best.unit if best else "count",
        symptoms=tuple(_symptom(item) for item in own if item.onset_at is not None),
        missing=missing,
    )
    if not bad:
        return _without_symptom(base, own, facts)
    since = _earliest(bad) or facts.alerted_at
    found: list[Suspect] = []
    if since is not None:
        found = sorted(_suspects(facts, since), key=lambda one: one.score, reverse=True)
    suspects = tuple(found[:MAX_SUSPECTS])
    is_clear = bool(suspects) and suspects[0].score >= CAUSE_THRESHOLD and _leads(suspects)
    return base.model_copy(
        update={
            "status": "cause_found" if is_clear else "inconclusive",
            "confidence": _confidence(suspects, is_clear=is_clear),
            "symptom_since": since,
            "is_present_now": True,
            "suspects": suspects,
            "proposal": _proposal(suspects[0], facts) if is_clear else Proposal(),
            "marks": _marks(facts, since),
        }
    )


def _without_symptom(
    base: Ranking, own: Sequence[IndicatorFinding], facts: DiagnosisFacts
) -> Ranking:
    """Nothing is bad now: healthy if that was really measured, inconclusive if not."""
    measured = [item for item in own if item.is_normal_now]
    since = _earliest([item for item in own if item.onset_at is not None])
    if not measured:
        return base.model_copy(update={"marks": _marks(facts, since)})
    return base.model_copy(
        update={
            "status": "healthy",
            "confidence": round(HEALTHY_CONFIDENCE * len(measured) / len(own), 2),
            "symptom_since": since,
            "is_present_now": False,
            "marks": _marks(facts, since),
        }
    )


def _suspects(facts: DiagnosisFacts, since: float) -> list[Suspect]:
    found = [_dependency(facts, name, since) for name in facts.metrics.depends_on]
    for deploy in facts.changes.deploys:
        suspect = _deploy(facts, deploy, since)
        if suspect is not None:
            found.append(suspect)
    surge = next(
        (
            item
            for item in facts.metrics.indicators
            if item.service == facts.service and item.surge_at is not None
        ),
        None,
    )
    if surge is not None:
        found.append(_traffic(facts, surge, since))
    return [suspect for suspect in found if suspect.score > 0]


def _deploy(facts: DiagnosisFacts, deploy: ChangeFinding, since: float) -> Suspect | None:
    """Score a deploy of the service, or of a dependency that is degraded itself."""
    is_own = deploy.service == facts.service
    onset = since if is_own else _moved_at(facts, deploy.service)
    if onset is None:
        return None
    gap = onset - deploy.at
    if gap < -CLOCK_SLACK_S or gap > MAX_DEPLOY_GAP_S:
        return None
    closeness = 0.5 ** (max(0.0, gap) / CLOSE_HALF_LIFE_S)
    reasons = [
        _because(
            f"{deploy.service} was deployed {duration(gap)} before it became bad",
            DEPLOY_CLOSE * closeness,
            deploy,
        )
    ]
    others = [name for name in facts.metrics.depends_on if name != deploy.service]
    lines = [
        line
        for line in _new_lines(facts, deploy.service, deploy.at - CLOCK_SLACK_S, ERRORS)
        if not _names_any(line, others)
    ]
    if lines:
        reasons.append(
            _because(
                f"{deploy.service} logs errors that it never logged before this release",
                DEPLOY_NEW_ERRORS,
                lines[0],
            )
        )
        if _shares_words(lines[0], deploy):
            reasons.append(
                _because("the new errors use words of the change", DEPLOY_NAMED, lines[0])
            )
    first = _moved_before(facts, deploy.service, onset)
    if first is None:
        symptom = _first_symptom(facts, deploy.service)
        if symptom is not None:
            reasons.append(
                _because(
                    f"nothing that {deploy.service} depends on moved before it",
                    DEPLOY_MOVED_FIRST,
                    symptom,
                )
            )
    if _is_latest(facts, deploy, onset):
        reasons.append(_because("it is the newest release before that", DEPLOY_LATEST, deploy))
    score = sum(reason.points for reason in reasons)
    if first is not None:
        reasons.append(
            _because(
                f"but {first.service} became bad first, which explains the symptom",
                score * (DEPENDENCY_EXPLAINS - 1),
                first,
            )
        )
        score *= DEPENDENCY_EXPLAINS
    return Suspect(
        kind="deploy",
        service=deploy.service,
        title=f"release {short(deploy.release)} of {deploy.service}",
        score=_score(score),
        release=deploy.release,
        previous=deploy.previous,
        at=deploy.at,
        reasons=tuple(reasons),
    )


def _dependency(facts: DiagnosisFacts, name: str, since: float) -> Suspect:
    """Score a dependency as the one that broke at run time."""
    reasons: list[Reason] = []
    symptom = _first_symptom(facts, name)
    moved_at = symptom.onset_at if symptom else None
    if symptom is not None and moved_at is not None and moved_at <= since + LATE_S:
        is_first = moved_at <= since + CLOCK_SLACK_S
        reasons.append(
            _because(
                f"{name} became bad at {clock(moved_at)}, "
                + ("no later than the service that calls it" if is_first else "shortly after"),
                DEPENDENCY_MOVED_FIRST * (1.0 if is_first else LATE_SHARE),
                symptom,
            )
        )
    start = min(since, moved_at if moved_at is not None else since)
    lines = _new_lines(facts, name, start - LOG_SLACK_S, TROUBLE)
    surging = _surging(facts, name)
    if lines:
        reasons.append(
            _because(f"{name} logs what it did not log before", DEPENDENCY_NEW_LINES, lines[0])
        )
    elif surging:
        reasons.append(
            _because(
                f"{name} logs a warning {number(surging[0].rate_change)} times as often",
                DEPENDENCY_NEW_LINES * SURGE_SHARE,
                surging[0],
            )
        )
    naming = [
        line
        for line in _new_lines(facts, facts.service, since - LOG_SLACK_S, TROUBLE)
        if _names_any(line, [name])
    ]
    if naming:
        reasons.append(
            _because(f"the new errors of {facts.service} name {name}", DEPENDENCY_NAMED, naming[0])
        )
    deploys = [
        deploy
        for deploy in facts.changes.deploys
        if deploy.service == name and 0 <= start - deploy.at + CLOCK_SLACK_S <= MAX_DEPLOY_GAP_S
    ]
    if reasons and not deploys:
        reasons.append(Reason(text=f"{name} was not deployed before", points=DEPENDENCY_NO_DEPLOY))
    score = sum(reason.points for reason in reasons)
    if symptom is None and _is_measured(facts, name):
        score *= UNMOVED_FACTOR
    return Suspect(
        kind="dependency",
        service=name,
        title=f"{name}, which {facts.service} depends on",
        score=_score(score),
        at=moved_at,
        reasons=tuple(reasons),
    )


def _traffic(facts: DiagnosisFacts, surge: IndicatorFinding, since: float) -> Suspect:
    reasons: list[Reason] = []
    at = surge.surge_at
    if at is not None and -CLOCK_SLACK_S <= since - at <= SURGE_LEAD_S:
        reasons.append(
            _because(f"traffic rose far above its level at {clock(at)}", TRAFFIC_SURGE, surge)
        )
        if not any(0 <= since - d.at <= MAX_DEPLOY_GAP_S for d in facts.changes.deploys):
            reasons.append(Reason(text="nothing was deployed before", points=TRAFFIC_NO_DEPLOY))
    return Suspect(
        kind="traffic",
        service=facts.service,
        title=f"more traffic than usual on {facts.service}",
        score=_score(sum(reason.points for reason in reasons)),
        at=at,
        reasons=tuple(reasons),
    )


def _proposal(top: Suspect, facts: DiagnosisFacts) -> Proposal:
    """Return the declared command that would undo the cause, if there is one."""
    actions = facts.changes.actions.get(top.service, ())
    if top.kind == "deploy" and top.previous and "rollback" in actions:
        return Proposal(
            tool="service.rollback",
            args=ProposalArgs(
                service=top.service,
                release=top.previous,
                reason=f"release {short(top.release)} is the most likely cause",
            ),
            title=f"Roll {top.service} back to {short(top.previous)}",
        )
    if top.kind == "dependency" and "restart" in actions:
        return Proposal(
            tool="service.restart",
            args=ProposalArgs(
                service=top.service, reason=f"{top.service} became bad without a deploy"
            ),
            title=f"Restart {top.service}",
        )
    return Proposal()


def _leads(suspects: Sequence[Suspect]) -> bool:
    return suspects[0].score - _rival_score(suspects) >= CLEAR_LEAD


def _rival_score(suspects: Sequence[Suspect]) -> float:
    """Return the score of the best suspect that says something else than the first.

    A dependency is no rival of its own release: both say that it is to blame, the release why.
    """
    top = suspects[0]
    rivals = (
        one.score
        for one in suspects[1:]
        if not (top.kind == "deploy" and one.kind == "dependency" and one.service == top.service)
    )
    return next(rivals, 0.0)


def _confidence(suspects: Sequence[Suspect], *, is_clear: bool) -> float:
    if not suspects:
        return 0.0
    top = suspects[0].score
    second = _rival_score(suspects)
    if not is_clear:
        return round(top * INCONCLUSIVE_CONFIDENCE, 2)
    return round(min(MAX_CONFIDENCE, top - RUNNER_UP_DOUBT * second), 2)


def _because(
    text: str, points: float, source: ChangeFinding | PatternFinding | IndicatorFinding
) -> Reason:
    return Reason(
        text=text, points=round(points, 3), evidence_id=source.evidence_id, quote=source.quote
    )


def _symptom(item: IndicatorFinding) -> Reason:
    what = f"{possessive(item.service)} {indicator_name(item.indicator)}"
    at = clock(item.onset_at or 0.0)
    after = amount(item.after, item.unit)
    if item.is_blip:
        text = f"{what} had a blip to {after} at {at} that went away"
    elif item.before is None:
        text = f"{what} has been at {after} since before {at}"
    else:
        verb = "rose" if item.direction == "up" else "fell"
        text = f"{what} {verb} from {amount(item.before, item.unit)} to {after} at {at}"
    return Reason(text=text, evidence_id=item.evidence_id, quote=item.quote)


def _say_order(item: IndicatorFinding) -> tuple[int, float]:
    return (UNIT_ORDER.index(item.unit) if item.unit in UNIT_ORDER else 9, item.onset_at or 0.0)


def _earliest(items: Sequence[IndicatorFinding]) -> float | None:
    return min((item.onset_at for item in items if item.onset_at is not None), default=None)


def _first_symptom(facts: DiagnosisFacts, service: str) -> IndicatorFinding | None:
    """Return the indicator of a service that became bad first and still is."""
    bad = [
        item
        for item in facts.metrics.indicators
        if item.service == service and item.onset_at is not None and item.is_normal_now is False
    ]
    return min(bad, key=lambda item: item.onset_at or 0.0, default=None)


def _moved_at(facts: DiagnosisFacts, service: str) -> float | None:
    symptom = _first_symptom(facts, service)
    return symptom.onset_at if symptom else None


def _moved_before(facts: DiagnosisFacts, service: str, onset: float) -> IndicatorFinding | None:
    """Return what a dependency shows if it was bad no later than the service itself."""
    if service != facts.service:
        return None
    for name in facts.metrics.depends_on:
        symptom = _first_symptom(facts, name)
        if symptom and symptom.onset_at is not None and symptom.onset_at <= onset + CLOCK_SLACK_S:
            return symptom
    return None


def _is_measured(facts: DiagnosisFacts, service: str) -> bool:
    return any(
        item.service == service and item.is_normal_now is not None
        for item in facts.metrics.indicators
    )


def _new_lines(
    facts: DiagnosisFacts, service: str, after: float, levels: frozenset[str]
) -> list[PatternFinding]:
    """Return the kinds of lines that came up after that time, most frequent first."""
    found = [
        line
        for line in facts.logs.patterns
        if line.service == service
        and line.level in levels
        and line.first_seen >= after
        and line.count + line.baseline_count >= MIN_LINES
    ]
    return sorted(found, key=lambda line: line.count, reverse=True)[:MAX_REASON_LINES]


def _surging(facts: DiagnosisFacts, service: str) -> list[PatternFinding]:
    return [
        line
        for line in facts.logs.patterns
        if line.service == service
        and line.level in TROUBLE
        and line.count >= MIN_LINES
        and (line.rate_change or 0.0) >= SURGE_RATE
    ]


def _names_any(line: PatternFinding, names: Sequence[str]) -> bool:
    words = _words(line.template)
    return any(name.casefold() in words for name in names)


def _shares_words(line: PatternFinding, deploy: ChangeFinding) -> bool:
    changed = _words(" ".join([deploy.subject, *deploy.files])) - _words(deploy.service)
    long = {word for word in changed if len(word) >= MIN_WORD_CHARS}
    return bool(long & _words(line.template))


def _words(text: str) -> set[str]:
    return set("".join(s if s.isalnum() else " " for s in text.casefold()).split())


def _is_latest(facts: DiagnosisFacts, deploy: ChangeFinding, onset: float) -> bool:
    return not any(
        other.service == deploy.service and deploy.at < other.at <= onset + CLOCK_SLACK_S
        for other in facts.changes.deploys
    )


def _score(value: float) -> float:
    return round(min(1.0, max(0.0, value)), 3)


def _marks(facts: DiagnosisFacts, since: float | None) -> tuple[Mark, ...]:
    """Return what a chart should show: deploys, and when it began."""
    marks = [
        Mark(at=deploy.at, label=f"deploy {deploy.service} {short(deploy.release)}", kind="change")
        for deploy in facts.changes.deploys
        if since is None or deploy.at >= since - MAX_DEPLOY_GAP_S
    ]
    if since is not None:
        marks.append(Mark(at=since, label="symptom starts", kind="symptom"))
    return tuple(sorted(marks, key=lambda mark: mark.at))
