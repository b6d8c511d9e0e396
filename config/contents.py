"""What a catalogue holds once it is loaded, and what it is told about the code around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from config.specs import (
    AgentSpec,
    DatabaseSpec,
    HttpSpec,
    ModelsFile,
    OutletSpec,
    PersonSpec,
    PolicySpec,
    RouteSpec,
    ServicesFile,
    ServiceSpec,
    SourceSpec,
    WorkflowSpec,
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that people wrote in YAML, by name; lists keep their order of precedence."""

    agents: Mapping[str, AgentSpec] = field(default_factory=dict)
    workflows: Mapping[str, WorkflowSpec] = field(default_factory=dict)
    services: Mapping[str, ServiceSpec] = field(default_factory=dict)
    http: HttpSpec = field(default_factory=HttpSpec)
    policies: tuple[PolicySpec, ...] = ()
    routes: tuple[RouteSpec, ...] = ()
    sources: Mapping[str, SourceSpec] = field(default_factory=dict)
    people: Mapping[str, PersonSpec] = field(default_factory=dict)
    databases: Mapping[str, DatabaseSpec] = field(default_factory=dict)
    outlets: Mapping[str, OutletSpec] = field(default_factory=dict)
    models: ModelsFile = field(default_factory=ModelsFile)

    @property
    def world(self) -> ServicesFile:
        """The services, hosts, databases and outlets, as tools are given them."""
        return ServicesFile(
            services=dict(self.services),
            http=self.http,
            databases=dict(self.databases),
            outlets=dict(self.outlets),
        )

    @property
    def groups(self) -> frozenset[str]:
        """The groups that somebody is in."""
        return frozenset(group for person in self.people.values() for group in person.groups)

    @property
    def token_variables(self) -> frozenset[str]:
        """The environment variables that hold tokens, keys and database addresses."""
        named = [source.token_env for source in self.sources.values()]
        named += [person.token_env for person in self.people.values()]
        named += [database.url_env for database in self.databases.values()]
        named += [outlet.token_env for outlet in self.outlets.values()]
        named += [one.key_env for models in self.models.models.values() for one in models]
        return frozenset(name for name in named if name)


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """What the catalogue may know of a tool: JSON Schemas and its effect."""

    arguments: Mapping[str, Any]
    output: Mapping[str, Any]
    effect: Literal["reads", "writes"] = "reads"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The tools and report functions of the code; None where they are not to be checked."""

    tools: Mapping[str, ToolSchema] | None = None
    reports: Mapping[str, Mapping[str, Any]] | None = None
