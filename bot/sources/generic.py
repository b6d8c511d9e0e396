"""Any JSON: sources.yaml says where in it an alert's fields are found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pydantic_core
from pydantic import JsonValue

from bot.sources.base import (
    AlertSource,
    BadDeliveryError,
    alert,
    plausible_time,
    require_few,
)
from config.expressions import ExpressionError, evaluate
from config.nearest import hint
from config.plain import to_text
from config.specs import ALERT_FIELDS, SourceSpec
from jobs.incidents import Alert, AlertStatus

FIELDS = frozenset(ALERT_FIELDS)
LABELS = ("service", "environment", "severity")
"""Fields that also become the label of that name, for routes and workflow inputs."""
ANNOTATIONS = ("summary", "description")
FIRING_WORDS = frozenset(
    {"firing", "alert", "alerting", "triggered", "open", "opened", "problem", "down", "active"}
)
RESOLVED_WORDS = frozenset({"resolved", "ok", "closed", "recovered", "recovery", "up", "inactive"})
MILLISECONDS_FROM = 100_000_000_000
"""A larger number is a Unix time in milliseconds: in seconds it would be the year 5138."""


def parse(body: bytes, name: str, spec: SourceSpec) -> tuple[Alert, ...]:
    """Translate one delivery by the source's mapping."""
    what = f"source {name}"
    try:
        told: JsonValue = pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BadDeliveryError(f"{what}: the body is not JSON ({error}).") from None
    items = _items(what, told, spec)
    require_few(what, len(items))
    return tuple(
        _Reader(f"{what}: alert {index + 1}", name, spec, {"body": told, "item": item}).alert()
        for index, item in enumerate(items)
    )


def _items(what: str, body: JsonValue, spec: SourceSpec) -> list[JsonValue]:
    for field in spec.mapping:
        if field.split(".")[0] not in FIELDS:
            known = hint(field, FIELDS)
            raise BadDeliveryError(f"{what}: sources.yaml maps the field {field!r}; {known}")
    if spec.items is None:
        return [body]
    try:
        items = evaluate(spec.items, {"body": body, "item": None})
    except ExpressionError as error:
        raise BadDeliveryError(f"{what}: items: {error}") from None
    if not isinstance(items, list):
        raise BadDeliveryError(
            f"{what}: items gives no list in this body; look at {spec.items!r} in sources.yaml."
        )
    return items


class _Reader:
    """Reads one alert's fields out of one item."""

    def __init__(
        self, what: str, source: str, spec: SourceSpec, variables: Mapping[str, Any]
    ) -> None:
        self._what = what
        self._source = source
        self._spec = spec
        self._variables = variables

    def alert(self) -> Alert:
        """Return the alert; BadDeliveryError names the field that is wrong."""
        title = self._text("title")
        if not title.strip():
            raise BadDeliveryError(
                f"{self._what}: title is missing; it is read from "
                f"{self._spec.mapping.get('title', '(no mapping)')!r} in sources.yaml."
            )
        labels = self._texts("labels")
        labels |= {field: text for field in LABELS if (text := self._text(field))}
        annotations = self._texts("annotations")
        annotations |= {field: text for field in ANNOTATIONS if (text := self._text(field))}
        return alert(
            source=self._source,
            title=title,
            status=self._status(),
            severity=self._text("severity"),
            labels=labels,
            annotations=annotations,
            fingerprint=self._text("fingerprint"),
            starts_at=self._time("starts_at"),
            ends_at=self._time("ends_at"),
            url=self._text("url"),
        )

    def _value(self, field: str) -> JsonValue:
        expression = self._spec.mapping.get(field)
        if expression is None:
            return None
        try:
            return evaluate(expression, self._variables)
        except ExpressionError as error:
            raise BadDeliveryError(f"{self._what}: {field}: {error}") from None

    def _text(self, field: str) -> str:
        value = self._value(field)
        if value is None:
            return ""
        if isinstance(value, dict | list):
            raise BadDeliveryError(f"{self._what}: {field} must be text, not {_kind(value)}.")
        return to_text(value)

    def _texts(self, field: str) -> dict[str, str]:
        """Return the mapping under a field, and what is mapped one by one (`labels.team`)."""
        value = self._value(field)
        if value is not None and not isinstance(value, dict):
            raise BadDeliveryError(f"{self._what}: {field} must be a mapping, not {_kind(value)}.")
        texts = {key: to_text(item) for key, item in (value or {}).items() if item is not None}
        for mapped in self._spec.mapping:
            head, _, name = mapped.partition(".")
            if head == field and name and (text := self._text(mapped)):
                texts[name] = text
        return texts

    def _status(self) -> AlertStatus:
        value = self._value("status")
        if value is None or value is True:
            return AlertStatus.FIRING
        if value is False:
            return AlertStatus.RESOLVED
        word = self._text("status").strip().lower()
        if word in FIRING_WORDS or word == "":
            return AlertStatus.FIRING
        if word in RESOLVED_WORDS:
            return AlertStatus.RESOLVED
        raise BadDeliveryError(
            f"{self._what}: status {word[:40]!r} is neither firing ({', '.join(_sorted_firing())}) "
            f"nor resolved ({', '.join(sorted(RESOLVED_WORDS))})."
        )

    def _time(self, field: str) -> float | None:
        value = self._value(field)
        if value is None or value == "":
            return None
        seconds = seconds_of(value)
        if seconds is None:
            raise BadDeliveryError(
                f"{self._what}: {field} must be an ISO 8601 time or Unix seconds, "
                f"not {to_text(value)[:60]!r}."
            )
        return plausible_time(seconds)


def _sorted_firing() -> list[str]:
    return sorted(FIRING_WORDS)


def seconds_of(value: JsonValue) -> float | None:
    """Return a time as Unix seconds; None when it is none. Without a zone it is taken as UTC."""
    if isinstance(value, bool) or value is None or isinstance(value, dict | list):
        return None
    try:
        number = float(value)
    except ValueError:
        return _iso_seconds(str(value))
    if not math.isfinite(number):
        return None
    return number / 1_000 if number >= MILLISECONDS_FROM else number


def _iso_seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if moment.year <= 1:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _kind(value: JsonValue) -> str:
    return {dict: "a mapping", list: "a list", str: "text", bool: "true or false"}.get(
        type(value), "a number"
    )


SOURCE = AlertSource(name="generic", parse=parse)
