"""What every alert source is: a name and a function that reads one delivery."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import ValidationError

from agents.redact import redact
from config.specs import SourceSpec
from jobs.incidents import Alert, AlertStatus

MAX_ALERTS = 500
MAX_TITLE_CHARS = 200
MAX_NAME_CHARS = 128
MAX_LABEL_CHARS = 1_024
MAX_ANNOTATION_CHARS = 2_000
MAX_URL_CHARS = 2_000
MAX_FINGERPRINT_CHARS = 128
MAX_SEVERITY_CHARS = 32
MAX_LABELS = 64
MAX_ANNOTATIONS = 32
MAX_PROBLEMS_SHOWN = 3
LATEST_S = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


class BadDeliveryError(Exception):
    """The sender has to change what it sends; `sentence` says which field."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class AlertSource:
    """One kind of alert system. `parse` reads a delivery of the named source.

    It raises BadDeliveryError, and takes or refuses a delivery as a whole.
    """

    name: str
    parse: Callable[[bytes, str, SourceSpec], tuple[Alert, ...]]


def bad_shape(what: str, error: ValidationError) -> BadDeliveryError:
    """Return the error that names the fields which are wrong."""
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    if any(problem["type"] == "json_invalid" for problem in problems):
        return BadDeliveryError(f"{what}: the body is not JSON ({problems[0]['msg']}).")
    shown = [
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in problems[:MAX_PROBLEMS_SHOWN]
    ]
    more = len(problems) - len(shown)
    return BadDeliveryError(f"{what}: {'; '.join(shown)}" + (f"; {more} more" if more else "."))


def require_few(what: str, count: int) -> None:
    """Raise BadDeliveryError when a delivery holds more alerts than are taken at once."""
    if count > MAX_ALERTS:
        raise BadDeliveryError(
            f"{what}: {count} alerts in one delivery; send at most {MAX_ALERTS} at once."
        )


def alert(
    *,
    source: str,
    title: str,
    status: AlertStatus,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    severity: str = "",
    fingerprint: str = "",
    starts_at: float | None = None,
    ends_at: float | None = None,
    url: str = "",
    cut_off: int = 0,
) -> Alert:
    """Return the alert with its texts redacted and cut to the limits above."""
    labels = dict(list(labels.items())[:MAX_LABELS])
    annotations = dict(list(annotations.items())[:MAX_ANNOTATIONS])
    # One look at everything: the rule is that there is no secret, and looking is what costs.
    pairs = [("title", title), ("url", url), *labels.items(), *annotations.items()]
    text = "\n".join(f"{name}={value}" for name, value in pairs)
    is_clean = redact(text) == text
    known = fingerprint or default_fingerprint(title, labels)
    if not is_clean:
        title, url = redact(title), redact(url)
        labels, annotations = _redacted(labels), _redacted(annotations)
    is_firing = status is AlertStatus.FIRING
    return Alert(
        fingerprint=known[:MAX_FINGERPRINT_CHARS],
        source=source,
        title=" ".join(title.split())[:MAX_TITLE_CHARS],
        status=status,
        severity=severity.strip().lower()[:MAX_SEVERITY_CHARS] or "unknown",
        labels={k[:MAX_NAME_CHARS]: v[:MAX_LABEL_CHARS] for k, v in labels.items()},
        annotations={k[:MAX_NAME_CHARS]: v[:MAX_ANNOTATION_CHARS] for k, v in annotations.items()},
        starts_at=starts_at,
        ends_at=None if is_firing else ends_at,
        url=url[:MAX_URL_CHARS] if url.startswith(("http://", "https://")) else "",
        cut_off=cut_off,
    )


def without(one: Alert, secrets: Sequence[str]) -> Alert:
    """Return the alert without any of these secrets. What it is told from others by stays."""
    return replace(
        one,
        title=redact(one.title, secrets),
        labels={name: redact(value, secrets) for name, value in one.labels.items()},
        annotations={name: redact(value, secrets) for name, value in one.annotations.items()},
        url=redact(one.url, secrets),
    )


def _redacted(values: Mapping[str, str]) -> dict[str, str]:
    """Redact each value together with its name, since a name such as `token` gives it away."""
    return {name: _redact_pair(redact(name), value) for name, value in values.items()}


def _redact_pair(name: str, value: str) -> str:
    prefix = f"{name}="
    pair = redact(prefix + redact(value))
    return pair[len(prefix) :] if pair.startswith(prefix) else pair


def default_fingerprint(title: str, labels: Mapping[str, str]) -> str:
    """Return what tells an alert from others when its source does not: labels, else title."""
    told = json.dumps(dict(labels) or title, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(told.encode(errors="replace")).hexdigest()[:16]


def plausible_time(moment: float | None) -> float | None:
    """Return the time unless it is a placeholder for none, such as the year 1."""
    return moment if moment is not None and 0 < moment < LATEST_S else None
