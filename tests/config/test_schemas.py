"""JSON Schemas for editors: complete, valid, and agreeing with what is shipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from config.catalogue import DEFAULTS
from config.schemas import KINDS, schema, write_schemas
from config.yaml_source import read_yaml


def test_one_schema_for_every_kind(tmp_path: Path) -> None:
    """Every kind of file gets a valid schema of its own, and writing again changes nothing."""
    paths = write_schemas(tmp_path / "schemas")
    before = [path.read_bytes() for path in paths]

    assert [path.name for path in paths] == [f"{kind}.schema.json" for kind in KINDS]
    for path in paths:
        Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))
    assert [path.read_bytes() for path in write_schemas(tmp_path / "schemas")] == before


@pytest.mark.parametrize("name", ["services", "policies", "routes", "sources", "people"])
def test_shipped_files_fit_their_schema(name: str) -> None:
    """An editor that uses the schemas finds nothing to complain about in the shipped files."""
    data = read_yaml((DEFAULTS / f"{name}.yaml").read_bytes(), name).data

    assert list(Draft202012Validator(schema(name)).iter_errors(data)) == []


def test_unknown_keys_are_refused_in_the_editor_too() -> None:
    """The schemas are as strict as the loader."""
    found = Draft202012Validator(schema("routes")).iter_errors({"routs": []})

    assert [error.validator for error in found] == ["additionalProperties"]


def test_settings_schema_has_no_secrets() -> None:
    """An editor does not offer to complete what may not stand in muster.yaml."""
    properties = schema("settings")["properties"]

    assert "port" in properties
    assert not {"secret_key", "sentry_dsn", "config_dir"} & set(properties)
