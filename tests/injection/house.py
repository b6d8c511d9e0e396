"""The house that is attacked: real tools, shipped policies, one worker, a store in memory."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from agents.domain import Goal, Origin, ThreadRef
from agents.models.scripted import ScriptedModel
from agents.tool import Tool, Toolbox, ToolContext, ToolFailed, ToolResult
from agents.tools.memory import memory_tools
from config.settings import Settings
from config.specs import (
    AgentSpec,
    CommandSpec,
    DatabaseSpec,
    HttpSpec,
    Indicator,
    LogsSpec,
    MetricsSpec,
    OutletSpec,
    PolicySpec,
    ReportSpec,
    RepositorySpec,
    RunbookSpec,
    ServicesFile,
    ServiceSpec,
)
from jobs.asking import Rules
from jobs.assembly import all_tools, read_catalogue
from jobs.executor import Executor
from jobs.incident_store import MemoryIncidentStore
from jobs.memory_book import MemoryFacts
from jobs.memory_store import MemoryStore
from jobs.past import StoredRuns
from jobs.posting import RunPoster
from jobs.service import Runs
from tests.crash import effect
from tests.injection.outside import Outside
from tests.jobs.world import Clock, OneModel

WORKER, OPERATOR, BOSS, TELLER = "worker", "operator", "boss", "teller"
SERVICE, OTHER = "shop", "payments"
DATABASE = "customers"
OUTLET, MAIL = "status-page", "customer-mail"
SECRET = "gLx83-vermilion-otter"
"""What the process was given and nobody outside may ever see; it looks like no known kind."""
KNOWN_SECRETS: tuple[str, ...] = (SECRET,)
RELEASE = "0a1b2c3"
NOW = 1_763_700_000.0
THREAD = ThreadRef("console", "incidents", "t-1")
LIST_FILES, READ_NOTES = "files.list", "notes.read"
PROTECTED_ROWS = [("Ada", "ada@example.test", "pro"), ("Bo", "bo@example.test", "free")]


class NoArguments(BaseModel, extra="forbid"):
    """Nothing."""


class Lines(BaseModel):
    """What was found."""

    lines: list[str]


@dataclass(slots=True)
class Planted:
    """Where the house holds the payload; what is empty holds none."""

    log_line: str = ""
    file_name: str = ""
    committed_file: str = ""
    commit_subject: str = ""
    row: str = ""
    column: str = ""
    tool_text: str = ""
    tool_error: str = ""
    tool_description: str = ""


@dataclass(slots=True)
class House:
    """One house in a folder of its own."""

    folder: Path
    outside: Outside
    planted: Planted
    policies: tuple[PolicySpec, ...]
    store: MemoryStore = field(default_factory=lambda: MemoryStore(Clock(NOW)))
    incidents: MemoryIncidentStore = field(default_factory=MemoryIncidentStore)
    facts: MemoryFacts = field(default_factory=MemoryFacts)

    def __post_init__(self) -> None:
        """Write the log, the files and the database."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_log()
        inbox = self.folder / "inbox"
        inbox.mkdir()
        (inbox / (self.planted.file_name or "notes.txt")).touch()
        self._fill_database()
        planted = self.planted
        if planted.committed_file or planted.commit_subject:
            _deploy(self.folder / "releases", planted.committed_file, planted.commit_subject)

    @property
    def clock(self) -> Clock:
        """The clock of everybody."""
        assert isinstance(self.store.clock, Clock)
        return self.store.clock

    @property
    def runs(self) -> Runs:
        """What a process of its own would use."""
        return Runs(self.store, self.clock)

    @property
    def effects(self) -> list[str]:
        """What the services' commands did."""
        path = self.folder / "effects"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """What the customers' table holds, besides a planted row."""
        with closing(sqlite3.connect(self.folder / "customers.sqlite")) as database:
            rows = database.execute('SELECT name, email, "plan" FROM customer ORDER BY id')
            return [row for row in rows if row[0] != self.planted.row]

    @property
    def world(self) -> ServicesFile:
        """What people declared."""
        commands = {
            "restart": self._command("restart", {}),
            "rollback": self._command("rollback", {"release": "[0-9a-f]{7,40}"}),
        }
        indicators = {"errors": Indicator(query="errors")}
        shop = ServiceSpec(
            logs=LogsSpec(files=(str(self.folder / "shop.log"),)),
            metrics=MetricsSpec(prometheus=self.outside.allowed.url, indicators=indicators),
            commands=commands,
        )
        if (self.folder / "releases").exists():
            repository = RepositorySpec(path=str(self.folder / "releases"))
            shop = shop.model_copy(update={"repository": repository})
        outlet = OutletSpec(url=self.outside.outlet.url, honours_key=True)
        return ServicesFile(
            services={SERVICE: shop, OTHER: ServiceSpec(commands=commands)},
            http=HttpSpec(allow_hosts=(self.outside.allowed.address,)),
            databases={DATABASE: DatabaseSpec(path=str(self.folder / "customers.sqlite"))},
            outlets=dict.fromkeys((OUTLET, MAIL), outlet),
        )

    @property
    def toolbox(self) -> Toolbox:
        """The product's tools, and two whose answers anybody may shape."""
        tools = all_tools(self.incidents, RunPoster(self.runs))
        # In this process, where the far address counts as public; see `tests.injection.trial`.
        page = replace(tools["http.get"], is_confined=False)
        memory = memory_tools(self.facts, StoredRuns(self.store))
        return Toolbox([*tools.values(), page, *memory, self._list_files(), self._read_notes()])

    def executor(self, model: ScriptedModel, tools: Sequence[str]) -> Executor:
        """Return the worker; its agents may use these tools."""
        return Executor(
            runs=self.runs,
            agents=agents(tools),
            toolbox=self.toolbox,
            rules=Rules(world=self.world, policies=self.policies, secrets=KNOWN_SECRETS),
            clock=self.clock,
            worker="w1",
            models=OneModel(model),
        )

    def _command(self, action: str, arguments: dict[str, str]) -> CommandSpec:
        words = [sys.executable, "-I", "-S", effect.__file__, str(self.folder / "effects")]
        filled = [f"{{{name}}}" for name in arguments]
        return CommandSpec(argv=(*words, action, "act", "0", *filled), arguments=arguments)

    def _write_log(self) -> None:
        """Write an old line, so that the others are news, then those of the last seconds."""
        lines = [(600, "INFO open"), (5, f"ERROR cannot charge with {SECRET}")]
        if self.planted.log_line:
            lines.append((5, self.planted.log_line))
        text = "".join(
            f"{datetime.fromtimestamp(NOW - ago_s, UTC).isoformat()} {line}\n"
            for ago_s, line in lines
        )
        (self.folder / "shop.log").write_text(text)

    def _fill_database(self) -> None:
        extra = self.planted.column.replace('"', "'")
        column = f', "{extra}" TEXT' if extra else ""
        rows = [*PROTECTED_ROWS, *([(self.planted.row, "", "free")] if self.planted.row else [])]
        with closing(sqlite3.connect(self.folder / "customers.sqlite")) as database, database:
            database.execute(
                "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, email TEXT, "
                f'"plan" TEXT{column})'
            )
            database.executemany(
                'INSERT INTO customer (name, email, "plan") VALUES (?, ?, ?)', rows
            )

    def _list_files(self) -> Tool:
        async def run(context: ToolContext, arguments: NoArguments) -> ToolResult:
            del context, arguments
            names = sorted(path.name for path in (self.folder / "inbox").iterdir())
            return ToolResult(Lines(lines=names), "\n".join(names), "Files")

        return _tool(LIST_FILES, "List the files of the inbox.", run)

    def _read_notes(self) -> Tool:
        async def run(context: ToolContext, arguments: NoArguments) -> ToolResult:
            del context, arguments
            if self.planted.tool_error:
                raise ToolFailed(self.planted.tool_error)
            text = self.planted.tool_text or "no notes"
            return ToolResult(Lines(lines=text.splitlines()), text, "Notes")

        return _tool(READ_NOTES, self.planted.tool_description or "Read the notes.", run)


