"""Service: roll back or restart by a command that people declared in services.yaml.

A call fills the command's `{placeholders}` with values that match the declared expressions;
nothing goes through a shell, and no argument may look like an option.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping

from pydantic import BaseModel, Field

from agents import world
from agents.posix import die_with_parent, lift_limits
from agents.redact import redact
from agents.tool import (
    Effect,
    Limits,
    OutcomeUnknownError,
    Tool,
    ToolContext,
    ToolFailed,
    ToolResult,
    ToolRetry,
)
from agents.wording import one_line, short
from config.specs import MAX_STEP_TIMEOUT_S, CommandSpec

MAX_OUTPUT_BYTES = 64 * 1024
MAX_SHOWN_LINES = 20
MAX_LINE_CHARS = 300
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_-]*)\}")
COMMAND_LIMITS = Limits(timeout_s=MAX_STEP_TIMEOUT_S)


class RollbackArguments(BaseModel, extra="forbid"):
    """Which service goes back to which release, and why."""

    service: str
    release: str = Field(min_length=1, max_length=100)
    reason: str = Field("", max_length=1_000)


class RestartArguments(BaseModel, extra="forbid"):
    """Which service is restarted, and why."""

    service: str
    reason: str = Field("", max_length=1_000)


class CommandOutput(BaseModel):
    """What the command did; `line` says it in one line of the evidence."""

    service: str
    action: str
    release: str = ""
    exit_code: int
    duration_s: float
    output: str = ""
    line: str = ""


async def rollback(context: ToolContext, args: RollbackArguments) -> ToolResult:
    """Run the service's declared rollback command."""
    values = {"service": args.service, "release": args.release, "reason": args.reason}
    return _act(context, args.service, "rollback", values, release=args.release)


async def restart(context: ToolContext, args: RestartArguments) -> ToolResult:
    """Run the service's declared restart command."""
    values = {"service": args.service, "reason": args.reason}
    return _act(context, args.service, "restart", values)


def rollback_honours_key(context: ToolContext, args: RollbackArguments) -> bool:
    """Return whether the declared rollback acts once per idempotency key."""
    return command(context, args.service, "rollback").honours_key


def restart_honours_key(context: ToolContext, args: RestartArguments) -> bool:
    """Return whether the declared restart acts once per idempotency key."""
    return command(context, args.service, "restart").honours_key


def check_rollback(context: ToolContext, args: RollbackArguments) -> None:
    """Raise ToolRetry unless the service declares a rollback that takes these arguments."""
    values = {"service": args.service, "release": args.release, "reason": args.reason}
    fill(command(context, args.service, "rollback"), values)


def check_restart(context: ToolContext, args: RestartArguments) -> None:
    """Raise ToolRetry unless the service declares a restart that takes these arguments."""
    values = {"service": args.service, "reason": args.reason}
    fill(command(context, args.service, "restart"), values)


def command(context: ToolContext, service: str, action: str) -> CommandSpec:
    """Return the declared command; ToolRetry names what is declared."""
    commands = world.service(context, service).commands
    if action not in commands:
        known = ", ".join(sorted(commands)) or "no command at all"
        raise ToolRetry(
            f"{service} declares no {action} command but {known}; declare it in services.yaml"
        )
    return commands[action]


def fill(spec: CommandSpec, values: Mapping[str, str]) -> list[str]:
    """Return the command's words with its placeholders filled by values that fit."""
    for name, pattern in spec.arguments.items():
        value = values.get(name, "")
        if not re.fullmatch(pattern, value) or value.startswith("-") or "\0" in value:
            raise ToolRetry(f"{name} {one_line(value, 80)!r} must match {pattern}", name)
    undeclared = {
        name for word in spec.argv for name in _PLACEHOLDER.findall(word)
    } - spec.arguments.keys()
    if undeclared:
        names = ", ".join(sorted(undeclared))
        raise ToolFailed(f"the command uses {names} without declaring it under arguments")
    return [_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in spec.argv]


def _act(
    context: ToolContext, service: str, action: str, values: Mapping[str, str], release: str = ""
) -> ToolResult:
    spec = command(context, service, action)
    words = fill(spec, values)
    started = time.monotonic()
    exit_code, raw = _run(words, spec, _environment(context))
    took = round(time.monotonic() - started, 2)
    lines = [one_line(line, MAX_LINE_CHARS) for line in redact(raw).splitlines() if line.strip()][
        -MAX_SHOWN_LINES:
    ]
    shown = "\n".join(lines)
    what = f"{action} of {service}" + (f" to {short(release)}" if release else "")
    if exit_code != 0:
        raise ToolFailed(
            f"the {what} failed with exit code {exit_code} after {took} s; "
            f"look at it by hand before trying again. Last lines:\n{shown}"
        )
    line = f"{what} finished with exit code 0 after {took} s"
    output = CommandOutput(
        service=service,
        action=action,
        release=release,
        exit_code=exit_code,
        duration_s=took,
        output=shown,
        line=line,
    )
    return ToolResult(output, f"{line}\n{shown}".rstrip(), what.capitalize())


def _environment(context: ToolContext) -> dict[str, str]:
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
    }
    if context.idempotency_key:
        environment["MUSTER_IDEMPOTENCY_KEY"] = context.idempotency_key
    return environment


def _run(words: list[str], spec: CommandSpec, environment: dict[str, str]) -> tuple[int, str]:
    """Run the command to its end or its time limit; return its exit code and last output.

    Its output goes to a file: a service that it leaves running in the background would keep a
    pipe open, and the call waiting.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - words of services.yaml, filled by `fill`
                words,
                cwd=spec.cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_own_process(),
            )
        except OSError as error:
            raise ToolFailed(
                f"{words[0]} cannot be started: {error.strerror}; "
                "correct the command in services.yaml"
            ) from error
        try:
            code = process.wait(spec.timeout_s)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise OutcomeUnknownError(
                f"{words[0]} did not finish within {spec.timeout_s:g} s and was stopped; "
                "what it had done by then is unknown, so look before trying again"
            ) from error
        size = output.seek(0, os.SEEK_END)
        output.seek(max(0, size - MAX_OUTPUT_BYTES))
        return code, output.read().decode("utf-8", "replace")


def _own_process() -> Callable[[], None]:
    """Return what the command's process does first: shed the tool's limits, die with the tool.

    The command leads a session of its own: a service that it starts in the background has to
    outlive this call.
    """
    parent_pid = os.getpid()

    def prepare() -> None:
        lift_limits()
        die_with_parent(parent_pid)

    return prepare


TOOLS = (
    Tool(
        name="service.rollback",
        description="Put an earlier release of a service live, by its declared command.",
        arguments=RollbackArguments,
        output=CommandOutput,
        run=rollback,
        effect=Effect.WRITES,
        honours_key=rollback_honours_key,
        check=check_rollback,
        limits=COMMAND_LIMITS,
    ),
    Tool(
        name="service.restart",
        description="Restart a service, by its declared command.",
        arguments=RestartArguments,
        output=CommandOutput,
        run=restart,
        effect=Effect.WRITES,
        honours_key=restart_honours_key,
        check=check_restart,
        limits=COMMAND_LIMITS,
    ),
)
