"""Words for people who wait: one update when a disruption is confirmed, one when it is over."""

from __future__ import annotations

from collections.abc import Mapping

from agents.domain import JsonObject
from agents.findings import (
    Detection,
    IndicatorFinding,
    MetricsFindings,
    Notices,
    Verification,
    as_json,
)
from agents.outcome import CallOutcome
from agents.wording import amount, clock, indicator_name, possessive

NEXT_UPDATE_S = 1_800.0
"""When customers hear more at the latest; a promise that can be kept without knowing the cause."""
MINUTE_S = 60
FELT = {
    "ratio": "some requests to {service} fail",
    "seconds": "{service} answers more slowly than usual",
    "per_second": "{service} serves fewer requests than usual",
}
"""What customers feel, by the unit of the indicator."""
SAYS_BEST = ("ratio", "seconds", "per_second", "count", "bytes")


def incident_notices(inputs: JsonObject, calls: Mapping[str, CallOutcome]) -> JsonObject:
    """Return what to tell the channel, the public and customers, now or at the end."""
    service = str(inputs.get("service") or "")
    checked = inputs.get("verification")
    if isinstance(checked, dict):
        return as_json(_over(service, Verification.model_validate(checked)))
    metrics = inputs.get("metrics")
    found = MetricsFindings.model_validate(
        metrics if isinstance(metrics, dict) else {"service": service}
    )
    told = inputs.get("detection")
    known = Detection.model_validate(told) if isinstance(told, dict) else None
    return as_json(_begun(service, found, known))


def _begun(service: str, metrics: MetricsFindings, known: Detection | None) -> Notices:
    bad = _worst(service, metrics)
    since = metrics.symptom_since or (bad.onset_at if bad else None)
    eta = _at_minute(metrics.checked_at + NEXT_UPDATE_S) if metrics.checked_at else ""
    when = f"Since {_at_minute(since)}, " if since else "At the moment, "
    felt = FELT.get(bad.unit if bad else "", "{service} does not work as usual")
    what = felt.format(service=service)
    more = f" We will say more by {eta}." if eta else ""
    return Notices(
        phase="began",
        update=" ".join(
            [
                f"Confirmed: {_measured(service, bad)}.",
                f"{known.line}." if known and known.status != "new" else "",
                "The cause is being looked for; the card shows how far that is.",
            ]
        ).replace("  ", " "),
        subject=f"Problems with {service}",
        public=f"{when}{what}. We are looking into it.{more}",
        customers=(
            f"Hello,\n\n{when}{what}. You may notice this when you use our service. We are "
            f"looking for the cause, and you need not do anything.{more}\n\n"
            "Kind regards\nYour support team"
        ),
        state="investigating",
        eta=eta,
    )


def _over(service: str, checked: Verification) -> Notices:
    at = f" since {_at_minute(checked.normal_since)}" if checked.normal_since else ""
    return Notices(
        phase="over",
        update=f"Over: {service} is back to normal{at}.",
        subject=f"{service.capitalize()} works again",
        public=f"{service.capitalize()} works normally again{at}. We are sorry for the trouble.",
        customers=(
            f"Hello,\n\n{service} works normally again{at}. Thank you for your patience.\n\n"
            "Kind regards\nYour support team"
        ),
        state="resolved",
    )


def _worst(service: str, metrics: MetricsFindings) -> IndicatorFinding | None:
    """Return the bad indicator that says best what people feel."""
    bad = [
        one for one in metrics.indicators if one.service == service and one.is_normal_now is False
    ]
    return min(bad, key=lambda one: SAYS_BEST.index(one.unit), default=None)


def _measured(service: str, bad: IndicatorFinding | None) -> str:
    if bad is None:
        return f"{service} is not doing well"
    now = bad.current if bad.current is not None else bad.after
    text = f"{possessive(service)} {indicator_name(bad.indicator)} is at {amount(now, bad.unit)}"
    since = f" since {clock(bad.onset_at)}" if bad.onset_at else ""
    before = f", normally {amount(bad.before, bad.unit)}" if bad.before is not None else ""
    return f"{text}{since}{before}"


def _at_minute(at: float) -> str:
    """Return a time of day without seconds: `10:40 UTC`."""
    return clock(at // MINUTE_S * MINUTE_S).replace(":00 UTC", " UTC")
