"""Slack's blocks drawn as HTML, close to how Slack draws them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from bot.platforms.slack.blocks import Block
from bot.platforms.slack.home import home
from bot.platforms.slack.modals import edit_modal, reply_modal
from bot.platforms.slack.render import render
from bot.platforms.slack.style import Style
from bot.preview import markup
from bot.preview.page import Scene
from bot.preview.samples import APPROVAL, CALL, HOME, QUESTION, SAMPLES

TEMPLATES: Final = Path(__file__).parent / "templates"
STYLE: Final = Style(
    public_url="https://muster.example",
    workspace_url="https://shop.slack.example/",
    pings={"group:leads": "S0LEADS"},
    files={"ev-chart-1": "F0CHART"},
)
NAMES: Final = {"S0LEADS": "leads", "U0BOB": "Bob"}
PLAIN: Final = frozenset({"running", "approval", "answer"})
"""Samples that are shown for workspaces without native blocks as well."""


def scenes() -> list[Scene]:
    """Return everything that people see of Muster in Slack."""
    shown = [
        Scene(sample.name, sample.title, draw_message(render(sample.view, STYLE).blocks))
        for sample in SAMPLES
    ]
    plain = replace(STYLE, is_native=False)
    shown += [
        Scene(
            f"{sample.name}-plain",
            f"{sample.title}, without native blocks",
            draw_message(render(sample.view, plain).blocks),
        )
        for sample in SAMPLES
        if sample.name in PLAIN
    ]
    reply = reply_modal(replace(QUESTION, options=()))
    return [
        *shown,
        Scene("modal", "Editing a call", draw_modal(edit_modal(APPROVAL, CALL))),
        Scene("reply", "Answering in one's own words", draw_modal(reply)),
        Scene("home", "The Home tab", draw_home(home(HOME, STYLE))),
    ]


def draw_message(blocks: list[Block]) -> Markup:
    """Return a message in a thread."""
    return _drawn("message", blocks=blocks)


def draw_modal(view: Block) -> Markup:
    """Return a dialog."""
    return _drawn("modal", view=view)


def draw_home(view: Block) -> Markup:
    """Return a Home tab."""
    return _drawn("home", view=view)


def _drawn(surface: str, **values: Any) -> Markup:
    mark = hashlib.sha256(repr(values).encode()).hexdigest()[:8]  # ids of different scenes differ
    template = _environment().get_template("slack.html.j2")
    text = template.render(surface=surface, mark_of=mark, **values)
    return Markup(text)  # noqa: S704 - a template with autoescape made it


def _emoji(name: str) -> str:
    """Return the drawing of an emoji; empty for one that we have not drawn."""
    drawing = _icons().get(name, "")
    frame = f'<svg class="emoji" viewBox="0 0 20 20" role="img" aria-label="{name}">'
    return f"{frame}{drawing}</svg>" if drawing else ""


@cache
def _icons() -> dict[str, str]:
    """Return our own drawings of the emoji that Muster uses: not every machine has a font."""
    lines = (TEMPLATES / "icons.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return {name: drawing for name, _, drawing in pairs}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["mrkdwn"] = lambda text: markup.mrkdwn(text, _emoji, NAMES)
    environment.filters["markdown"] = lambda text: markup.markdown(text, _emoji)
    return environment
