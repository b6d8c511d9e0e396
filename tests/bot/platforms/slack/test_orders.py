"""What one person hears of what others asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.domain import Origin
from bot.platforms.slack.orders import is_shared
from tests.jobs.plans import ALICE, plan, started, step


@pytest.mark.parametrize(
    ("origin", "requester", "is_seen"),
    [
        (Origin.ALERT, "source:alertmanager", True),
        (Origin.MESSAGE, ALICE.id, True),
        (Origin.MESSAGE, "slack:T1:U9", False),
    ],
)
def test_a_goal_in_a_direct_message_stays_between_the_two(
    origin: Origin, requester: str, is_seen: bool
) -> None:
    """Alerts are everybody's, a goal is its requester's; its channel hears of it besides."""
    run = started(plan(step("look")))
    run = replace(run, goal=replace(run.goal, origin=origin, requester_id=requester))

    assert is_shared(run, ALICE) is is_seen
