"""From what went wrong on the wire to an error that says what to do next; never with the key."""

from __future__ import annotations

import email.utils
import math
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from agents.models.port import ModelBusyError, ModelError, ModelRequestError
from agents.redact import redact

MAX_DETAIL_CHARS = 200
BUSY = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS})
ADVICE: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "refused the key; check the variable that its key_env names",
    HTTPStatus.PAYMENT_REQUIRED: "wants to be paid first; check the account at the provider",
    HTTPStatus.FORBIDDEN: "may not be used with this key; check what the key is allowed",
    HTTPStatus.NOT_FOUND: "is not there; check its name and base_url in models.yaml",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "got too much text; lower the agent's context_tokens",
}


def model_error(
    model: str,
    status: int | None,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    secrets: Iterable[str] = (),
) -> ModelError:
    """Return the error for an answer with this status; None: there was no answer."""
    detail = _told(detail, secrets)
    if status is None:
        return ModelBusyError(f"{model} cannot be reached{detail}", status=status)
    if status in BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        pause_s = retry_after_s(headers or {}, time.time())
        what = "is too busy" if status == HTTPStatus.TOO_MANY_REQUESTS else "failed for now"
        return ModelBusyError(f"{model} {what} ({status}){detail}", pause_s, status=status)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        detail = ""
    advice = ADVICE.get(status, "refused the request; it does not fit what the model takes")
    return ModelRequestError(f"{model} {advice} ({status}){detail}", status=status)


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long the provider asks to wait: in milliseconds, seconds or until a date."""
    given = {name.lower(): value for name, value in headers.items()}
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(given.get(name, ""))
        if seconds is not None:
            return seconds * unit_s
    try:
        date = email.utils.parsedate_to_datetime(given.get("retry-after", ""))
    except ValueError:
        return None
    return max(0.0, date.timestamp() - now)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _told(detail: str, secrets: Iterable[str]) -> str:
    """Return the provider's own words: short, on one line, without secrets."""
    words = " ".join(redact(detail, secrets).split()).rpartition("Exception - ")[2]
    if not words:
        return ""
    return f": {words[:MAX_DETAIL_CHARS]}{'…' if len(words) > MAX_DETAIL_CHARS else ''}"
