"""Checks of language models, and of the aliases that agents name."""

from __future__ import annotations

from collections.abc import Iterator

from config.contents import Catalogue
from config.lint.remark import Path, Remark
from config.lint.secrets import lint_address, lint_variable
from config.models import STANDARD_ALIASES
from config.nearest import hint
from config.specs import ModelSpec


def lint_models(catalogue: Catalogue) -> Iterator[Remark]:
    """Return everything that is wrong with the models and with who names them."""
    for alias, specs in catalogue.models.models.items():
        if not specs:
            yield Remark("models", alias, (), "has no model", "name one, or remove the alias")
        seen: set[ModelSpec] = set()
        for index, spec in enumerate(specs):
            if spec in seen:
                yield Remark("models", alias, (index,), "is there twice", "a fallback is another")
            seen.add(spec)
            yield from _model(alias, spec, (index,))
    yield from _aliases(catalogue)


def _model(alias: str, spec: ModelSpec, at: Path) -> Iterator[Remark]:
    yield from lint_variable("models", alias, (*at, "key_env"), spec.key_env, "OPENAI_API_KEY")
    yield from lint_address("models", alias, (*at, "base_url"), spec.base_url)
    prices = {
        "input_usd_per_million": spec.input_usd_per_million,
        "output_usd_per_million": spec.output_usd_per_million,
    }
    given = [name for name, price in prices.items() if price is not None]
    if len(given) == 1:
        (missing,) = prices.keys() - set(given)
        message = "a price needs both sides, or litellm's price list counts"
        yield Remark("models", alias, (*at, given[0]), message, f'add "{missing}:" here')


def _aliases(catalogue: Catalogue) -> Iterator[Remark]:
    """Without any alias all agents follow their runbooks, and that is no mistake."""
    aliases = catalogue.models.models
    if not aliases:
        return
    for agent in catalogue.agents.values():
        alias = agent.model
        if alias is None or alias in aliases:
            continue
        if alias not in STANDARD_ALIASES:
            yield Remark(
                "agents", agent.name, ("model",), f'no model alias "{alias}"', hint(alias, aliases)
            )
        else:
            yield Remark(
                "agents",
                agent.name,
                ("model",),
                f'no model is given for "{alias}", so agents that name it follow their runbooks',
                f'add "{alias}" to models.yaml',
                is_warning=True,
                is_once=True,
            )
