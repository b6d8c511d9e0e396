"""What a step says becomes an event of its run, once."""

from __future__ import annotations

import pytest

from agents.tool import ToolFailed
from jobs.posting import NoThread, RunPoster
from tests.jobs.plans import GOAL
from tests.jobs.world import RUN_ID, World, plan, tool_step


async def test_a_message_is_posted_once_for_each_key() -> None:
    """A takeover that says it again adds nothing."""
    world = World()
    await world.runs().start(RUN_ID, GOAL, plan(tool_step("s")))
    poster = RunPoster(world.runs())

    for key in ("run-1/s/call", "run-1/s/call", "run-1/s/other"):
        await poster.post(RUN_ID, "s", key, f"Said under {key}", ("oncall",))

    posts = (await world.run()).posts
    assert [(post.key, post.mentions) for post in posts] == [
        ("run-1/s/call", ("oncall",)),
        ("run-1/s/other", ("oncall",)),
    ]


async def test_a_message_that_cannot_be_posted_is_said() -> None:
    """A run that is gone, and no run at all, are failures of the call."""
    with pytest.raises(ToolFailed, match="not posted"):
        await RunPoster(World().runs()).post("run-9", "s", "k", "Hello", ())
    with pytest.raises(ToolFailed, match="no thread"):
        await NoThread().post("run-9", "s", "k", "Hello", ())
