"""A call's tool and its long values are said once."""

from __future__ import annotations

import pytest

from bot.views import CallView
from bot.web.show.calls import target

SHA = "2b50d3f564ad18a381984e12b966d9a7d72617e8"


@pytest.mark.parametrize(
    ("title", "said"),
    [
        (f"service.rollback checkout {SHA}", "checkout 2b50d3f…"),
        ("service.rollback checkout 2b50d3f…", "checkout 2b50d3f…"),
        ("Roll back checkout to 3f2a1c9", "Roll back checkout to 3f2a1c9"),
        ("service.rollback", ""),
    ],
)
def test_the_tool_is_not_said_twice(title: str, said: str) -> None:
    """What is left of the title is what the tool is used on; whole shas are in the table."""
    assert target(CallView("k", "service.rollback", title, {}, {})) == said
