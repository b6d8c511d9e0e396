"""The faults: what the director stages, and when."""

from dataclasses import dataclass
from enum import StrEnum

from demo.history import FRIENDLIER_TEXTS, RECENT, TAX_BY_REGION, Change

BASELINE_S = 25.0
# The innocent deploy leads the slow dependency by this much, or by half of a short baseline.
RED_HERRING_LEAD_S = 12.0


class Fault(StrEnum):
    """What goes wrong."""

    BAD_RELEASE = "bad-release"
    SLOW_PAYMENTS = "slow-payments"
    NONE = "none"


class Act(StrEnum):
    """What the director can stage."""

    DEPLOY = "deploy"
    REFUNDS = "refunds"
    BLIP = "blip"


@dataclass(frozen=True, slots=True)
class Scene:
    """One act at a time after the traffic started."""

    at_s: float
    act: Act
    change: Change | None = None


def scenes(fault: Fault, baseline_s: float = BASELINE_S, pace: float = 1.0) -> tuple[Scene, ...]:
    """Return what to stage, in order; `pace` stretches (or, below 1, shortens) every wait."""
    onset = baseline_s * pace
    if fault is Fault.BAD_RELEASE:
        return (Scene(onset, Act.DEPLOY, TAX_BY_REGION),)
    if fault is Fault.SLOW_PAYMENTS:
        lead = min(RED_HERRING_LEAD_S * pace, onset / 2)
        return (Scene(onset - lead, Act.DEPLOY, FRIENDLIER_TEXTS), Scene(onset, Act.REFUNDS))
    return (Scene(onset, Act.BLIP),)


def recent_history(fault: Fault) -> tuple[Change, ...]:
    """Return the changes that were deployed shortly before the shop started."""
    return (RECENT,) if fault is Fault.NONE else ()
