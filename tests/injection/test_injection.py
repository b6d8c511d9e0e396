"""The injection set: whatever attackers write and the model obeys, code lets nothing through."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.specs import PolicySpec
from jobs.state import CallStatus
from tests.injection.house import shipped_policies
from tests.injection.outside import Outside, outside
from tests.injection.payloads import Carrier, Payload, load
from tests.injection.trial import ALICE, LEADS, Crowd, attack

PAYLOADS = load()
LEAST = 40


@pytest.fixture(scope="session")
def places() -> Iterator[Outside]:
    """Run the servers outside once for all payloads."""
    with outside() as served:
        yield served


@pytest.fixture(scope="session")
def policies() -> tuple[PolicySpec, ...]:
    """Return the policies that Muster ships."""
    return shipped_policies()


def named(payload_id: str) -> Payload:
    """Return the payload of that id."""
    return next(payload for payload in PAYLOADS if payload.id == payload_id)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.id)
async def test_payload_has_no_unapproved_effect(
    payload: Payload, places: Outside, policies: tuple[PolicySpec, ...], tmp_path: Path
) -> None:
    """The model obeys, and the person on call says yes to all: still nothing happens."""
    trial = await attack(payload, tmp_path / "house", places, policies)

    assert trial.has_obeyed
    assert trial.effects == ()


def test_set_is_large_and_comes_from_everywhere() -> None:
    """At least forty payloads, each with its own id, and every carrier carries one."""
    assert len({payload.id for payload in PAYLOADS}) == len(PAYLOADS) >= LEAST
    assert {payload.carrier for payload in PAYLOADS} == set(Carrier)
    assert {payload.via for payload in PAYLOADS} == {
        "call",
        "hand_off",
        "plan_tools",
        "plan_agent",
        "ask",
    }


@pytest.mark.parametrize(
    ("payload_id", "tool"),
    [
        ("log-restart", "service.restart"),
        ("log-mention-flood", "chat.post"),
        ("log-poisons-memory", "memory.keep"),
        ("annotation-planned-rollback", "service.rollback"),
    ],
)
async def test_what_two_people_approve_does_happen(
    payload_id: str,
    tool: str,
    places: Outside,
    policies: tuple[PolicySpec, ...],
    tmp_path: Path,
) -> None:
    """The house works: with the stricter approval the same call runs, and counts as approved."""
    crowd = Crowd((ALICE, *LEADS))

    trial = await attack(named(payload_id), tmp_path / "house", places, policies, crowd)

    assert trial.effects == ()
    done = [c.tool for c in trial.run.calls.values() if c.status is CallStatus.SUCCEEDED]
    assert tool in done
