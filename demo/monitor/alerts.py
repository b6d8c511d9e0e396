"""The alert rules and the life of an alert: inactive, pending, firing, inactive again."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from demo.monitor.series import Selector, SeriesStore, parse_selector

RULES_FILE = Path(__file__).parent.parent / "rules.yml"
_ALWAYS_ON = ("recording", "paging")
_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211
_SEPARATOR = b"\xff"
_COMPARISON = re.compile(r"(?P<selector>.+?)\s*>\s*(?P<threshold>\d+(\.\d+)?)")
_SECONDS = re.compile(r"(?P<seconds>\d+)s")
_PLACEHOLDER = re.compile(r"\{\{\s*(?P<expression>.+?)\s*\}\}")


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Fire when a series has been above a threshold for a while."""

    name: str
    selector: Selector
    threshold: float
    for_s: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


class Phase(StrEnum):
    """Where an alert is in its life."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class AlertState:
    """An alert now: its phase, since when, and the value that was seen last."""

    phase: Phase = Phase.INACTIVE
    active_since: float = 0.0
    fired_at: float = 0.0
    resolved_at: float = 0.0
    value: float = 0.0


def step(state: AlertState, value: float | None, rule: AlertRule, now: float) -> AlertState:
    """Return the alert's state after one evaluation; no value counts as not above."""
    if value is None or value <= rule.threshold:
        if state.phase is Phase.FIRING:
            return replace(state, phase=Phase.INACTIVE, resolved_at=now)
        return replace(state, phase=Phase.INACTIVE)
    active_since = now if state.phase is Phase.INACTIVE else state.active_since
    if state.phase is Phase.FIRING:
        return replace(state, value=value)
    if now - active_since >= rule.for_s:
        return AlertState(Phase.FIRING, active_since, fired_at=now, value=value)
    return AlertState(Phase.PENDING, active_since, value=value)


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the id that Alertmanager gives to an alert with these labels."""
    digest = _FNV_OFFSET
    for name, value in sorted(labels.items()):
        for byte in name.encode() + _SEPARATOR + value.encode() + _SEPARATOR:
            digest = ((digest ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"


def rule_groups(is_touchy: bool) -> list[dict[str, Any]]:
    """Return the groups of rules that are on, as Prometheus reads them."""
    groups: list[dict[str, Any]] = yaml.safe_load(RULES_FILE.read_text(encoding="utf-8"))["groups"]
    return [group for group in groups if is_touchy or group["name"] in _ALWAYS_ON]


def load_rules(is_touchy: bool) -> list[AlertRule]:
    """Return the alert rules that are on."""
    return [
        _parse_rule(rule)
        for group in rule_groups(is_touchy)
        for rule in group["rules"]
        if "alert" in rule
    ]


def _parse_rule(rule: Mapping[str, Any]) -> AlertRule:
    comparison = _COMPARISON.fullmatch(rule["expr"])
    duration = _SECONDS.fullmatch(rule.get("for", "0s"))
    if comparison is None or duration is None:
        raise ValueError(f"alert {rule['alert']}: the monitor reads `selector > number`, for: Ns")
    return AlertRule(
        name=rule["alert"],
        selector=parse_selector(comparison["selector"]),
        threshold=float(comparison["threshold"]),
        for_s=float(duration["seconds"]),
        labels=rule["labels"],
        annotations=rule["annotations"],
    )


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires or has just been resolved, ready to be told to others."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: AlertState

    @property
    def is_firing(self) -> bool:
        """Say whether the alert still fires."""
        return self.state.phase is Phase.FIRING

    @property
    def fingerprint(self) -> str:
        """Return the alert's stable id."""
        return fingerprint(self.labels)


def render(text: str, labels: Mapping[str, str], value: float) -> str:
    """Fill in the two placeholders that the shop's annotations use."""

    def fill(match: re.Match[str]) -> str:
        expression = match["expression"]
        if expression == "$value | humanizePercentage":
            return f"{value * 100:.4g}%"
        return labels[expression.removeprefix("$labels.")]

    return _PLACEHOLDER.sub(fill, text)


class AlertBook:
    """Evaluate the rules again and again, and remember the state of every alert."""

    def __init__(self, rules: Sequence[AlertRule]) -> None:
        self._rules = rules
        self._states: dict[str, AlertState] = {rule.name: AlertState() for rule in rules}

    def evaluate(self, store: SeriesStore, now: float) -> None:
        """Bring every alert up to date with the recorded series."""
        for rule in self._rules:
            values = (series.at(now) for series in store.select(rule.selector))
            value = max((value for value in values if value is not None), default=None)
            self._states[rule.name] = step(self._states[rule.name], value, rule, now)

    def alerts(self) -> list[Alert]:
        """Return every alert that has ever fired, with its state."""
        return [
            self._alert(rule, self._states[rule.name])
            for rule in self._rules
            if self._states[rule.name].fired_at
        ]

    def pending_or_firing(self) -> list[Alert]:
        """Return the alerts that are not inactive."""
        return [
            self._alert(rule, self._states[rule.name])
            for rule in self._rules
            if self._states[rule.name].phase is not Phase.INACTIVE
        ]

    @staticmethod
    def _alert(rule: AlertRule, state: AlertState) -> Alert:
        labels = {"alertname": rule.name, **rule.selector.labels, **rule.labels}
        annotations = {
            name: render(text, labels, state.value) for name, text in rule.annotations.items()
        }
        return Alert(labels, annotations, state)
