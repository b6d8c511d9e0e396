"""Loading of the catalogue: the shipped YAML under the user's, with every problem at once.

Agents, workflows, services, sources and people are merged by name, the user's replacing the
shipped; the user's policies and routes come before the shipped ones, and replace those of the
same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from config.contents import Catalogue, Surroundings, ToolSchema
from config.faults import faults
from config.lint import Remark, lint
from config.lint.rules import unreachable_policies, unreachable_routes
from config.nearest import hint
from config.specs import (
    AgentSpec,
    DatabaseSpec,
    HttpSpec,
    ModelsFile,
    OutletSpec,
    PeopleFile,
    PersonSpec,
    PoliciesFile,
    PolicySpec,
    RoutesFile,
    RouteSpec,
    ServicesFile,
    ServiceSpec,
    SourcesFile,
    SourceSpec,
    Spec,
    WorkflowSpec,
)
from config.yaml_source import MAX_BYTES, Mark, YamlError, YamlFile, read_yaml

__all__ = [
    "Catalogue",
    "CatalogueError",
    "Problem",
    "ToolSchema",
    "check_catalogue",
    "load_catalogue",
]

DEFAULTS = Path(__file__).parent / "defaults"
FOLDERS: Mapping[str, type[Spec]] = {"agents": AgentSpec, "workflows": WorkflowSpec}
FILES: Mapping[str, type[Spec]] = {
    "services.yaml": ServicesFile,
    "models.yaml": ModelsFile,
    "policies.yaml": PoliciesFile,
    "routes.yaml": RoutesFile,
    "sources.yaml": SourcesFile,
    "people.yaml": PeopleFile,
}
SETTINGS_FILE = "muster.yaml"
MAX_FILES = 500

_Path = tuple[str | int, ...]
_Item = TypeVar("_Item", PolicySpec, RouteSpec)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a file, told so that a person (and an editor) finds it."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""
    is_warning: bool = False

    def __str__(self) -> str:
        kind = "warning: " if self.is_warning else ""
        path = f"{self.path}: " if self.path else ""
        advice = f"; {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {kind}{path}{self.message}{advice}"


class CatalogueError(Exception):
    """A catalogue that cannot be used; `problems` lists everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"the configuration has {count}:\n{lines}")


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a spec stands: its file, and the path inside it."""

    file: YamlFile
    path: _Path = ()


@dataclass(slots=True)
class _Shelf:
    """What has been read so far, with the origin of each spec."""

    agents: dict[str, AgentSpec] = field(default_factory=dict)
    workflows: dict[str, WorkflowSpec] = field(default_factory=dict)
    services: dict[str, ServiceSpec] = field(default_factory=dict)
    sources: dict[str, SourceSpec] = field(default_factory=dict)
    people: dict[str, PersonSpec] = field(default_factory=dict)
    policies: list[PolicySpec] = field(default_factory=list)
    routes: list[RouteSpec] = field(default_factory=list)
    allow_hosts: list[str] = field(default_factory=list)
    databases: dict[str, DatabaseSpec] = field(default_factory=dict)
    outlets: dict[str, OutletSpec] = field(default_factory=dict)
    models: ModelsFile = field(default_factory=ModelsFile)
    origins: dict[tuple[str, str], _Origin] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """What the checks would say of specs that exist but could not be read."""

    def catalogue(self) -> Catalogue:
        """Freeze what was read."""
        return Catalogue(
            agents=self.agents,
            workflows=self.workflows,
            services=self.services,
            http=HttpSpec(allow_hosts=tuple(dict.fromkeys(self.allow_hosts))),
            policies=tuple(self.policies),
            routes=tuple(self.routes),
            sources=self.sources,
            people=self.people,
            databases=self.databases,
            outlets=self.outlets,
            models=self.models,
        )


def load_catalogue(
    user_dir: Path | None,
    tool_schemas: Mapping[str, ToolSchema] | None = None,
    report_outputs: Mapping[str, Mapping[str, Any]] | None = None,
) -> Catalogue:
    """Return the shipped catalogue overlaid by the user's; CatalogueError lists all problems.

    Without tool schemas and report outputs, what refers to tools and reports is not checked.
    """
    catalogue, problems = _read(user_dir, Surroundings(tool_schemas, report_outputs))
    errors = [problem for problem in problems if not problem.is_warning]
    if errors:
        raise CatalogueError(errors)
    return catalogue


def check_catalogue(
    user_dir: Path | None,
    tool_schemas: Mapping[str, ToolSchema] | None = None,
    report_outputs: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Problem]:
    """Return everything that is wrong with the catalogue, warnings too, file by file."""
    return _read(user_dir, Surroundings(tool_schemas, report_outputs))[1]


def _read(user_dir: Path | None, around: Surroundings) -> tuple[Catalogue, list[Problem]]:
    shelf = _Shelf()
    _read_folder(shelf, DEFAULTS, "config/defaults/")
    if user_dir is not None:
        if user_dir.is_dir():
            _unknown_files(shelf, user_dir)
            _read_folder(shelf, user_dir, "")
        else:
            shelf.problems.append(
                Problem(
                    str(user_dir),
                    1,
                    1,
                    "",
                    "there is no such folder",
                    "create it, or correct MUSTER_CONFIG_DIR",
                )
            )
    catalogue = shelf.catalogue()
    problems = shelf.problems + [
        _located(shelf, remark)
        for remark in lint(catalogue, around)
        if remark.message not in shelf.broken
    ]
    unique = dict.fromkeys(problems)
    return catalogue, sorted(unique, key=lambda one: (one.file, one.line, one.column, one.path))


def _located(shelf: _Shelf, remark: Remark) -> Problem:
    origin = shelf.origins[remark.kind, remark.name]
    path = (*origin.path, *remark.path)
    return _problem(origin.file, path, remark.message, remark.hint, is_warning=remark.is_warning)


def _problem(
    file: YamlFile, path: _Path, message: str, advice: str = "", *, is_warning: bool = False
) -> Problem:
    mark = file.locate(path)
    spelled = ".".join(map(str, path))
    return Problem(file.name, mark.line, mark.column, spelled, message, advice, is_warning)


def _unknown_files(shelf: _Shelf, folder: Path) -> None:
    known = [*FILES, *FOLDERS, SETTINGS_FILE]
    for path in sorted(folder.iterdir()):
        name = path.name
        looks_like_ours = path.is_dir() or path.suffix in (".yaml", ".yml")
        if name in known or name.startswith((".", "_")) or not looks_like_ours:
            continue
        stem = path.with_suffix(".yaml").name
        advice = f'rename it to "{stem}"' if stem in known else hint(name, known)
        if advice.startswith("known:") and path.is_dir():
            continue
        shelf.problems.append(Problem(name, 1, 1, "", "nothing reads this", advice))


def _read_folder(shelf: _Shelf, folder: Path, prefix: str) -> None:
    for kind, model in FOLDERS.items():
        _read_specs(shelf, folder / kind, f"{prefix}{kind}/", kind, model)
    for name, model in FILES.items():
        path = folder / name
        if path.is_file():
            file = _file(shelf, path, prefix + name)
            spec = None if file is None else _spec(shelf, file, model, file.data or {})
            if file is not None and spec is not None:
                _place(shelf, file, spec)


def _read_specs(shelf: _Shelf, folder: Path, prefix: str, kind: str, model: type[Spec]) -> None:
    seen: dict[str, str] = {}
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    for path in paths[:MAX_FILES]:
        name = prefix + path.name
        if path.suffix == ".yml":
            shelf.problems.append(
                Problem(name, 1, 1, "", "nothing reads this", f'rename it to "{path.stem}.yaml"')
            )
        if path.suffix != ".yaml" or path.name.startswith("."):
            continue
        file = _file(shelf, path, name)
        spec = None if file is None else _spec(shelf, file, model, file.data)
        if file is not None and spec is None and isinstance(file.data, dict):
            shelf.broken.add(f'no {kind.removesuffix("s")} "{file.data.get("name")}"')
        if file is None or not isinstance(spec, AgentSpec | WorkflowSpec):
            continue
        if spec.name in seen:
            message = f'the name "{spec.name}" is taken by {seen[spec.name]}'
            shelf.problems.append(_problem(file, ("name",), message, "give it another name"))
            continue
        seen[spec.name] = name
        shelf.origins[kind, spec.name] = _Origin(file)
        if isinstance(spec, AgentSpec):
            shelf.agents[spec.name] = spec
        else:
            shelf.workflows[spec.name] = spec


def _file(shelf: _Shelf, path: Path, name: str) -> YamlFile | None:
    try:
        with path.open("rb") as stream:
            return read_yaml(stream.read(MAX_BYTES + 1), name)
    except OSError as error:
        reason = error.strerror or str(error)
        shelf.problems.append(Problem(name, 1, 1, "", f"cannot be read: {reason}"))
    except YamlError as error:
        for fault in error.faults:
            mark: Mark = fault.mark
            spelled = ".".join(map(str, fault.path))
            shelf.problems.append(Problem(name, mark.line, mark.column, spelled, fault.message))
    return None


def _spec(shelf: _Shelf, file: YamlFile, model: type[Spec], data: object) -> Spec | None:
    if not isinstance(data, dict):
        shelf.problems.append(
            _problem(file, (), "must hold a mapping of keys to values", "see docs/configuration.md")
        )
        return None
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for fault in faults(error, model, data):
            shelf.problems.append(_problem(file, fault.path, fault.message, fault.hint))
    return None


def _place(shelf: _Shelf, file: YamlFile, spec: Spec) -> None:
    """Lay one file's content over what the shelf holds."""
    if isinstance(spec, ServicesFile):
        shelf.services |= spec.services
        shelf.allow_hosts += spec.http.allow_hosts
        shelf.databases |= spec.databases
        shelf.outlets |= spec.outlets
        _note(shelf, file, "services", spec.services)
        _note(shelf, file, "databases", spec.databases)
        _note(shelf, file, "outlets", spec.outlets)
    elif isinstance(spec, ModelsFile):
        shelf.models = _over(shelf.models, spec)
        _note(shelf, file, "models", spec.models)
    elif isinstance(spec, SourcesFile):
        shelf.sources |= spec.sources
        _note(shelf, file, "sources", spec.sources)
    elif isinstance(spec, PeopleFile):
        shelf.people |= spec.people
        _note(shelf, file, "people", spec.people)
    elif isinstance(spec, PoliciesFile):
        _unreachable(shelf, file, "policies", unreachable_policies(spec.policies))
        shelf.policies = _put_first(shelf, file, "policies", spec.policies, shelf.policies)
    elif isinstance(spec, RoutesFile):
        _unreachable(shelf, file, "routes", unreachable_routes(spec.routes))
        shelf.routes = _put_first(shelf, file, "routes", spec.routes, shelf.routes)


