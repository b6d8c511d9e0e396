"""The tools that the loop itself serves: paging evidence, asking, handing over, submitting."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from agents.models.port import ModelTool

EVIDENCE_READ = "evidence.read"
EVIDENCE_SEARCH = "evidence.search"
FIND_TOOLS = "find_tools"
ASK = "ask_person"
HAND_OFF = "hand_off"
SUBMIT = "submit"

MAX_PAGE_LINES = 400
MAX_OPTIONS = 6
MAX_QUESTION_CHARS = 600
MAX_REASON_CHARS = 600


class Arguments(BaseModel):
    """Arguments of a built-in tool."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReadArguments(Arguments):
    """Which lines of which evidence."""

    evidence_id: str
    from_line: int = Field(1, ge=1)
    lines: int = Field(100, ge=1, le=MAX_PAGE_LINES)


class SearchArguments(Arguments):
    """What to look for in which evidence."""

    evidence_id: str
    text: str = Field(min_length=1, max_length=200)


class FindArguments(Arguments):
    """What a tool should be able to do."""

    query: str = Field(min_length=1, max_length=200)


class AskArguments(Arguments):
    """What to ask; with options the answer is one of them."""

    question: str = Field(min_length=1, max_length=MAX_QUESTION_CHARS)
    options: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field(
        (), max_length=MAX_OPTIONS
    )


class HandOffArguments(Arguments):
    """To whom, and why: it is the first thing that they read."""

    to: str
    reason: str = Field(min_length=1, max_length=MAX_REASON_CHARS)


ARGUMENTS: Mapping[str, type[Arguments]] = {
    EVIDENCE_READ: ReadArguments,
    EVIDENCE_SEARCH: SearchArguments,
    FIND_TOOLS: FindArguments,
    ASK: AskArguments,
    HAND_OFF: HandOffArguments,
}
DESCRIPTIONS: Mapping[str, str] = {
    EVIDENCE_READ: "Read more lines of a stored tool result.",
    EVIDENCE_SEARCH: "Find the lines of a stored tool result that hold a text.",
    FIND_TOOLS: "Find tools by what they can do; those found can be called from the next turn on.",
    ASK: "Ask a person what only they can know or decide. Others go on working meanwhile.",
    HAND_OFF: "Pass the whole conversation to somebody who is better placed to end it.",
    SUBMIT: "Hand in your output. It ends your work, so do it once everything is found.",
}


def model_name(name: str) -> str:
    """Return a tool's name as models may call it: providers refuse dots."""
    return name.replace(".", "__")


@cache
def built_in(name: str) -> ModelTool:
    """Return a built-in tool as a model sees it; made once, because each turn shows it."""
    return ModelTool(model_name(name), DESCRIPTIONS[name], ARGUMENTS[name].model_json_schema())


def hand_off_tool(peers: Mapping[str, str]) -> ModelTool:
    """Return the tool that passes the conversation to one of these, each with what they can do."""
    schema = HandOffArguments.model_json_schema()
    known = "\n".join(f"- {name}: {description}" for name, description in peers.items())
    properties = {**schema["properties"], "to": {"type": "string", "enum": list(peers)}}
    parameters = {**schema, "properties": properties}
    return ModelTool(HAND_OFF, f"{DESCRIPTIONS[HAND_OFF]}\n{known}", parameters)


def submit_tool(parameters: Mapping[str, Any]) -> ModelTool:
    """Return the tool through which the output is handed in."""
    return ModelTool(SUBMIT, DESCRIPTIONS[SUBMIT], parameters)
