"""Checks across a catalogue: everything that one file alone cannot know. Pure over specs."""

from __future__ import annotations

from collections.abc import Iterable

from config.contents import Catalogue, Surroundings
from config.lint.agents import lint_agent
from config.lint.models import lint_models
from config.lint.remark import Remark
from config.lint.rules import lint_people, lint_policies, lint_routes, lint_source
from config.lint.services import lint_database, lint_outlet, lint_service
from config.lint.workflows import lint_workflow

__all__ = ["Remark", "lint"]


def lint(catalogue: Catalogue, around: Surroundings) -> list[Remark]:
    """Return every fault and warning, those of one spec together."""
    remarks: list[Remark] = []
    remarks += lint_policies(catalogue, around)
    for agent in catalogue.agents.values():
        remarks += lint_agent(agent, catalogue, around)
    for workflow in catalogue.workflows.values():
        remarks += lint_workflow(workflow, catalogue, around)
    for name, service in catalogue.services.items():
        remarks += lint_service(name, service, catalogue.services)
    for name, database in catalogue.databases.items():
        remarks += lint_database(name, database)
    for name, outlet in catalogue.outlets.items():
        remarks += lint_outlet(name, outlet, around)
    remarks += lint_models(catalogue)
    remarks += lint_routes(catalogue)
    for name, source in catalogue.sources.items():
        remarks += lint_source(name, source, catalogue)
    remarks += lint_people(catalogue)
    return _unrepeated(remarks)


def _unrepeated(remarks: Iterable[Remark]) -> list[Remark]:
    told: set[str] = set()
    kept: list[Remark] = []
    for remark in dict.fromkeys(remarks):
        if not remark.is_once or remark.message not in told:
            kept.append(remark)
        told.add(remark.message)
    return kept