def _over(below: ModelsFile, own: ModelsFile) -> ModelsFile:
    """Lay the file's aliases, providers and budgets (if it sets any) over those below."""
    return ModelsFile(
        models=below.models | own.models,
        providers=below.providers | own.providers,
        budgets=own.budgets if "budgets" in own.model_fields_set else below.budgets,
    )


def _note(shelf: _Shelf, file: YamlFile, kind: str, specs: Mapping[str, object]) -> None:
    for name in specs:
        shelf.origins[kind, name] = _Origin(file, (kind, name))


def _unreachable(shelf: _Shelf, file: YamlFile, kind: str, hidden: Mapping[int, str]) -> None:
    for index, earlier in hidden.items():
        message = f'is never reached: "{earlier}" before it matches the same'
        advice = "move it up, or remove it"
        shelf.problems.append(_problem(file, (kind, index), message, advice, is_warning=True))


def _put_first(
    shelf: _Shelf, file: YamlFile, kind: str, own: Sequence[_Item], others: Sequence[_Item]
) -> list[_Item]:
    """Return the file's items, then the others whose names it does not use; keep origins right."""
    seen: set[str] = set()
    for index, item in enumerate(own):
        if item.name in seen:
            message = f'the name "{item.name}" is used by an earlier one'
            shelf.problems.append(_problem(file, (kind, index, "name"), message))
        seen.add(item.name)
    result = list(own)
    origins = [_Origin(file, (kind, index)) for index in range(len(own))]
    for index, item in enumerate(others):
        origin = shelf.origins.pop((kind, str(index)))
        if item.name not in seen:
            result.append(item)
            origins.append(origin)
    for index, origin in enumerate(origins):
        shelf.origins[kind, str(index)] = origin
    return result
