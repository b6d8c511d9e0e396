"""A message goes into the run's own thread, through whoever holds it."""

from __future__ import annotations

from typing import Any

import pytest

from agents.sandbox import call, parse_arguments
from agents.tool import ToolContext, ToolRetry
from agents.tools.chat import PostOutput, chat_tools
from config.specs import ServicesFile
from tests.agents.test_tools.conftest import NOW


class Thread:
    """A poster that remembers."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, ...]] = []

    async def post(
        self, run_id: str, step_id: str, key: str, text: str, mentions: tuple[str, ...]
    ) -> None:
        """Keep the message."""
        self.posts.append((run_id, step_id, key, text, *mentions))


async def test_message_reaches_the_thread_of_its_run() -> None:
    """Run, step and key come from the call, not from its arguments; nobody is pinged twice."""
    thread = Thread()
    (tool,) = chat_tools(thread)
    context = ToolContext(ServicesFile(), NOW, "run/step/call", run_id="run", step_id="step")

    result = await call(
        tool,
        {"text": "Production is down", "mentions": ["oncall", "console:bob", "oncall"]},
        context,
    )

    assert thread.posts == [
        ("run", "step", "run/step/call", "Production is down", "oncall", "console:bob")
    ]
    assert isinstance(result.output, PostOutput)
    assert result.output.mentions == ["oncall", "console:bob"]
    assert result.text == (
        "posted into the thread, pinging oncall, console:bob:\nProduction is down"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {"text": ""},
        {"text": "x" * 4_001},
        {"text": "x", "mentions": ["a"] * 6},
        {"text": "x", "mentions": ["<!everyone>"]},
        {"text": "x", "thread": "another"},
    ],
)
def test_what_a_message_may_be(arguments: dict[str, Any]) -> None:
    """Bounded, with real names, and never into another thread."""
    (tool,) = chat_tools(Thread())

    with pytest.raises(ToolRetry):
        parse_arguments(tool, arguments)
