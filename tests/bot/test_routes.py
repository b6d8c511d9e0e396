"""The first route that matches decides."""

from __future__ import annotations

from bot.routes import UNROUTED, route_for
from config.specs import RouteSpec
from tests.jobs.alerts import firing


def route(name: str, **patterns: str) -> RouteSpec:
    """Return a route with label patterns."""
    return RouteSpec(name=name, match=patterns, workflow="incident")


def test_first_matching_route_wins() -> None:
    """Order decides, not how exact a pattern is."""
    routes = (route("pay", service="pay*"), route("all"), route("exact", service="payments"))

    assert route_for(routes, firing(service="payments")).name == "pay"
    assert route_for(routes, firing(service="checkout")).name == "all"


def test_every_pattern_must_match() -> None:
    """Two patterns are an *and*; severity, source and title may be named like labels."""
    routes = (route("both", service="checkout", severity="crit*", source="alertmanager"),)

    assert route_for(routes, firing()).name == "both"
    assert route_for(routes, firing(severity="warning")) is UNROUTED


def test_missing_label_matches_only_an_empty_pattern() -> None:
    """`*` asks for a label to be there; an empty pattern asks for its absence."""
    routes = (route("team", team="*"), route("no-team", team=""))

    assert route_for(routes, firing()).name == "no-team"
    assert route_for(routes, firing(labels={"team": "shop"})).name == "team"


def test_alert_without_a_route_is_shown_and_starts_nothing() -> None:
    """No alert is dropped because nobody thought of it."""
    assert route_for((), firing()) is UNROUTED
    assert UNROUTED.workflow is None
