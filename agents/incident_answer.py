"""Writes the answer of an incident's run: what happened, why, what was done, is it over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from agents.domain import JsonObject
from agents.findings import (
    AnswerOut,
    CiteOut,
    ClaimOut,
    MetricsFindings,
    MomentOut,
    Proposal,
    Ranking,
    Reason,
    Suspect,
    Verification,
    as_json,
)
from agents.wording import amount, indicator_name, one_line, possessive, short

MAX_REASON_CLAIMS = 5
MAX_SUSPECTS_SHOWN = 3
MAX_MOMENTS = 40
MAX_MISSING = 12
SAME_MOMENT_S = 2.0
MAX_ERROR_CHARS = 200
FAILING_STATUSES = frozenset({"failed", "cancelled"})
FIX_STEPS = {"service.rollback": "rollback", "service.restart": "restart"}
DONE = {"service.rollback": "rolled back", "service.restart": "restarted"}
NOUN = {"service.rollback": "rollback", "service.restart": "restart"}

Finding = Literal["fixed", "cause_found", "healthy", "inconclusive", "failed"]


class _Given(BaseModel):
    """What the reporter is given; any of it may be missing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    service: str = ""
    alerts: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    ranking: dict[str, Any] | None = None
    rollback: dict[str, Any] | None = None
    restart: dict[str, Any] | None = None
    verification: dict[str, Any] | None = None
    resolved: dict[str, Any] | None = None
    detection: dict[str, Any] | None = None
    manual: dict[str, Any] | None = None
    timeline: list[dict[str, Any]] = Field(default_factory=list)
    decisions: list[dict[str, Any]] = Field(default_factory=list)
    statuses: dict[str, dict[str, Any]] = Field(default_factory=dict)


class _Case:
    """The facts of one incident in the shape that its sentences need."""

    def __init__(self, given: _Given) -> None:
        self.service = given.service
        self.given = given
        self.ranking = Ranking.model_validate(given.ranking) if given.ranking is not None else None
        self.verification = (
            Verification.model_validate(given.verification) if given.verification else None
        )
        by_hand = Verification.model_validate(given.manual) if given.manual else None
        self.is_mended_by_hand = by_hand is not None and by_hand.is_normal
        self.verification = self.verification or by_hand
        self.proposal = self.ranking.proposal if self.ranking else Proposal()
        self.top: Suspect | None = (
            self.ranking.suspects[0] if self.ranking and self.ranking.suspects else None
        )
        outputs = {"service.rollback": given.rollback, "service.restart": given.restart}
        self.done_tool = next((tool for tool, output in outputs.items() if output), "")
        self.done: dict[str, Any] = outputs.get(self.done_tool) or {}
        self.decision = self._decision()

    def _decision(self) -> dict[str, Any]:
        """Return the last decision about the fix."""
        tool = self.done_tool or self.proposal.tool
        found = [one for one in self.given.decisions if one.get("tool") == tool]
        return found[-1] if found else {}

    @property
    def by(self) -> str:
        """Who decided, in words."""
        return str(self.decision.get("by") or "")

    @property
    def fix_status(self) -> Mapping[str, Any]:
        """What the run says of the proposed fix's step."""
        return self.given.statuses.get(FIX_STEPS.get(self.proposal.tool or "", ""), {})

    @property
    def target(self) -> str:
        """The service that was acted on."""
        return str(self.done.get("service") or self.proposal.args.service)

    @property
    def is_resolved(self) -> bool | None:
        """Whether the alert is over; None when nobody looked."""
        value = (self.given.resolved or {}).get("is_resolved")
        return value if isinstance(value, bool) else None


def incident_answer(inputs: JsonObject, chart_id: str, missing: Sequence[str] = ()) -> JsonObject:
    """Return the JSON of the answer; what is not known is named, nothing is made up."""
    case = _Case(_Given.model_validate({k: v for k, v in inputs.items() if v is not None}))
    finding = _finding(case)
    return as_json(
        AnswerOut(
            headline=_headline(case, finding),
            finding=finding,
            summary=_summary(case, finding),
            claims=tuple(_claims(case)),
            confidence=case.ranking.confidence if case.ranking else None,
            timeline=tuple(_timeline(case)),
            actions=tuple(_actions(case)),
            recommendations=tuple(_recommendations(case, finding)),
            missing=tuple(_missing(case, missing)),
            charts=(chart_id,) if chart_id else (),
            used_model=False,
        )
    )


