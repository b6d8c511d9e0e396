"""Which models an installation has, and their keys: models.yaml, or one model from settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from config.settings import Settings, variable, variables
from config.specs import AgentSpec, ModelsFile, ModelSpec

STANDARD_ALIASES = ("smart", "fast", "code")
"""The aliases that shipped agents name: for judgement, for easy things, for reading code."""
MODEL_KEY_VARIABLE = variable("model_key")


def effective_models(
    models: ModelsFile, agents: Iterable[AgentSpec], settings: Settings
) -> ModelsFile:
    """Return the models as configured; with MUSTER_MODEL_NAME each alias means that one model."""
    if settings.model_name is None:
        return models
    only = ModelSpec(
        model=settings.model_name,
        base_url=settings.model_base_url,
        key_env=None if settings.model_key is None else MODEL_KEY_VARIABLE,
    )
    aliases = {*STANDARD_ALIASES, *models.models, *needed_aliases(agents)}
    return models.model_copy(update={"models": dict.fromkeys(sorted(aliases), (only,))})


def model_keys(
    models: ModelsFile, environ: Mapping[str, str], settings: Settings
) -> dict[str, str]:
    """Return the keys that are there, by the variable that a model names for its key."""
    given = variables(environ)
    if settings.model_key is not None:
        given[MODEL_KEY_VARIABLE] = settings.model_key.get_secret_value()
    named = {spec.key_env for specs in models.models.values() for spec in specs if spec.key_env}
    return {name: given[name] for name in sorted(named) if name in given}


def needed_aliases(agents: Iterable[AgentSpec]) -> list[str]:
    """Return the aliases that agents name, sorted."""
    return sorted({agent.model for agent in agents if agent.model is not None})
