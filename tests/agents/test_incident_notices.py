"""What people are told fits what was measured, and promises nothing but a time."""

from __future__ import annotations

from typing import Any

import pytest

from agents.domain import JsonObject
from agents.findings import Notices
from agents.incident_notices import incident_notices

AT = 1_795_200_000.0
BAD: JsonObject = {
    "service": "checkout",
    "indicator": "error_ratio",
    "unit": "ratio",
    "is_normal_now": False,
    "onset_at": AT,
    "before": 0.003,
    "after": 0.4,
    "current": 0.412,
}
METRICS: JsonObject = {
    "service": "checkout",
    "checked_at": AT + 600,
    "symptom_since": AT,
    "indicators": [BAD],
}


def notices(**inputs: Any) -> Notices:
    """Return what is told about checkout."""
    return Notices.model_validate(incident_notices({"service": "checkout", **inputs}, {}))


def test_the_channel_hears_numbers_and_the_public_does_not() -> None:
    """The team gets what was measured; customers what they notice, and when they hear more."""
    found = notices(metrics=METRICS)

    assert found.update == (
        "Confirmed: checkout's error ratio is at 41.2 % since 18:40:00 UTC, normally 0.3 %. "
        "The cause is being looked for; the card shows how far that is."
    )
    assert found.public == (
        "Since 18:40 UTC, some requests to checkout fail. We are looking into it. "
        "We will say more by 19:20 UTC."
    )
    assert "41" not in found.customers
    assert (found.state, found.eta) == ("investigating", "19:20 UTC")


@pytest.mark.parametrize(
    ("unit", "says"),
    [
        ("seconds", "checkout answers more slowly than usual"),
        ("per_second", "checkout serves fewer requests than usual"),
        ("bytes", "checkout does not work as usual"),
    ],
)
def test_what_is_felt_follows_the_indicator(unit: str, says: str) -> None:
    """Slowness is not called failure."""
    metrics: JsonObject = {**METRICS, "indicators": [{**BAD, "unit": unit}]}

    assert says in notices(metrics=metrics).public


def test_failures_are_named_before_slowness() -> None:
    """Of several bad indicators the one that people feel most is told."""
    metrics: JsonObject = {**METRICS, "indicators": [{**BAD, "unit": "seconds"}, BAD]}

    assert "some requests" in notices(metrics=metrics).public


def test_without_numbers_nothing_is_made_up() -> None:
    """No time, no amount, no promise."""
    found = notices(metrics=None)

    assert found.public == "At the moment, checkout does not work as usual. We are looking into it."
    assert found.eta == ""


@pytest.mark.parametrize(("status", "is_said"), [("new", False), ("part_of", True)])
def test_what_it_is_part_of_is_told_to_the_channel_only(status: str, is_said: bool) -> None:
    """Other incidents are nothing for the public."""
    found = notices(metrics=METRICS, detection={"status": status, "line": "Part of inc-0"})

    assert ("Part of inc-0." in found.update) is is_said
    assert "inc-0" not in found.public + found.customers


def test_the_end_is_told_with_its_time() -> None:
    """It works again, since when, and the state that closes the page."""
    checked = {"service": "checkout", "is_normal": True, "normal_since": AT + 65}

    found = notices(verification=checked)

    assert found.update == "Over: checkout is back to normal since 18:41 UTC."
    assert (found.state, found.subject) == ("resolved", "Checkout works again")