def _finding(case: _Case) -> Finding:
    if case.ranking is None:
        return "failed"
    if case.ranking.status == "healthy":
        return "inconclusive" if case.is_resolved is False else "healthy"
    if case.verification and case.verification.is_normal and (case.done or case.is_mended_by_hand):
        return "fixed"
    return "cause_found" if case.ranking.status == "cause_found" else "inconclusive"


def _headline(case: _Case, finding: Finding) -> str:
    name = case.service.capitalize()
    if case.ranking is None:
        return f"{name} could not be diagnosed: the steps that look at it failed."
    if case.ranking.status == "healthy":
        if finding == "inconclusive":
            return (
                f"{possessive(name)} indicators are all normal, but its alert still fires: "
                "look at what the alert measures."
            )
        return f"Nothing is wrong with {case.service} now{_was(case.ranking)}."
    was = _ailing(case)
    if case.is_mended_by_hand:
        return f"{name} was {was}; it was mended by hand, {_back(case)}."
    if case.ranking.status == "inconclusive" or case.top is None:
        if case.ranking.is_present_now is None:
            return f"Whether anything is wrong with {case.service} could not be measured."
        return f"{name} is {was}; the evidence does not show one clear cause."
    cause = _cause(case.top, case.service)
    if not case.done:
        return f"{name} is {was} because {cause}; {_not_done(case)}."
    by = f", approved by {case.by}" if case.by else ""
    done = f"{_did(case)}{by}"
    if finding == "fixed":
        return f"{name} was {was} because {cause}; {done}, {_back(case)}."
    state = "it is not back to normal" if case.verification else "the effect was not verified"
    return f"{name} was {was}, most likely because {cause}; {done}, but {state}."


def _was(ranking: Ranking) -> str:
    """Say what there was before all was well again."""
    if not ranking.symptoms:
        return ""
    return f"; {ranking.symptoms[0].text}, and all its indicators are normal"


def _ailing(case: _Case) -> str:
    ranking = case.ranking
    match ranking.symptom_unit if ranking else "":
        case "ratio":
            return "failing"
        case "seconds":
            return "slow"
        case _:
            return "degraded"


def _cause(top: Suspect, service: str) -> str:
    match top.kind:
        case "deploy":
            of = "" if top.service == service else f" of {top.service}"
            return f"release {short(top.release)}{of} broke it"
        case "dependency":
            return f"{top.service}, which it depends on, became bad first"
        case _:
            return "more traffic than usual came in"


def _did(case: _Case) -> str:
    words = DONE.get(case.done_tool, "acted on")
    target = "" if case.target == case.service else f"{case.target} was "
    if case.done_tool == "service.rollback":
        return f"{target}{words} to {short(str(case.done.get('release', '')))}"
    return f"{target}{words}" if target else f"it was {words}"


def _not_done(case: _Case) -> str:
    """Say why nothing was done."""
    if case.proposal.tool is None:
        return "there is no declared command that would undo it"
    noun = NOUN[case.proposal.tool]
    outcome = str(case.decision.get("outcome") or "")
    if outcome == "denied":
        return f"the {noun} was denied{f' by {case.by}' if case.by else ''} and nothing was changed"
    if outcome == "expired":
        return f"nobody decided about the {noun} in time and nothing was changed"
    if case.fix_status.get("status") == "failed":
        return f"the {noun} failed"
    if outcome == "cancelled":
        return f"the {noun} was cancelled and nothing was changed"
    return f"the {noun} was not carried out"


def _back(case: _Case) -> str:
    ranking, checked = case.ranking, case.verification
    if ranking and checked and ranking.symptom_indicator in checked.values:
        value = checked.values[ranking.symptom_indicator]
        what = indicator_name(ranking.symptom_indicator)
        return f"{what} back to {amount(value, ranking.symptom_unit)}"
    return "all indicators are back to normal"


