"""The page that shows a platform's scenes, in one file without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES: Final = Path(__file__).parent / "templates"
PLATFORMS: Final[Mapping[str, str]] = {"slack": "bot.preview.slack"}
"""The module of each platform that can be drawn; it has `scenes()`. Its styles are its `.css`."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that people see, drawn."""

    name: str
    title: str
    html: Markup


def scenes_of(platform: str) -> Sequence[Scene]:
    """Return what is shown of a platform."""
    draw: Callable[[], Sequence[Scene]] = import_module(PLATFORMS[platform]).scenes
    return draw()


def page_of(platform: str) -> str:
    """Return the whole page of a platform."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    styles = [(TEMPLATES / name).read_text(encoding="utf-8") for name in _styles(platform)]
    return environment.get_template("page.html.j2").render(
        platform=platform,
        scenes=scenes_of(platform),
        styles=Markup("\n".join(styles)),  # noqa: S704 - our own files
    )


def _styles(platform: str) -> tuple[str, str]:
    return ("page.css", f"{platform}.css")
