"""Renders the prompts, which are files in `agents/prompts`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

PROMPTS = Path(__file__).parent / "prompts"


def render(name: str, **values: object) -> str:
    """Return the prompt of that name (`system` for `system.md.j2`) with the values filled in.

    A value that the prompt speaks of and nobody gave is an error, not an empty place.
    """
    return _environment().get_template(f"{name}.md.j2").render(values).strip()


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(PROMPTS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 - it goes to a model, not into a page
    )
