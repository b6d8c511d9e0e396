"""JSON Schemas of every kind of file, for editors that complete and check YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from config.settings import NOT_IN_YAML, Settings
from config.specs import (
    AgentSpec,
    ModelsFile,
    PeopleFile,
    PoliciesFile,
    RoutesFile,
    ServicesFile,
    SourcesFile,
    WorkflowSpec,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS: Mapping[str, type[BaseModel]] = {
    "agent": AgentSpec,
    "workflow": WorkflowSpec,
    "models": ModelsFile,
    "services": ServicesFile,
    "policies": PoliciesFile,
    "routes": RoutesFile,
    "sources": SourcesFile,
    "people": PeopleFile,
    "settings": Settings,
}


def schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of one kind of file."""
    model = KINDS[kind]
    found = model.model_json_schema()
    if model is Settings:
        found["properties"] = {
            name: part for name, part in found["properties"].items() if name not in NOT_IN_YAML
        }
    return {"$schema": DIALECT, **found, "title": f"Muster {kind}"}


def write_schemas(folder: Path) -> list[Path]:
    """Write `<kind>.schema.json` for every kind into the folder; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in KINDS:
        path = folder / f"{kind}.schema.json"
        path.write_text(json.dumps(schema(kind), indent=2) + "\n", encoding="utf-8")
        written.append(path)
    return written
