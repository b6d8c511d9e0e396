"""How often a live card may change, by platform: fresh, yet never held up by a rate limit.

Spacing just under a platform's limit shows fresher state than sending as fast as it allows,
because an edit over the limit blocks the ones that matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

YOUNG_S = 120.0
OLD_S = 600.0
FREEZE_EXTRA_S = 0.5
SLOWED_S = 300.0
SLOWED_FACTOR = 2.0
PHASE_SHARE = 0.8
"""Of the reserve, that a change of phase leaves too: it goes before details."""


class Urgency(IntEnum):
    """How much a frame matters, the greater the more."""

    DETAIL = 0
    PHASE = 1
    APPROVAL = 2
    FINAL = 3


@dataclass(frozen=True, slots=True)
class Pace:
    """A platform's numbers; see docs/architecture.md.

    `gaps_s`: least time between two frames of one card while its run is young, older, old.
    `per_card_s`: with N live cards the gap is at least N times this. `rate_per_s` and `burst`
    are the shared budget of edits, of which `reserved` are kept for approvals and final frames.
    A rate of 0 means that there is no limit. `has_free_posts`: the platform counts new messages
    apart from edits, and paces them itself.
    """

    gaps_s: tuple[float, float, float]
    per_card_s: float = 1.5
    rate_per_s: float = 0.0
    burst: float = 0.0
    reserved: float = 0.0
    has_free_posts: bool = False


CONSOLE = Pace(gaps_s=(0.1, 0.1, 0.1), per_card_s=0.01)
"""It has no limit; with many cards at once the gap only keeps this machine's own work small."""
SLACK = Pace((2.5, 5.0, 10.0), rate_per_s=38 / 60, burst=10.0, reserved=5.0, has_free_posts=True)
"""Slack takes 50 edits a minute of an app in a workspace: 38 and a burst of 10 stay below that,
wherever its minute begins."""
SLACK_DIRECT = replace(SLACK, gaps_s=(1.5, 3.0, 10.0))
DISCORD = Pace((1.5, 3.0, 10.0), rate_per_s=4 / 5, burst=4.0, reserved=1.0)
PACES: Mapping[str, Pace] = {"console": CONSOLE, "slack": SLACK, "discord": DISCORD}
"""By the platform's name; a platform that is not listed is treated like Slack, the strictest."""


def pace_of(platform: str) -> Pace:
    """Return the numbers of a platform."""
    return PACES.get(platform, SLACK)


def gap_s(pace: Pace, age_s: float, live_cards: int) -> float:
    """Return the least time between two frames of a card."""
    young, older, old = pace.gaps_s
    own = young if age_s < YOUNG_S else older if age_s < OLD_S else old
    return max(own, live_cards * pace.per_card_s)


def floor(pace: Pace, urgency: Urgency) -> float:
    """Return how much of the budget a frame has to leave for those that matter more."""
    if urgency is Urgency.FINAL:
        return 0.0
    if urgency is Urgency.APPROVAL:
        return min(1.0, pace.reserved / 2)
    return pace.reserved * (PHASE_SHARE if urgency is Urgency.PHASE else 1.0)


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of a platform's shared budget. Pure: every method returns the next value."""

    pace: Pace
    tokens: float
    at: float
    frozen_until: float = 0.0
    slowed_until: float = 0.0

    @classmethod
    def full(cls, pace: Pace, now: float) -> Budget:
        """Return an untouched budget."""
        return cls(pace, pace.burst, now)

    @classmethod
    def taken_over(cls, pace: Pace, now: float) -> Budget:
        """Return a budget of which another process may have spent the rest: the reserve is left."""
        return cls(pace, max(pace.reserved, min(1.0, pace.burst)), now)

    def factor(self, now: float) -> float:
        """By how much gaps are stretched, after the platform complained."""
        return SLOWED_FACTOR if now < self.slowed_until else 1.0

    def wait_s(self, now: float, urgency: Urgency) -> float:
        """Return how long a frame of this urgency has to wait for the budget; 0: not at all."""
        frozen = max(0.0, self.frozen_until - now)
        if self.pace.rate_per_s == 0:
            return frozen
        lacking = 1.0 + floor(self.pace, urgency) - self._tokens(now)
        return max(frozen, lacking / self.pace.rate_per_s, 0.0)

    def spend(self, now: float) -> Budget:
        """Return the budget after one edit."""
        if self.pace.rate_per_s == 0:
            return self
        return replace(self, tokens=max(0.0, self._tokens(now) - 1.0), at=now)

    def freeze(self, now: float, retry_after_s: float) -> Budget:
        """Return the budget after the platform asked to wait."""
        until = now + retry_after_s + FREEZE_EXTRA_S
        return replace(
            self,
            frozen_until=max(self.frozen_until, until),
            slowed_until=until + SLOWED_S,
            tokens=0.0,
            at=now,
        )

    def _tokens(self, now: float) -> float:
        earned = max(0.0, now - self.at) * self.pace.rate_per_s
        return min(self.pace.burst, self.tokens + earned)
