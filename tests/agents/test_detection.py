"""Whether an incident is new is told from what is open, what fired before, and what is near."""

from __future__ import annotations

from typing import Any

import pytest

from agents.detection import detection
from agents.domain import JsonObject
from agents.findings import Detection
from agents.outcome import CallOutcome

NOW = 10_000.0
CHANGES: JsonObject = {
    "actions": {"checkout": ["rollback"], "payments": []},
    "deploys": [
        {"service": "checkout", "at": NOW - 300, "quote": "deploy one"},
        {"service": "checkout", "at": NOW - 7_300, "quote": "deploy of two hours ago"},
        {"service": "checkout", "at": NOW + 60, "quote": "deploy after"},
    ],
}
FIRING: JsonObject = {"title": "ErrorsHigh", "is_firing": True, "started_at": NOW}


def incident(incident_id: str, service: str, opened_at: float) -> JsonObject:
    """Return an open incident as the tool lists it."""
    line = f"{incident_id} of {service}"
    return {"id": incident_id, "service": service, "opened_at": opened_at, "line": line}


OWN = incident("inc-1", "checkout", NOW)


def detected(*incidents: JsonObject, alerts: tuple[JsonObject, ...] = (FIRING,)) -> Detection:
    """Return what is made of the open incidents."""
    inputs: Any = {
        "service": "checkout",
        "incident_id": "inc-1",
        "alerts": {"alerts": list(alerts)},
        "changes": CHANGES,
    }
    call = CallOutcome({"incidents": [OWN, *incidents]}, "ev-1", "", "")
    return Detection.model_validate(detection(inputs, {"incidents": call}))


def test_alone_it_is_new() -> None:
    """Deploys of the hour before it are listed, older and later ones are not."""
    found = detected()

    assert (found.status, found.others, found.deploys) == ("new", (), ("deploy one",))


@pytest.mark.parametrize(
    ("service", "opened_at", "status"),
    [
        ("payments", NOW - 60, "part_of"),
        ("checkout", NOW - 60, "part_of"),
        ("payments", NOW + 60, "new"),
        ("search", NOW - 60, "new"),
    ],
)
def test_an_earlier_one_nearby_explains_it(service: str, opened_at: float, status: str) -> None:
    """It belongs to an older incident of the service or of what it depends on."""
    found = detected(incident("inc-0", service, opened_at))

    assert found.status == status
    assert found.incident_id == ("inc-0" if status == "part_of" else "")
    assert [one.quote for one in found.others] == [f"inc-0 of {service}"]


def test_an_alert_that_ended_before_came_back() -> None:
    """The same alert fired and was over: that is said, with the time."""
    over: JsonObject = {"title": "ErrorsHigh", "is_firing": False, "started_at": NOW - 900}
    other: JsonObject = {"title": "Slow", "is_firing": False, "started_at": NOW - 100}

    found = detected(alerts=(FIRING, over, other))

    assert (found.status, found.line) == ("again", "It fired before, at 02:31:40 UTC, and was over")


def test_a_book_that_cannot_be_read_is_said() -> None:
    """Without the list nothing is claimed but what is missing."""
    failed = CallOutcome(None, "", "", "the store is away")
    found = Detection.model_validate(detection({"service": "checkout"}, {"incidents": failed}))

    assert (found.status, found.missing) == ("new", ("the store is away",))
