"""What one tool call of an agent gave."""

from __future__ import annotations

from dataclasses import dataclass

from agents.domain import JsonObject


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What one tool call of a runbook gave; `output` is None when it failed with `error`."""

    output: JsonObject | None
    evidence_id: str
    text: str
    error: str
    args: JsonObject | None = None
    """What really ran, when an approver changed the arguments."""
