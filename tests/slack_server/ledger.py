"""What was asked of the server and what it refused: what tests look at in the end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the Web API. `answer` is what Slack said, or would have, had nothing cut it."""

    method: str
    args: dict[str, Any]
    team: str
    at: float
    status: int
    answer: dict[str, Any]
    is_injected: bool = False
    """Whether a planned fault answered."""

    @property
    def is_ok(self) -> bool:
        """Whether Slack did what was asked."""
        return bool(self.answer.get("ok"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that Slack would not take, and why."""

    what: str
    """A method, or `ack`, `response_url`, `socket`, `upload`, `download`."""
    error: str
    details: tuple[str, ...] = ()
    args: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.what}: {self.error} {'; '.join(self.details)}".strip()


@dataclass(slots=True)
class Ledger:
    """Everything since the start, or since `forget`."""

    calls: defaultdict[str, list[Call]] = field(default_factory=lambda: defaultdict(list))
    refused: list[Refusal] = field(default_factory=list)
    """What broke a rule. What a planned fault refused is not here."""
    rate_limited: list[Refusal] = field(default_factory=list)
    """What was over a budget: the 429s that the app earned itself."""

    def refuse(self, what: str, error: str, *details: str, **args: Any) -> None:
        """Note that a rule was broken."""
        self.refused.append(Refusal(what, error, tuple(details), args))
