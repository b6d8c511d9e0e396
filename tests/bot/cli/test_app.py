"""The command line: what it loads, and a conversation with a running Muster."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from bot.cli.app import app
from tests.scenarios.program import (
    ROOT,
    Home,
    answers,
    api,
    command,
    muster,
    seen,
    token,
    until,
    write_people,
)

HEAVY = (
    *("fastapi", "starlette", "uvicorn", "httpx", "redis", "rq", "pydantic", "structlog"),
    *("jinja2", "matplotlib", "numpy", "ruptures", "drain3", "sentry_sdk", "prometheus_client"),
)
"""Packages that make a command start slowly; `--help` needs none of them."""
ASK_FOR_HELP = f"""
import contextlib, io, json, sys
from bot.cli.app import app
with contextlib.redirect_stdout(io.StringIO()) as said:
    app(["--help"], standalone_mode=False)
loaded = [name for name in {HEAVY!r} if name in sys.modules]
print(json.dumps([loaded, said.getvalue()]))
"""
COMMANDS = ("up", "demo", "worker", "check", "goal", "runs", "show", "approve", "deny", "stop")
START_S = 60
POLISH = Path(__file__).parent / "data/polish"
"""A workflow that asks before it restarts the only service there is."""


def test_help_loads_nothing_heavy() -> None:
    """`muster --help` names every command and imports no server, store or plotting library."""
    found = subprocess.run(
        [sys.executable, "-c", ASK_FOR_HELP],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    loaded, said = json.loads(found.stdout)

    assert loaded == []
    assert [name for name in COMMANDS if name not in said] == []


def test_the_launcher_works_from_anywhere(tmp_path: Path) -> None:
    """`./muster` finds its checkout, and a folder called bot where one stands does not win."""
    trap = tmp_path / "bot"
    trap.mkdir()
    (trap / "__init__.py").write_text("raise SystemExit('the wrong bot')")
    link = tmp_path / "m"
    link.symlink_to(ROOT / "muster")

    found = subprocess.run([link, "--help"], cwd=tmp_path, capture_output=True, text=True)

    if found.returncode == 2:
        assert "make" in found.stderr
        assert not (ROOT / ".venv/bin/python").exists()
    else:
        assert "goal" in found.stdout, found.stderr


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("runs",), "Start one with `muster up`"),
        (("demo", "--fault", "bad-relaese"), "choose one of: bad-release"),
        (("show",), "Missing argument"),
    ],
)
def test_a_wrong_command_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], advice: str
) -> None:
    """Mistakes end with code 2 and a sentence, without a traceback."""
    monkeypatch.setenv("MUSTER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))

    result = CliRunner().invoke(app, list(arguments))

    assert result.exit_code == 2
    assert advice in result.output


@asynccontextmanager
async def _terminal(tmp_path: Path) -> AsyncIterator[_Terminal]:
    """Run Muster with one service, whose restart command leaves a line in a file."""
    home = Home.new(tmp_path)
    config_dir = tmp_path / "config"
    terminal = _Terminal(home, config_dir, tmp_path / "polished")
    shutil.copytree(POLISH, config_dir)
    write_people(config_dir, alice=["oncall"], bob=["oncall"])
    (config_dir / "services.yaml").write_text(yaml.safe_dump(_services(terminal.done)))
    async with muster("up", home=home, environ=terminal.environ()) as program:
        await until(lambda: answers(f"{home.url}/readyz"), START_S, "Muster is ready", program)
        yield terminal


def _services(done: Path) -> dict[str, Any]:
    script = "import pathlib, sys; pathlib.Path(sys.argv[1]).open('a').write('once\\n')"
    argv = [sys.executable, "-c", script, str(done)]
    lamp = {"description": "Shines", "commands": {"restart": {"argv": argv}}}
    return {"services": {"lamp": lamp}}


@dataclass(frozen=True, slots=True)
class _Terminal:
    """A running Muster, as people reach it from their terminals."""

    home: Home
    config_dir: Path
    done: Path

    def environ(self, **more: str) -> dict[str, str]:
        """Return the environment of Muster and of its commands."""
        return self.home.environ(MUSTER_CONFIG_DIR=str(self.config_dir), **more)

    async def types(self, person: str, *arguments: str) -> tuple[int, str]:
        """Run a command of this person; return its exit code and what it said."""
        environ = self.environ(MUSTER_TOKEN=token(person))
        name = f"{person}-{arguments[0]}"
        return await command(*arguments, home=self.home, environ=environ, name=name)

    async def waits(self) -> None:
        """Return once something waits for a decision."""

        async def waiting() -> bool:
            return bool((await http.get("/api/approvals")).json()["approvals"])

        async with api(self.home, "bob") as http:
            await until(waiting, START_S, "an approval waits")


async def test_a_goal_is_approved_by_somebody_else(tmp_path: Path) -> None:
    """Who asked may look but not approve; the other one may, and then it is done, once."""
    async with _terminal(tmp_path) as terminal:
        code, said = await terminal.types("alice", "goal", "polish the lamp")
        assert code == 0, said
        run_id = said.split("Run ")[1].split(":")[0]
        await terminal.waits()
        assert run_id in (await terminal.types("bob", "runs", "--active"))[1]
        assert "Polish it" in (await terminal.types("bob", "show", run_id))[1]

        code, said = await terminal.types("alice", "approve", "--yes")
        assert (code, terminal.done.exists()) == (2, False)
        assert "somebody else has to decide" in said
        code, said = await terminal.types("bob", "approve", "--yes")
        assert (code, "Approved by Bob" in said) == (0, True), said
        await seen(terminal.done.exists, START_S, "the approved command has run")

    assert terminal.done.read_text().splitlines() == ["once"]


async def test_a_goal_that_is_denied_or_stopped_or_unknown(tmp_path: Path) -> None:
    """`--wait` ends with the refusal, a stopped run waits for nobody, and no goal is guessed."""
    async with _terminal(tmp_path) as terminal:
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(terminal.types("alice", "goal", "polish the lamp", "--wait"))
            await terminal.waits()
            code, said = await terminal.types("bob", "deny", "--yes", "--comment", "It shines.")
            assert code == 0, said
        code, said = asked.result()
        assert (code, "denied" in said.lower()) == (1, True), said

        code, said = await terminal.types("alice", "goal", "polish the lamp")
        await terminal.waits()
        run_id = said.split("Run ")[1].split(":")[0]
        code, said = await terminal.types("alice", "stop", run_id)
        assert code == 0, said
        code, said = await terminal.types("bob", "approve", "--yes")
        assert (code, "Nothing waits" in said) == (2, True), said

        code, said = await terminal.types("alice", "goal", "sing a song")
        assert (code, "polish" in said) == (2, True), said

    assert not terminal.done.exists()
