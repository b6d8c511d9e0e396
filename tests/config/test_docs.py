"""The reference of the configuration names everything and its examples work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from config import specs
from config.sandbox import SANDBOX
from config.schemas import KINDS
from config.settings import Settings, variable
from config.specs import ALERT_FIELDS, Spec
from config.yaml_source import read_yaml

PAGE = (Path(__file__).parents[2] / "docs/configuration.md").read_text(encoding="utf-8")
CODE = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
WORDS = set(re.findall(r"\w+", PAGE))
EXAMPLES = re.findall(
    r"^### (\w+)[^\n]*\n(?:(?!^### ).*\n)*?```yaml\n((?:(?!```).*\n)+)```", PAGE, re.M
)
NOT_KEYS = {"services", "policies", "routes", "sources", "people"}


def spec_models() -> Iterator[type[Spec]]:
    """Find every spec that a person can write."""
    for found in vars(specs).values():
        if isinstance(found, type) and issubclass(found, Spec) and found is not Spec:
            yield found


def test_every_setting_is_documented() -> None:
    """Each setting stands in the table with its variable."""
    for name in Settings.model_fields:
        assert f"| `{name}` | `{variable(name)}` |" in PAGE, name


def test_every_key_is_documented() -> None:
    """Each key of each file is named in the reference."""
    missing = {
        f"{model.__name__}.{key}"
        for model in spec_models()
        for key in model.model_fields
        if key not in CODE | NOT_KEYS
    }

    assert missing == set()


def test_filters_and_alert_fields_are_documented() -> None:
    """Each filter of expressions and each field of a generic alert is named."""
    assert set(SANDBOX.filters) - {"d"} <= WORDS
    assert set(ALERT_FIELDS) <= CODE


@pytest.mark.parametrize(("kind", "text"), EXAMPLES, ids=[kind for kind, _ in EXAMPLES])
def test_examples_are_valid(kind: str, text: str) -> None:
    """What a person copies from the reference is accepted."""
    model: type[BaseModel] = KINDS.get(kind) or KINDS[kind.removesuffix("s")]

    assert model.model_validate(read_yaml(text, kind).data)


def test_there_is_an_example_of_most_files() -> None:
    """The pattern above really finds the examples."""
    assert {kind for kind, _ in EXAMPLES} == {
        "workflows",
        "agents",
        "models",
        "services",
        "sources",
        "people",
    }
