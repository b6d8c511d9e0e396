"""The port every tool is written against, and the errors it may raise.

A tool is a typed function with a declared effect. A confined tool runs in a child process with
limits (see `agents.sandbox`): its module must be importable there and everything it gets is in
`ToolContext`, which is plain data.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from config.specs import ServicesFile


class Effect(StrEnum):
    """Whether a tool only looks, or changes something outside."""

    READS = "reads"
    WRITES = "writes"


class ToolError(Exception):
    """A tool call that did not give a result; the message says what to do next."""


class ToolRetry(ToolError):
    """The arguments are wrong in a way that the caller can mend; `argument` names one of them."""

    def __init__(self, message: str, argument: str = "") -> None:
        self.argument = argument
        super().__init__(message)


class ToolFailed(ToolError):
    """The call was right and still failed; adapt, do not repeat it."""


class OutcomeUnknownError(ToolFailed):
    """The call was cut off (time, memory, a crash): whether it took effect nobody knows."""


class TransientError(ToolError):
    """It may work in a moment (a timeout, a refused connection); the worker tries again."""


class UnknownToolError(ToolError):
    """No tool of that name is registered."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        super().__init__(f"there is no tool {name!r}; known tools: {', '.join(sorted(known))}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call may use at most; `output_kib` bounds text and files together."""

    timeout_s: float = 30.0
    memory_mib: int = 1_024
    output_kib: int = 1_024


@dataclass(frozen=True, slots=True)
class ToolContext:
    """What a tool may know besides its arguments. Plain data: it crosses a process boundary."""

    world: ServicesFile
    now: float
    idempotency_key: str = ""
    run_id: str = ""
    step_id: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The environment variables that the tool named for this call; see `Tool.secrets`."""

    def secret(self, name: str) -> str:
        """Return the value of a variable that services.yaml names; ToolFailed when not set."""
        value = self.secrets.get(name, "")
        if not value:
            raise ToolFailed(
                f"{name} is not set for the worker; set it in its environment, in .env or as a "
                "mounted secret, and restart it"
            )
        return value


@dataclass(frozen=True, slots=True)
class File:
    """A file that a tool made, such as a chart."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A tool's typed output, the text that becomes evidence, and at most one file."""

    output: BaseModel
    text: str
    title: str = ""
    file: File | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A typed function that an agent may call.

    `honours_key`: a writing call repeated with the same idempotency key acts once, so a crash
    between intent and result is mended by running it again. `is_trusted`: its output is not
    untrusted text. `is_confined`: runs in a child process. `needs_person`: what untrusted text
    shaped runs only when a person approved it, even where policy would allow it; a function says
    so of a single call.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    output: type[BaseModel]
    run: Callable[[ToolContext, Any], Awaitable[ToolResult]]
    effect: Effect = Effect.READS
    honours_key: Callable[[ToolContext, Any], bool] | bool = False
    is_trusted: bool = False
    is_confined: bool = True
    needs_person: Callable[[ToolContext, Any], bool] | bool = False
    limits: Limits = field(default_factory=Limits)
    check: Callable[[ToolContext, Any], None] | None = None
    """Raises ToolRetry when typed arguments cannot work in this world: asked before people are."""
    secrets: Callable[[ToolContext, Any], Iterable[str]] | None = None
    """Names the environment variables that a call needs; nothing else of the kind reaches it."""


class Toolbox(Mapping[str, Tool]):
    """The tools of one process, by name."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}

    def __getitem__(self, name: str) -> Tool:
        """Return the tool; UnknownToolError (a KeyError in spirit) names the known ones."""
        if name not in self._tools:
            raise UnknownToolError(name, self._tools)
        return self._tools[name]

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)
