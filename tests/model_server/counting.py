"""What the server remembers of the calls it got, for tests to assert on."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.model_server.asked import Asked, fingerprint

CHARS_PER_TOKEN = 4
MIN_CACHED_TOKENS = 1_024
"""As at OpenAI: a shorter common beginning is not cached."""


@dataclass(slots=True)
class Ledger:
    """Counts of one server; safe to read from the test's thread."""

    calls: list[Asked] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """The sentences of all requests that were wrong; a sound client leaves it empty."""
    begun: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    repeated: list[Asked] = field(default_factory=list)
    """Calls that asked what an answer had been given to in full before."""
    in_flight: int = 0
    max_in_flight: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    _beginnings: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, body: dict[str, Any], key: str) -> Asked:
        """Count a call that begins."""
        with self._lock:
            asked = Asked(body, len(self.calls), key)
            self.calls.append(asked)
            mark = asked.fingerprint
            self.begun[mark] += 1
            if self.finished[mark]:
                self.repeated.append(asked)
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            return asked

    def end(self, asked: Asked, status: int, *, is_finished: bool) -> None:
        """Count a call that ended; it is finished when the whole answer went out."""
        with self._lock:
            self.in_flight -= 1
            self.statuses.append(status)
            if is_finished:
                self.finished[asked.fingerprint] += 1

    def refuse(self, sentence: str) -> None:
        """Count a request that was wrong."""
        with self._lock:
            self.refused.append(sentence)

    def usage(self, asked: Asked, answer_chars: int) -> dict[str, Any]:
        """Return the answer's bill; a long beginning that was seen before counts as cached."""
        body = asked.body
        messages = body["messages"]
        with self._lock:
            cached = 0
            for end in range(1, len(messages) + 1):
                part = {"model": body["model"], "tools": body.get("tools")}
                mark = fingerprint({**part, "messages": messages[:end]})
                if mark in self._beginnings:
                    cached = _tokens([messages[:end], body.get("tools")])
                self._beginnings.add(mark)
            prompt = _tokens([messages, body.get("tools")])
            completion = max(1, answer_chars // CHARS_PER_TOKEN)
            self.input_tokens += prompt
            self.output_tokens += completion
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {
                "cached_tokens": cached if cached >= MIN_CACHED_TOKENS else 0
            },
        }


def _tokens(value: object) -> int:
    return max(1, len(str(value)) // CHARS_PER_TOKEN)
