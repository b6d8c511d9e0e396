"""Which way an alert goes: the first route that matches decides."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from config.specs import RouteSpec
from jobs.incidents import Alert

UNROUTED = RouteSpec(name="unrouted", match={}, workflow=None)
"""Where an alert goes that no route matches: it is shown, and starts nothing."""


def route_for(routes: Sequence[RouteSpec], alert: Alert) -> RouteSpec:
    """Return the first route whose every pattern matches the alert's labels."""
    return next((route for route in routes if matches(route, alert)), UNROUTED)


def matches(route: RouteSpec, alert: Alert) -> bool:
    """Whether every pattern of the route matches; a missing label matches only an empty one.

    `source`, `title` and `severity` may be named like labels; a label of that name comes first.
    """
    known = {
        "source": alert.source,
        "title": alert.title,
        "severity": alert.severity,
        **alert.labels,
    }
    return all(_fits(known.get(label), pattern) for label, pattern in route.match.items())


def _fits(value: str | None, pattern: str) -> bool:
    return pattern == "" if value is None else fnmatchcase(value, pattern)
