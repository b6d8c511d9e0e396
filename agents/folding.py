"""Keeps a conversation within its size: old tool results become one line, without a model call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from agents.models.port import CHARS_PER_TOKEN, Message, Role, ToolRequest, estimated_tokens

ROOM = 0.7
"""How full a conversation is after folding, so that not each turn folds again: caches like that."""
MIN_FOLDED_CHARS = 200
"""Shorter results are not worth it."""
FOLDED = "[folded to save room]"


class Folding:
    """What of one conversation is folded by now; it only ever grows."""

    def __init__(self, limit_tokens: int) -> None:
        self._limit = limit_tokens
        self._folded: dict[int, str] = {}

    def view(self, messages: Sequence[Message], notes: dict[int, str]) -> tuple[Message, ...]:
        """Return the conversation as it is sent; `notes` has the line for each foldable place.

        The results of the last turn stay as they are: the model has not seen them yet.
        """
        shown = [
            replace(message, text=self._folded[place]) if place in self._folded else message
            for place, message in enumerate(messages)
        ]
        if estimated_tokens(tuple(shown)) <= self._limit:
            return tuple(shown)
        last = max((n for n, one in enumerate(shown) if one.role is Role.ASSISTANT), default=0)
        for place, message in enumerate(shown[:last]):
            if estimated_tokens(tuple(shown)) <= self._limit * ROOM:
                break
            is_long = len(message.text) > MIN_FOLDED_CHARS
            if message.role is Role.TOOL and is_long and place not in self._folded:
                self._folded[place] = notes.get(place, FOLDED)
                shown[place] = replace(message, text=self._folded[place])
        return tuple(shown)

    def fits(self, view: tuple[Message, ...]) -> bool:
        """Whether a view is within the limit."""
        return estimated_tokens(view) <= self._limit


def as_text(messages: Sequence[Message], limit_tokens: int) -> str:
    """Return a conversation as plain text, its middle left out when it is too long.

    Providers that see tool calls want tools; the last words are asked for without any.
    """
    said: list[str] = []
    for message in messages:
        if message.text:
            said.append(f"[{message.role}] {message.text}")
        said += [f"[called] {request.name}({_written(request)})" for request in message.requests]
    text = "\n".join(said)
    limit = limit_tokens * CHARS_PER_TOKEN
    if len(text) <= limit:
        return text
    half = max(0, limit // 2)
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _written(request: ToolRequest) -> str:
    return request.raw or json.dumps(request.args, ensure_ascii=False)
