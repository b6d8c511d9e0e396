"""A streamed answer put together from its pieces."""

from __future__ import annotations

from typing import Any

from agents.models.port import Watch
from agents.models.wire import WireCall

WATCH_CHARS = 40
"""How much has to be new before who watches is told again."""


class Heard:
    """What was said so far; pieces are litellm's, whatever the provider."""

    def __init__(self, watch: Watch) -> None:
        self.text = ""
        self.finish = ""
        self.usage: Any = None
        self._watch = watch
        self._told = 0
        self._calls: dict[int, WireCall] = {}

    @property
    def calls(self) -> tuple[WireCall, ...]:
        """The tool calls, in order."""
        return tuple(call for _, call in sorted(self._calls.items()))

    def take(self, piece: Any) -> None:
        """Add one piece."""
        self.usage = getattr(piece, "usage", None) or self.usage
        if not piece.choices:
            return
        choice = piece.choices[0]
        self.finish = choice.finish_reason or self.finish
        self.text += choice.delta.content or ""
        for call in choice.delta.tool_calls or ():
            self._add(call)
        if len(self.text) >= self._told + WATCH_CHARS:
            self.tell()

    def tell(self) -> None:
        """Tell who watches, unless there is nothing new."""
        if len(self.text) > self._told:
            self._told = len(self.text)
            self._watch(self.text)

    def _add(self, piece: Any) -> None:
        """Add a piece of a call: the first brings id and name, the others more arguments."""
        index = piece.index or 0
        before = self._calls.get(index, WireCall("", "", ""))
        self._calls[index] = WireCall(
            before.id or piece.id or "",
            before.name or piece.function.name or "",
            before.arguments + (piece.function.arguments or ""),
        )