def _summary(case: _Case, finding: Finding) -> str:
    ranking = case.ranking
    if ranking is None:
        return "The diagnosis is missing; see what failed below."
    parts: list[str] = []
    if ranking.symptoms and ranking.status != "healthy":
        parts.append(f"{ranking.symptoms[0].text}.")
    if case.top and ranking.status == "cause_found":
        parts.append(
            f"The best explanation is {case.top.title} (score {case.top.score:.2f}"
            + (f", next {ranking.suspects[1].score:.2f}" if len(ranking.suspects) > 1 else "")
            + ")."
        )
    elif ranking.suspects and ranking.status == "inconclusive":
        shown = ", ".join(
            f"{one.title} ({one.score:.2f})" for one in ranking.suspects[:MAX_SUSPECTS_SHOWN]
        )
        parts.append(f"What was considered: {shown}.")
    detection = case.given.detection or {}
    if detection.get("status") in ("again", "part_of") and detection.get("line"):
        parts.append(f"{detection['line']}.")
    if finding == "healthy" and case.is_resolved:
        parts.append("The alert is resolved and nothing was changed.")
    elif finding == "healthy":
        parts.append("Nothing was changed.")
    if (case.done or case.is_mended_by_hand) and case.is_resolved is not None:
        parts.append("The alert is resolved." if case.is_resolved else "The alert still fires.")
    return " ".join(parts)


def _claims(case: _Case) -> list[ClaimOut]:
    claims: list[ClaimOut] = []
    if case.ranking:
        claims += [_claim(f"{reason.text}.", [reason]) for reason in case.ranking.symptoms[:2]]
        if case.ranking.status == "healthy":
            claims += _normal_claims(case)
        if case.top and case.ranking.status == "cause_found":
            claims += [
                _claim(f"{_sentence(reason.text)}.", [reason])
                for reason in case.top.reasons[:MAX_REASON_CLAIMS]
                if reason.evidence_id and reason.points > 0
            ]
    if case.done:
        line, evidence_id = str(case.done.get("line", "")), str(case.done.get("evidence_id", ""))
        if line and evidence_id:
            reason = Reason(text=line, evidence_id=evidence_id, quote=line)
            claims.append(_claim(f"{_sentence(line)}.", [reason]))
    if case.verification and case.verification.lines:
        lines = case.verification.lines
        claims.append(_claim(f"{_sentence(lines[0].text)}.", lines[:MAX_REASON_CLAIMS]))
    resolved = case.given.resolved or {}
    if resolved.get("is_resolved") and resolved.get("evidence_id"):
        line = str(resolved.get("line", ""))
        reason = Reason(text=line, evidence_id=str(resolved["evidence_id"]), quote=line)
        claims.append(_claim(f"The alert is over: {line}.", [reason]))
    return claims


def _normal_claims(case: _Case) -> list[ClaimOut]:
    """Say of each indicator of the service that it is normal now."""
    metrics = MetricsFindings.model_validate(case.given.metrics or {"service": case.service})
    return [
        _claim(
            f"{possessive(item.service)} {indicator_name(item.indicator)} is normal: "
            f"{amount(item.current, item.unit)}.",
            [Reason(text=item.quote, evidence_id=item.evidence_id, quote=item.quote)],
        )
        for item in metrics.indicators
        if item.service == case.service and item.is_normal_now and item.onset_at is None
    ][:MAX_REASON_CLAIMS]


def _claim(text: str, reasons: Sequence[Reason]) -> ClaimOut:
    return ClaimOut(
        text=_sentence(text),
        cites=tuple(
            CiteOut(evidence_id=reason.evidence_id, quote=reason.quote)
            for reason in reasons
            if reason.evidence_id and reason.quote
        ),
    )


