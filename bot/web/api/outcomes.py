"""How the outcome of a click is said over HTTP."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from bot.desk import Outcome
from jobs.commands import Refusal

STATUS = {
    Refusal.UNKNOWN.value: 404,
    Refusal.NOT_ALLOWED.value: 403,
    Refusal.EXPIRED.value: 410,
    Refusal.INVALID.value: 422,
}
CONFLICT = 409
HINTS = {
    Refusal.UNKNOWN.value: "List what waits with GET /api/approvals.",
    Refusal.NOT_ALLOWED.value: "Ask one of the approvers.",
    Refusal.STALE_REVISION.value: "Read it again and decide on what it says now.",
    Refusal.INVALID.value: "Mend what is named and send it again.",
}


def status_of(outcome: Outcome) -> int:
    """Return the HTTP status of an outcome."""
    return STATUS.get(outcome.kind, CONFLICT) if outcome.is_refusal else 200


def outcome_json(outcome: Outcome, unknown_hint: str = "") -> JSONResponse:
    """Return the outcome, or an error that says why the click did not count.

    `unknown_hint` says where to find what there is, when that is not among the approvals.
    """
    if not outcome.is_refusal:
        return JSONResponse({"outcome": outcome.kind, "sentence": outcome.sentence})
    hint = HINTS.get(outcome.kind, "Nothing was changed.")
    if outcome.kind == Refusal.UNKNOWN.value and unknown_hint:
        hint = unknown_hint
    body: dict[str, Any] = {
        "error": outcome.sentence,
        "hint": hint,
        "outcome": outcome.kind,
    }
    if outcome.field_errors:
        body["fields"] = dict(outcome.field_errors)
    return JSONResponse(body, status_code=status_of(outcome))
