"""The processes of one machine: kept alive, refused with a reason, ended together."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

from tests.scenarios.program import (
    Home,
    Program,
    answers,
    assert_gone,
    command,
    muster,
    seen,
    until,
)

START_S = 60
STOP_S = 30
WORKERS = 2
"""As many as the settings' default; the parent comes on top."""


async def test_whatever_is_killed_comes_back(tmp_path: Path) -> None:
    """The bot, the parent of the workers, a worker and Redis may each be killed at any time."""
    home = Home.new(tmp_path)
    async with muster("up", home=home) as program:
        await _is_ready(home, program)
        for victim in (_bot, _parent, _worker, Program.redis):
            killed = victim(program)
            killed.send_signal(signal.SIGKILL)
            await assert_gone([killed])

            await seen(lambda: _has_all(program), START_S, f"{victim.__name__} is back", program)
            await _is_ready(home, program)

        family = program.family()
        program.process.send_signal(signal.SIGTERM)
        assert await program.ends(STOP_S) == 0
        await assert_gone(family)


async def test_a_second_one_is_told_what_is_in_the_way(tmp_path: Path) -> None:
    """The same port, and the same state directory, are refused with a way out."""
    home = Home.new(tmp_path)
    elsewhere = Home.new(tmp_path / "elsewhere")
    async with muster("up", home=home) as program:
        await _is_ready(home, program)

        same_port = elsewhere.environ(MUSTER_PORT=str(home.port))
        code, said = await command("up", home=elsewhere, environ=same_port)
        assert code == 2
        assert "set MUSTER_PORT to another" in said
        same_state = elsewhere.environ(MUSTER_STATE_DIR=str(home.state_dir))
        code, said = await command("up", home=elsewhere, environ=same_state)
        assert code == 2
        assert f"in use by process {program.pid}" in said
        assert "MUSTER_STATE_DIR" in said

        assert await answers(f"{home.url}/readyz")


async def test_a_mistake_in_the_catalogue_is_found_before_anything_starts(tmp_path: Path) -> None:
    """`up` names the file, the line and the nearest name, and leaves nothing running."""
    home = Home.new(tmp_path)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/routes.yaml").write_text(
        "routes:\n  - name: mine\n    workflow: incidnet\n    channel: ops\n"
    )

    environ = home.environ(MUSTER_CONFIG_DIR=str(tmp_path / "config"))
    code, said = await command("up", home=home, environ=environ)

    assert code == 2
    assert "routes.yaml:3" in said
    assert '"incident"' in said
    assert not (home.state_dir / "redis.sock").exists()


async def _is_ready(home: Home, program: Program) -> None:
    await until(lambda: answers(f"{home.url}/readyz"), START_S, "Muster is ready", program)


def _bot(program: Program) -> psutil.Process:
    return program.children("bot", "serve")[0]


def _parent(program: Program) -> psutil.Process:
    """Return the process that forks the workers: it is a child of the stack itself."""
    return next(one for one in program.children("jobs") if one.ppid() == program.pid)


def _worker(program: Program) -> psutil.Process:
    return next(one for one in program.children("jobs") if one.ppid() == _parent(program).pid)


def _has_all(program: Program) -> bool:
    """Whether bot, parent, both workers and Redis run."""
    try:
        return bool(_bot(program) and program.redis()) and len(program.children("jobs")) > WORKERS
    except (IndexError, StopIteration, ValueError):
        return False