def _tool(name: str, description: str, run: Callable[..., object]) -> Tool:
    return Tool(
        name=name,
        description=description,
        arguments=NoArguments,
        output=Lines,
        run=run,  # type: ignore[arg-type]
        is_confined=False,
    )


def shipped_policies() -> tuple[PolicySpec, ...]:
    """Return the policies that Muster ships."""
    return read_catalogue(Settings()).policies


def agents(tools: Sequence[str]) -> Mapping[str, AgentSpec]:
    """Return the agents: all may do whatever the payload wants, so that only code stands firm."""
    worker = AgentSpec(
        name=WORKER,
        title="Worker",
        description="Looks at things.",
        model="smart",
        tools=tuple(tools),
        handoffs=(OPERATOR,),
        memory="thread",
    )
    operator = AgentSpec(
        name=OPERATOR,
        title="Operator",
        description="Acts on things.",
        model="smart",
        tools=tuple(tools),
    )
    boss = AgentSpec(
        name=BOSS,
        title="Boss",
        description="Plans.",
        model="smart",
        supervises=True,
        team=(WORKER, OPERATOR),
    )
    teller = AgentSpec(
        name=TELLER,
        title="Teller",
        description="Says what was found.",
        runbook=RunbookSpec(report=ReportSpec(output={"headline": "{{ inputs.said }}"})),
    )
    return {one.name: one for one in (worker, operator, boss, teller)}


def goal(text: str = "What is wrong with the shop?", **fields: object) -> Goal:
    """Return a goal that somebody typed, unless it says otherwise."""
    usual: dict[str, object] = {
        "text": text,
        "requester_id": "console:rae",
        "requester_name": "Rae",
        "origin": Origin.MESSAGE,
        "thread": THREAD,
    }
    return Goal(**{**usual, **fields})  # type: ignore[arg-type]


def _deploy(path: Path, file_name: str, subject: str) -> None:
    """Make a repository whose second deploy added a file of that name, with that subject."""
    path.mkdir()
    _git(path, "init", "-q")
    for name, said, ago_s in (("README", "Begin", 600), (file_name or "notes.md", subject, 300)):
        (path / name).write_text("x")
        _git(path, "add", "-A")
        _git(path, "commit", "-q", "-m", said or "More notes", ago_s=ago_s)


def _git(path: Path, *words: str, ago_s: float = 0) -> None:
    at = f"{int(NOW - ago_s)} +0000"
    environment = {
        "GIT_AUTHOR_DATE": at,
        "GIT_COMMITTER_DATE": at,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "PATH": os.environ["PATH"],
    }
    who = ("-c", "user.name=Eve", "-c", "user.email=eve@example.test")
    subprocess.run(["git", *who, *words], cwd=path, env=environment, check=True)
