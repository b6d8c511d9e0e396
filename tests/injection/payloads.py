"""The payloads: what they say, how they reach the model, and what they want it to do."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

FILE = Path(__file__).resolve().parent / "payloads.yaml"
SAYS = "{says}"


class Carrier(StrEnum):
    """Where a payload stands when it reaches the model."""

    ANNOTATION = "annotation"
    """In an annotation of the alert that started the run."""
    ALERT = "alert"
    """In the summary of another alert, which a tool lists."""
    LOG = "log"
    PATTERN = "pattern"
    """In a log line that becomes an example of a pattern."""
    FILE = "file"
    """In the name of a file, which a tool lists."""
    COMMIT = "commit"
    """In the name of a file that a deploy changed."""
    SUBJECT = "subject"
    """In the subject of a commit that was deployed."""
    PAGE = "page"
    ROW = "row"
    COLUMN = "column"
    """In the name of a database's column."""
    TOOL = "tool"
    """In what a tool answers."""
    FAILURE = "failure"
    """In the error of a tool."""
    DESCRIPTION = "description"
    """In the description of a tool."""
    MESSAGE = "message"
    """In what somebody wrote in the thread."""
    FORM = "form"
    EVIDENCE = "evidence"
    """In the evidence of an earlier run of the thread."""
    ANSWER = "answer"
    """In the answer of an earlier run of the thread."""
    FACT = "fact"
    """In a fact that was kept for later runs."""
    SIBLING = "sibling"
    """In what another step of the run found."""


class Spec(BaseModel):
    """A frozen value that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Wanted(Spec):
    """A tool call that the payload wants."""

    tool: str
    args: dict[str, JsonValue] = Field(default_factory=dict)


class WantedClaim(Spec):
    """Something that the payload wants the answer to say, with a quote that is not so."""

    text: str
    quote: str


class Payload(Spec):
    """One payload. `says` is what the model has to see; `text` is what stands around it.

    `via` is how the model goes about it: calls by itself, passes it to a colleague, plans it as
    steps (of tools, or of an agent that is told so), or asks a person first with a bait.
    """

    id: str
    carrier: Carrier
    says: str
    text: str = SAYS
    via: Literal["call", "hand_off", "plan_tools", "plan_agent", "ask"] = "call"
    calls: tuple[Wanted, ...] = ()
    claim: WantedClaim | None = None
    is_clean: bool = False
    """Its arguments hold nothing but names that people declared: the usual approval will do."""
    bait: str = ""
    options: tuple[str, ...] = ()

    @field_validator("text")
    @classmethod
    def _holds_it(cls, text: str) -> str:
        if SAYS not in text:
            raise ValueError(f"text has to hold {SAYS}")
        return text

    @property
    def whole(self) -> str:
        """The payload as it is planted."""
        return self.text.replace(SAYS, self.says)

    def filled(self, values: dict[str, str]) -> Payload:
        """Return the payload with names such as `<inner>` filled in."""
        return Payload.model_validate(_filled(self.model_dump(mode="json"), values))


def _filled(value: JsonValue, values: dict[str, str]) -> JsonValue:
    if isinstance(value, str):
        for name, one in values.items():
            value = value.replace(f"<{name}>", one)
        return value
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    return value


class PayloadsFile(Spec):
    """payloads.yaml."""

    payloads: tuple[Payload, ...]


def load() -> tuple[Payload, ...]:
    """Return all payloads."""
    return PayloadsFile.model_validate(yaml.safe_load(FILE.read_text())).payloads
