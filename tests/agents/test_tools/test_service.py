"""Declared commands run with checked arguments and nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.tool import ToolContext, ToolFailed, ToolRetry
from agents.tools import service
from agents.tools.service import (
    CommandOutput,
    RestartArguments,
    RollbackArguments,
    restart_honours_key,
    rollback_honours_key,
)
from tests.agents.test_tools.conftest import world

SHA = "3f2a1c9d0b1e4f5a6b7c8d9e0f1a2b3c4d5e6f70"
SHOW = "import os, sys; print(sys.argv[1:]); print(sorted(os.environ)); print(os.getcwd())"


def shop(code: str, **more: Any) -> ToolContext:
    """Return a world whose checkout has a rollback that runs this Python code."""
    spec = {
        "argv": [sys.executable, "-I", "-c", code, "--release", "{release}"],
        "arguments": {"release": "[0-9a-f]{7,40}|-x"},
        **more,
    }
    return world(checkout={"commands": {"rollback": spec}})


async def rollback(context: ToolContext, release: str = SHA) -> CommandOutput:
    """Roll checkout back."""
    result = await service.rollback(context, RollbackArguments(service="checkout", release=release))
    assert isinstance(result.output, CommandOutput)
    assert result.output.line in result.text
    return result.output


async def test_command_gets_its_arguments_and_little_else(tmp_path: Path) -> None:
    """The placeholder is filled; the environment is minimal and carries the key."""
    context = replace(shop(SHOW, cwd=str(tmp_path)), idempotency_key="run/rollback/call")

    output = await rollback(context)

    assert f"['--release', '{SHA}']" in output.output
    assert "MUSTER_IDEMPOTENCY_KEY" in output.output
    assert "PYTHONPATH" not in output.output
    assert str(tmp_path) in output.output


@pytest.mark.parametrize("release", ["main", "3f2a1c9; rm -rf /", "-x", "3f2a1c9\n"])
async def test_argument_that_does_not_fit_is_refused(release: str) -> None:
    """Only what matches the declared expression, and is no option, reaches the command."""
    with pytest.raises(ToolRetry, match="must match"):
        await rollback(shop("raise SystemExit(9)"), release)


async def test_failure_shows_the_last_lines_without_secrets() -> None:
    """A command that fails is reported with its exit code and redacted output."""
    code = "import sys; print('password=hunter2hunter2'); print('no such release'); sys.exit(3)"

    with pytest.raises(ToolFailed) as caught:
        await rollback(shop(code))

    assert "exit code 3" in str(caught.value)
    assert "no such release" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_slow_command_is_stopped() -> None:
    """A command that hangs is killed, and its outcome is said to be unknown."""
    with pytest.raises(ToolFailed, match="is unknown"):
        await rollback(shop("import time; time.sleep(60)", timeout_s=0.3))


async def test_service_left_running_does_not_hold_the_call() -> None:
    """A process that the command starts in the background may live on."""
    code = (
        "import subprocess, sys; "
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3)']); print('up')"
    )

    assert (await rollback(shop(code))).output == "up"


async def test_missing_command_names_what_there_is() -> None:
    """A service without that command says what it declares."""
    with pytest.raises(ToolRetry, match="no restart command but rollback"):
        await service.restart(shop(SHOW), RestartArguments(service="checkout"))


async def test_undeclared_placeholder_is_a_fault_of_the_configuration() -> None:
    """A command cannot use what it does not declare."""
    context = world(checkout={"commands": {"restart": {"argv": ["true", "{reason}"]}}})

    with pytest.raises(ToolFailed, match="without declaring"):
        await service.restart(context, RestartArguments(service="checkout", reason="x"))


async def test_command_that_is_not_there_is_said_so() -> None:
    """A program that cannot be started is a fault of the configuration."""
    context = world(checkout={"commands": {"restart": {"argv": ["/no/such/program"]}}})

    with pytest.raises(ToolFailed, match="cannot be started"):
        await service.restart(context, RestartArguments(service="checkout"))


def test_declared_idempotency_is_passed_on() -> None:
    """Whether a call may be repeated is what people declared."""
    context = shop(SHOW, honours_key=True)
    other = world(checkout={"commands": {"restart": {"argv": ["true"]}}})

    assert rollback_honours_key(context, RollbackArguments(service="checkout", release=SHA))
    assert not restart_honours_key(other, RestartArguments(service="checkout"))


def test_what_cannot_work_is_known_before_anybody_is_asked() -> None:
    """A release that does not fit, or a service without the command, is refused by the check."""
    context = shop(SHOW)
    service.check_rollback(context, RollbackArguments(service="checkout", release=SHA))

    with pytest.raises(ToolRetry) as refused:
        service.check_rollback(context, RollbackArguments(service="checkout", release="main"))
    with pytest.raises(ToolRetry, match="declares no restart"):
        service.check_restart(context, RestartArguments(service="checkout"))

    assert refused.value.argument == "release"
