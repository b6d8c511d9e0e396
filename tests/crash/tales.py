"""The tales that the sweep tells: what each needs, and what must be true whenever it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RUNBOOK, THINKING = "runbook", "thinking"


@dataclass(frozen=True, slots=True)
class Tale:
    """One tale. `model_calls` is how many an undisturbed one makes; 0: it has no models.

    `at_work` is how many agents think at the same time: so many replies a killed worker may have
    heard and not yet written down.
    """

    name: str
    catalogue: str
    effects: tuple[str, ...]
    approvals: int
    questions: int = 0
    model_calls: int = 0
    at_work: int = 0


TALES: Mapping[str, Tale] = {
    RUNBOOK: Tale(RUNBOOK, "catalogue", ("rollback", "restart"), approvals=2),
    THINKING: Tale(
        THINKING,
        "catalogue_thinking",
        ("rollback", "restart"),
        approvals=1,
        questions=1,
        model_calls=12,
        at_work=2,
    ),
}
NAMES = tuple(TALES)