def _timeline(case: _Case) -> list[MomentOut]:
    """Merge what the run knows with what the evidence shows, oldest first, each thing once."""
    moments = [
        _moment(one["at"], one["text"], str(one.get("kind") or "note"))
        for one in case.given.timeline
        if _is_moment(one)
    ]
    added = [
        _moment(alert.get("started_at"), f"Alert: {alert.get('title')}", "alert")
        for alert in _records((case.given.alerts or {}).get("alerts"))
    ]
    marks = case.ranking.marks if case.ranking else ()
    added += [_moment(mark.at, _sentence(mark.label), mark.kind) for mark in marks]
    resolved_at = (case.given.resolved or {}).get("resolved_at")
    if resolved_at:
        added.append(_moment(resolved_at, "Alert resolved", "recovery"))
    if case.verification and case.verification.normal_since:
        added.append(
            _moment(case.verification.normal_since, "All indicators normal again", "recovery")
        )
    for moment in added:
        # An alert is known to the run, too; a recovery of the alert may be kept as its signal.
        if not any(_is_same(moment, known) for known in moments):
            moments.append(moment)
    return sorted((m for m in moments if m.at > 0), key=lambda one: one.at)[-MAX_MOMENTS:]


def _is_moment(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("at"), int | float) and isinstance(value.get("text"), str)


def _moment(at: object, text: str, kind: str) -> MomentOut:
    when = float(at) if isinstance(at, int | float) else 0.0
    return MomentOut(at=when, text=one_line(text, MAX_ERROR_CHARS), kind=kind)


def _is_same(one: MomentOut, other: MomentOut) -> bool:
    if one.text == other.text:
        return abs(one.at - other.at) <= SAME_MOMENT_S
    is_alert = one.kind == other.kind == "alert" or (
        "resolved" in one.text and "resolved" in (other.text)
    )
    return is_alert and abs(one.at - other.at) <= SAME_MOMENT_S


def _actions(case: _Case) -> list[str]:
    if not case.done:
        return []
    by = f", approved by {case.by}" if case.by else ""
    line = str(case.done.get("line") or _did(case))
    return [f"{_sentence(line)}{by}"]


def _recommendations(case: _Case, finding: Finding) -> list[str]:
    ranking = case.ranking
    if ranking is None:
        return [f"Look at {case.service} by hand, and run this again once the tools answer."]
    if case.is_mended_by_hand:
        return ["Declare what was done by hand as a command, so that it can be proposed next time."]
    if finding == "fixed" and case.top:
        if case.top.kind == "deploy":
            return [f"Mend or revert {short(case.top.release)} before it is released again."]
        return [
            f"A restart of {case.target} cures the symptom: find out what used up its resources."
        ]
    if finding == "healthy":
        if not _records((case.given.alerts or {}).get("alerts")):
            return []
        return ["If this alert comes and goes, give it a longer `for` or a higher threshold."]
    if ranking.status == "healthy":
        return ["Check what the alert measures; none of the configured indicators shows it."]
    if case.done:
        return [f"{case.target} was acted on without the wished effect: look at it by hand."]
    if case.top and ranking.status == "cause_found":
        return [_by_hand(case, case.top)]
    names = [one.title for one in ranking.suspects[:MAX_SUSPECTS_SHOWN]]
    return (
        [f"Look at these first: {', '.join(names)}."]
        if names
        else [f"Look at {case.service} by hand: no recent change or dependency stands out."]
    )


def _by_hand(case: _Case, top: Suspect) -> str:
    if top.kind == "deploy" and top.previous:
        return f"Roll {top.service} back to {short(top.previous)} by hand, or fix it forward."
    if top.kind == "deploy":
        return f"Take release {short(top.release)} of {top.service} back by hand."
    if top.kind == "dependency":
        return f"Restart {top.service} by hand, and look at its newest log lines."
    return f"Add capacity to {case.service}, or limit its traffic."


def _missing(case: _Case, missing: Sequence[str]) -> list[str]:
    """Name the steps that failed, then what single tools could not see."""
    found = [
        f"{one.get('title') or step} {one.get('status')}"
        + (f": {one_line(str(one['error']), MAX_ERROR_CHARS)}" if one.get("error") else "")
        for step, one in case.given.statuses.items()
        if one.get("status") in FAILING_STATUSES
    ]
    if case.ranking:
        found += case.ranking.missing
    elif case.given.metrics:
        found += MetricsFindings.model_validate(case.given.metrics).missing
    if case.verification:
        found += case.verification.missing
    found += [f"chart: {reason}" for reason in missing]
    return list(dict.fromkeys(found))[:MAX_MISSING]


def _records(value: JsonValue | Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
