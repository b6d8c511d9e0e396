"""The methods of the Web API, by name; every one has its rule in `rules.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.slack_server.ask import Ask
from tests.slack_server.methods import (
    agents,
    auth,
    chat,
    conversations,
    files,
    people,
    reactions,
    views,
)
from tests.slack_server.state import Json

METHODS: Mapping[str, Callable[[Ask], Json]] = {
    **agents.METHODS,
    **auth.METHODS,
    **chat.METHODS,
    **conversations.METHODS,
    **files.METHODS,
    **people.METHODS,
    **reactions.METHODS,
    **views.METHODS,
}

__all__ = ["METHODS"]
