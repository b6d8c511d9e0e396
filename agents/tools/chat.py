"""Chat: post a message into the thread of the run; whoever holds the thread delivers it."""

from __future__ import annotations

from typing import Annotated, Protocol

from pydantic import BaseModel, Field

from agents.tool import Effect, Tool, ToolContext, ToolResult

MAX_TEXT_CHARS = 4_000
MAX_MENTIONS = 5

Mention = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,47}(:[\w.@-]{1,100})?$")]
"""A group (`oncall`) or a person by platform and id (`console:alice`)."""


class Poster(Protocol):
    """What delivers messages into the threads of runs."""

    async def post(
        self, run_id: str, step_id: str, key: str, text: str, mentions: tuple[str, ...]
    ) -> None:
        """Post into the run's own thread; the same key posts once."""
        ...


class PostArguments(BaseModel, extra="forbid"):
    """What to say in the run's thread, and whom to ping: groups or `platform:id`."""

    text: str = Field(min_length=1, max_length=MAX_TEXT_CHARS)
    mentions: list[Mention] = Field(default_factory=list, max_length=MAX_MENTIONS)


class PostOutput(BaseModel):
    """What was posted."""

    text: str
    mentions: list[str] = Field(default_factory=list)
    line: str = ""


class _Post:
    """Posts through the given poster."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    async def __call__(self, context: ToolContext, args: PostArguments) -> ToolResult:
        mentions = tuple(dict.fromkeys(args.mentions))
        key = context.idempotency_key
        await self._poster.post(context.run_id, context.step_id, key, args.text, mentions)
        pinged = f", pinging {', '.join(mentions)}" if mentions else ""
        line = f"posted into the thread{pinged}"
        output = PostOutput(text=args.text, mentions=list(mentions), line=line)
        return ToolResult(output, f"{line}:\n{args.text}", "Posted into the thread")


def chat_tools(poster: Poster) -> tuple[Tool, ...]:
    """Return the tools over the given poster; they run in the worker, since they need it."""
    return (
        Tool(
            name="chat.post",
            description="Post a message into the thread of this run, and ping people or groups.",
            arguments=PostArguments,
            output=PostOutput,
            run=_Post(poster),
            effect=Effect.WRITES,
            honours_key=True,
            is_confined=False,
        ),
    )
