"""Reading of scenario files, with every problem at once and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from bot.evals.scenario import MAX_SCRIPT_CHARS, FindingSpec, RecordedDatabaseSpec, Scenario
from config.catalogue import Problem
from config.faults import faults
from config.nearest import hint
from config.yaml_source import MAX_BYTES, YamlError, YamlFile, read_yaml

MAX_SCENARIOS = 2_000

_Path = tuple[str | int, ...]


class ScenariosError(Exception):
    """Scenarios that cannot be run; `problems` lists everything that is wrong with them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"the scenarios have {count}:\n{lines}")


def read_scenarios(folder: Path) -> tuple[Scenario, ...]:
    """Return the scenarios of a folder and of those in it, by name; ScenariosError otherwise."""
    if not folder.is_dir():
        message = "there is no such folder"
        raise ScenariosError(
            [Problem(str(folder), 1, 1, "", message, "name the folder with the scenario files")]
        )
    problems: list[Problem] = []
    found: dict[str, Scenario] = {}
    places: dict[str, str] = {}
    for path in sorted(folder.rglob("*.yaml"))[:MAX_SCENARIOS]:
        name = str(path.relative_to(folder))
        file = _file(path, name, problems)
        scenario = None if file is None else _scenario(file, problems)
        if file is None or scenario is None:
            continue
        scenario = _with_scripts(scenario, path.parent, file, problems)
        if scenario.name in found:
            message = f'the name "{scenario.name}" is taken by {places[scenario.name]}'
            problems.append(_problem(file, ("name",), message, "give it another name"))
            continue
        found[scenario.name], places[scenario.name] = scenario, name
        problems += [
            _problem(file, place, message, advice) for place, message, advice in _dangling(scenario)
        ]
    if problems:
        raise ScenariosError(problems)
    return tuple(found[name] for name in sorted(found))


def _file(path: Path, name: str, problems: list[Problem]) -> YamlFile | None:
    try:
        with path.open("rb") as stream:
            return read_yaml(stream.read(MAX_BYTES + 1), name)
    except OSError as error:
        reason = error.strerror or str(error)
        problems.append(Problem(name, 1, 1, "", f"cannot be read: {reason}"))
    except YamlError as error:
        for fault in error.faults:
            spelled = ".".join(map(str, fault.path))
            mark = fault.mark
            problems.append(Problem(name, mark.line, mark.column, spelled, fault.message))
    return None


def _scenario(file: YamlFile, problems: list[Problem]) -> Scenario | None:
    if not isinstance(file.data, dict):
        message = "must hold a mapping of keys to values"
        problems.append(_problem(file, (), message, "see docs/evals.md"))
        return None
    try:
        return Scenario.model_validate(file.data)
    except ValidationError as error:
        problems += [
            _problem(file, fault.path, fault.message, fault.hint)
            for fault in faults(error, Scenario, file.data)
        ]
        return None


def _with_scripts(
    scenario: Scenario, folder: Path, file: YamlFile, problems: list[Problem]
) -> Scenario:
    """Return the scenario with the scripts of its databases read from their files."""
    databases = dict(scenario.world.databases)
    for name, spec in databases.items():
        if not spec.script_file:
            continue
        try:
            text = (folder / spec.script_file).read_text(encoding="utf-8")[: MAX_SCRIPT_CHARS + 1]
            read = RecordedDatabaseSpec(**{**spec.model_dump(), "script": text, "script_file": ""})
            databases[name] = read
        except (OSError, ValueError) as error:
            place = ("world", "databases", name, "script_file")
            problems.append(_problem(file, place, f"cannot be read: {error}"))
    world = scenario.world.model_copy(update={"databases": databases})
    return scenario.model_copy(update={"world": world})


def _problem(file: YamlFile, path: _Path, message: str, advice: str = "") -> Problem:
    mark = file.locate(path)
    return Problem(file.name, mark.line, mark.column, ".".join(map(str, path)), message, advice)


def _dangling(scenario: Scenario) -> Iterator[tuple[_Path, str, str]]:
    """Yield each name that the scenario uses and does not have."""
    services, releases = scenario.world.services, scenario.releases
    if len(releases) < sum(len(service.deploys) for service in services.values()):
        message = "two deploys have the same id"
        yield ("world", "services"), message, "expectations name them by it: give each its own"
    for name, service in services.items():
        for needed in service.depends_on:
            if needed not in services:
                yield (
                    ("world", "services", name, "depends_on"),
                    f'no service "{needed}"',
                    hint(needed, services),
                )
    for index, repair in enumerate(scenario.world.repairs):
        for name in (repair.service, *repair.heals):
            if name not in services:
                yield ("world", "repairs", index), f'no service "{name}"', hint(name, services)
    groups: tuple[tuple[str, tuple[FindingSpec, ...]], ...] = (
        ("required", scenario.expect.required),
        ("any_of", scenario.expect.any_of),
        ("forbidden", scenario.expect.forbidden),
    )
    for key, findings in groups:
        for index, finding in enumerate(findings):
            if finding.service is not None and finding.service not in services:
                message = f'no service "{finding.service}"'
                place = ("expect", key, index, "service")
                yield place, message, hint(finding.service, services)
            if finding.release is not None and finding.release not in releases:
                message = f'no deploy "{finding.release}"'
                place = ("expect", key, index, "release")
                yield place, message, hint(finding.release, releases)
