"""A recorded world brought to life, so that the real tools can look at it and act on it.

Metrics come from a loopback server, logs from files, deploys from a git repository, and a
rollback or a restart leaves a mark that the metrics heed. All of it is in a temporary folder.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from bot.evals.monitor import OUTLETS, Monitor
from bot.evals.repository import make_repository, tag_pattern
from bot.evals.scenario import LogSpec, RecordedServiceSpec, RepairSpec, Scenario, WorldSpec
from bot.evals.signals import indicator_of, value_at
from config.specs import (
    CommandSpec,
    DatabaseSpec,
    LogsSpec,
    MetricsSpec,
    OutletSpec,
    RepositorySpec,
    ServicesFile,
    ServiceSpec,
)

RELEASE = "[0-9a-f]{7,40}"


@dataclass(frozen=True, slots=True)
class LivingWorld:
    """What a run of a scenario looks at. `releases` are commits by the id of their deploy."""

    services: ServicesFile
    releases: Mapping[str, str]
    marks: Path
    repairs: tuple[RepairSpec, ...]
    began_at: float

    @property
    def is_repaired(self) -> bool:
        """Whether everything that heals something was done."""
        return bool(self.repairs) and all(
            repaired_at(self.marks, repair) is not None for repair in self.repairs
        )


@contextmanager
def living_world(
    scenario: Scenario, monitor: Monitor, name: str, now: float
) -> Iterator[LivingWorld]:
    """Make the scenario's world as of now, and clear it away in the end."""
    spec = scenario.world
    with tempfile.TemporaryDirectory(prefix="muster-eval-") as folder:
        root = Path(folder)
        marks = root / "marks"
        marks.mkdir()
        reading = _Reading(scenario.name, spec, marks, now)
        address = monitor.add(name, reading)
        try:
            releases = make_repository(root / "repository", spec.services, now)
            services = {
                service: _service(root, service, recorded, address)
                for service, recorded in spec.services.items()
            }
            for service, recorded in spec.services.items():
                lines = _log_lines(recorded.logs, now, f"{scenario.name}:{service}")
                _log_file(root, service).write_text("".join(lines), encoding="utf-8")
            yield LivingWorld(
                services=ServicesFile(
                    services=services,
                    databases={
                        key: _database(
                            root / f"{key}.sqlite", one.script, one.description, one.tables
                        )
                        for key, one in spec.databases.items()
                    },
                    outlets={
                        key: OutletSpec(
                            description=one.description,
                            url=f"{address}/{OUTLETS}/{key}",
                            body=one.body,
                            honours_key=True,
                        )
                        for key, one in spec.outlets.items()
                    },
                ),
                releases=releases,
                marks=marks,
                repairs=spec.repairs,
                began_at=now,
            )
        finally:
            monitor.remove(name)


def repaired_at(marks: Path, repair: RepairSpec) -> float | None:
    """Return when the repair took effect, None while it was not made."""
    action = repair.tool.partition(".")[2]
    try:
        return (marks / _mark_of(repair.service, action)).stat().st_mtime + repair.after_s
    except FileNotFoundError:
        return None


class _Reading:
    """Reads an indicator's value at a time: what the monitor serves."""

    def __init__(self, seed: str, spec: WorldSpec, marks: Path, now: float) -> None:
        self._seed = seed
        self._spec = spec
        self._marks = marks
        self._now = now

    def __call__(self, query: str, at: float) -> float | None:
        """See `bot.evals.monitor.Reading`."""
        service, _, name = query.partition(":")
        recorded = self._spec.services[service]
        if not recorded.is_monitored:
            raise KeyError(service)
        healed_at = self._healed_at(service)
        return value_at(
            name,
            recorded.series[name],
            at - self._now,
            f"{self._seed}:{query}",
            None if healed_at is None else healed_at - self._now,
        )

    def _healed_at(self, service: str) -> float | None:
        healed = [
            at
            for repair in self._spec.repairs
            if service in repair.heals and (at := repaired_at(self._marks, repair)) is not None
        ]
        return min(healed, default=None)


def _service(root: Path, name: str, recorded: RecordedServiceSpec, address: str) -> ServiceSpec:
    return ServiceSpec(
        description=recorded.description,
        environment=recorded.environment,
        depends_on=recorded.depends_on,
        metrics=MetricsSpec(
            prometheus=address,
            indicators={
                key: indicator_of(key, series, f"{name}:{key}")
                for key, series in recorded.series.items()
            },
        ),
        logs=LogsSpec(files=(str(_log_file(root, name)),)),
        repository=RepositorySpec(
            path=str(root / "repository"), paths=(f"{name}/",), deploy_tags=tag_pattern(name)
        ),
        commands={
            action: CommandSpec(
                # The mark's name holds no release: the pattern keeps it checked all the same.
                argv=("mkdir", "-p", str(root / "marks" / _mark_of(name, action))),
                arguments={"release": RELEASE} if action == "rollback" else {},
                honours_key=True,
            )
            for action in recorded.actions
        },
    )


def _mark_of(service: str, action: str) -> str:
    return f"{action}-{service}"


def _log_file(root: Path, service: str) -> Path:
    return root / f"{service}.log"


def _log_lines(logs: tuple[LogSpec, ...], now: float, seed: str) -> list[str]:
    """Return all lines in order of their times."""
    moments: list[tuple[float, str]] = []
    for index, log in enumerate(logs):
        for n, at_s in enumerate(log.at_s or _regular(log), start=1):
            ids = sha256(f"{seed}:{index}:{n}".encode()).hexdigest()[:12]
            text = log.text.replace("{n}", str(n)).replace("{id}", ids)
            moments.append((now + at_s, f"{log.level} {text}"))
    moments.sort(key=lambda moment: moment[0])
    return [
        f"{datetime.fromtimestamp(at, UTC).isoformat(timespec='milliseconds')} {text}\n"
        for at, text in moments
    ]


def _regular(log: LogSpec) -> Iterator[float]:
    count = int((log.to_s - log.from_s) / log.every_s)
    return (log.from_s + index * log.every_s for index in range(count))


def _database(path: Path, script: str, description: str, tables: tuple[str, ...]) -> DatabaseSpec:
    connection = sqlite3.connect(path)
    try:
        connection.executescript(script)
        connection.commit()
    finally:
        connection.close()
    return DatabaseSpec(description=description, path=str(path), tables=tables)
