"""Which models an installation has, and their keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr

from config.catalogue import DEFAULTS
from config.confidential import known_secrets
from config.models import STANDARD_ALIASES, effective_models, model_keys, needed_aliases
from config.settings import Settings, SettingsError, load_settings
from config.specs import AgentSpec, BudgetSpec, BudgetsSpec, ModelsFile, ModelSpec
from config.yaml_source import read_yaml

KEY = "sk-very-secret"
FILE = ModelsFile(
    models={
        "smart": (
            ModelSpec(model="anthropic/big", key_env="BIG_KEY"),
            ModelSpec(model="openai/other", key_env="OTHER_KEY"),
        ),
        "mine": (ModelSpec(model="openai/own", base_url="http://127.0.0.1:1/v1"),),
    },
    budgets=BudgetsSpec(run=BudgetSpec(usd=5)),
)


def agent(name: str, model: str | None) -> AgentSpec:
    """Return an agent that names an alias."""
    runbook: dict[str, object] | None = None if model else {"report": {"output": {}}}
    return AgentSpec.model_validate(
        {"name": name, "title": name, "description": "", "model": model, "runbook": runbook}
    )


AGENTS = (agent("a", "smart"), agent("b", "legal"), agent("c", None), agent("d", "smart"))


def given(home: Path, **environ: str) -> Settings:
    """Return settings from these variables alone."""
    return load_settings({"HOME": str(home), **environ}, cwd=home)


def test_models_are_those_of_the_file(tmp_path: Path) -> None:
    """Without the short way, what is written in models.yaml counts."""
    assert effective_models(FILE, AGENTS, given(tmp_path)) is FILE


def test_short_way_is_one_model_for_every_alias(tmp_path: Path) -> None:
    """Three variables replace the file: whatever alias is named means that model."""
    settings = given(
        tmp_path,
        MUSTER_MODEL_NAME="llama3",
        MUSTER_MODEL_BASE_URL="http://127.0.0.1:11434/v1/",
        MUSTER_MODEL_KEY=KEY,
    )

    found = effective_models(FILE, AGENTS, settings)

    assert set(found.models) == {*STANDARD_ALIASES, "mine", "legal"}
    assert set(found.models.values()) == {
        (
            ModelSpec(
                model="llama3", base_url="http://127.0.0.1:11434/v1", key_env="MUSTER_MODEL_KEY"
            ),
        )
    }
    assert found.budgets == FILE.budgets
    assert model_keys(found, {}, settings) == {"MUSTER_MODEL_KEY": KEY}


def test_local_model_needs_no_key(tmp_path: Path) -> None:
    """A server of one's own may have none."""
    settings = given(
        tmp_path, MUSTER_MODEL_NAME="llama3", MUSTER_MODEL_BASE_URL="http://localhost:1"
    )

    (spec,) = effective_models(ModelsFile(), (), settings).models["smart"]

    assert spec.key_env is None


def test_keys_are_looked_up_by_their_variables(tmp_path: Path) -> None:
    """Only variables that a model names are read, and those that are missing are left out."""
    environ = {"BIG_KEY": "k1", "UNRELATED": "k2", "OTHER_KEY": ""}

    assert model_keys(FILE, environ, given(tmp_path)) == {"BIG_KEY": "k1"}


def test_a_file_may_name_the_key_of_the_settings(tmp_path: Path) -> None:
    """The key alone is no mistake: models.yaml may use it."""
    file = ModelsFile(models={"smart": (ModelSpec(model="m", key_env="MUSTER_MODEL_KEY"),)})

    assert model_keys(file, {}, given(tmp_path, MUSTER_MODEL_KEY=KEY)) == {"MUSTER_MODEL_KEY": KEY}


def test_needed_aliases_are_those_that_agents_name() -> None:
    """Each once."""
    assert needed_aliases(AGENTS) == ["legal", "smart"]


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        (
            {"MUSTER_MODEL_NAME": "m", "MUSTER_MODEL_BASE_URL": "127.0.0.1:1"},
            "MUSTER_MODEL_BASE_URL: must be an address such as http://127.0.0.1:11434/v1",
        ),
        (
            {"MUSTER_MODEL_NAME": "m", "MUSTER_MODEL_BASE_URL": f"http://u:{KEY}@h/v1"},
            "MUSTER_MODEL_BASE_URL: must hold no key; set MUSTER_MODEL_KEY instead",
        ),
        (
            {"MUSTER_MODEL_BASE_URL": "http://h/v1"},
            "MUSTER_MODEL_BASE_URL: says where, but not which model; set MUSTER_MODEL_NAME too",
        ),
    ],
)
def test_bad_address_is_told(tmp_path: Path, environ: Mapping[str, str], reason: str) -> None:
    """Whoever gives an address of a model is told what is wrong with it, never its key."""
    with pytest.raises(SettingsError) as caught:
        given(tmp_path, **environ)

    assert reason in str(caught.value)
    assert KEY not in str(caught.value)


def test_key_is_a_secret(tmp_path: Path) -> None:
    """It is masked wherever secrets are, never shown, and refused in YAML."""
    settings = given(tmp_path, MUSTER_MODEL_NAME="m", MUSTER_MODEL_KEY=KEY)
    (tmp_path / "muster.yaml").write_text(f"model_key: {KEY}\ntoken: {KEY}\n")

    with pytest.raises(SettingsError) as caught:
        given(tmp_path, MUSTER_CONFIG_DIR=str(tmp_path))

    assert settings.model_key == SecretStr(KEY)
    assert KEY not in repr(settings)
    assert KEY in known_secrets(settings, (), {})
    assert "set MUSTER_MODEL_KEY instead" in str(caught.value)
    assert "set MUSTER_TOKEN instead" in str(caught.value)
    assert KEY not in str(caught.value)


def test_shipped_examples_can_be_used() -> None:
    """Whoever takes the `#` away in the shipped models.yaml gets models."""
    text = (DEFAULTS / "models.yaml").read_text(encoding="utf-8")
    shipped = ModelsFile.model_validate(read_yaml(text, "models.yaml").data)
    start = text.index("# models:")
    example = text[start : text.index("\n\n", start)].replace("\n# ", "\n").removeprefix("# ")

    found = ModelsFile.model_validate(read_yaml(example, "models.yaml").data)

    assert shipped.models == {}
    assert shipped.budgets == BudgetsSpec()
    assert set(found.models) == set(STANDARD_ALIASES)
    assert {spec.key_env for specs in found.models.values() for spec in specs} == {
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        None,
    }
