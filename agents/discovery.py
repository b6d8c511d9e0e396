"""Finding tools by what they can do, for agents that have too many to show at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agents.builtins import model_name
from agents.ranking import ranked

MANY_TOOLS = 8
"""With more than these, an agent searches for tools instead of being shown all of them."""
MAX_FOUND = 5


class Described(Protocol):
    """Something with a name and a description."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def description(self) -> str:
        """What it can do."""


def found(query: str, tools: Sequence[Described]) -> list[str]:
    """Return the names of the tools that fit the query best, best first."""
    texts = [f"{tool.name} {tool.description}" for tool in tools]
    return [tools[place].name for place, _ in ranked(query, texts, MAX_FOUND)]


def listed(tools: Sequence[Described], *, is_found: bool) -> str:
    """Return tools one a line; when nothing was found these are the names of all."""
    if is_found:
        return "\n".join(f"{model_name(tool.name)}: {tool.description}" for tool in tools)
    names = ", ".join(model_name(tool.name) for tool in tools)
    return f"Nothing fits. All tools: {names}. Search with words from a name."
