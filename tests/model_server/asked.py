"""A request as a rule sees it: the parsed body, and the questions rules ask of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any


def text_of(message: dict[str, Any]) -> str:
    """Return a message's words, whether they came as a string or in parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content or [])


def fingerprint(body: dict[str, Any]) -> str:
    """Return what is equal for two calls that ask the same of the same model."""
    asked = {key: body.get(key) for key in ("model", "messages", "tools", "response_format")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Asked:
    """One call to the server. `number` counts from 0; tool names are as on the wire."""

    body: dict[str, Any]
    number: int
    key: str

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.body["model"])

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation."""
        return list(self.body["messages"])

    @property
    def is_streamed(self) -> bool:
        """Whether the answer is wanted piece by piece."""
        return bool(self.body.get("stream"))

    @property
    def system(self) -> str:
        """All system messages, joined."""
        return "\n".join(
            text_of(one) for one in self.messages if one["role"] in {"system", "developer"}
        )

    @property
    def text(self) -> str:
        """The last message's words."""
        return text_of(self.messages[-1])

    @property
    def transcript(self) -> str:
        """All words of the conversation, for rules that look for something anywhere."""
        return "\n".join(text_of(one) for one in self.messages)

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools on offer, with dots as Muster writes them."""
        return tuple(
            str(tool["function"]["name"]).replace("-", ".") for tool in self.body.get("tools") or []
        )

    @property
    def turn(self) -> int:
        """How often the model has spoken in this conversation."""
        return sum(one["role"] == "assistant" for one in self.messages)

    @property
    def results(self) -> tuple[str, ...]:
        """The words of all tool messages, in order."""
        return tuple(text_of(one) for one in self.messages if one["role"] == "tool")

    @property
    def forced(self) -> str:
        """The tool that must be called; empty when the model may choose."""
        choice = self.body.get("tool_choice")
        return str(choice["function"]["name"]) if isinstance(choice, dict) else ""

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON Schema of the value that is wanted, in whichever way it was asked for."""
        wanted = self.body.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            return dict(wanted["json_schema"]["schema"])
        for tool in self.body.get("tools") or []:
            if self.forced and tool["function"]["name"] == self.forced:
                return dict(tool["function"]["parameters"])
        return None

    @property
    def fingerprint(self) -> str:
        """What is equal for two calls that ask the same of the same model."""
        return fingerprint(self.body)
