"""The one way for a method to say no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Refused(Exception):
    """Slack says `ok: false`; `problems` are the sentences of `response_metadata`."""

    def __init__(self, error: str, problems: Sequence[str] = (), **extra: Any) -> None:
        self.error = error
        self.problems = tuple(problems)
        self.extra = extra
        super().__init__(f"{error}: {'; '.join(problems)}" if problems else error)

    def answer(self) -> dict[str, Any]:
        """Return the body as Slack writes it."""
        body: dict[str, Any] = {"ok": False, "error": self.error, **self.extra}
        if self.problems:
            body["errors"] = list(self.problems)
            messages = [f"[ERROR] {problem}" for problem in self.problems]
            body["response_metadata"] = {"messages": messages}
        return body
