"""What each sample looks like in Slack, held still.

After a wanted change write the files again, and read the difference before it is committed:

    MUSTER_WRITE_GOLDEN=1 .venv/bin/python -m pytest -n 0 tests/bot/platforms/slack/test_golden.py
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.platforms.slack.blocks import problems, view_problems
from bot.platforms.slack.home import home
from bot.platforms.slack.modals import edit_modal, reply_modal
from bot.platforms.slack.render import render
from bot.platforms.slack.style import Style
from bot.preview.samples import APPROVAL, CALL, HOME, QUESTION, SAMPLES, Sample

GOLDEN = Path(__file__).parent / "golden"
STYLE = Style(
    public_url="https://muster.example",
    workspace_url="https://shop.slack.example/",
    pings={"group:leads": "S0LEADS"},
    files={"ev-chart-1": "F0CHART"},
)
STYLES = {"native": STYLE, "plain": replace(STYLE, is_native=False)}


def held(name: str, shown: Any) -> None:
    """Compare with what was written down, or write it down."""
    path = GOLDEN / f"{name}.json"
    text = json.dumps(shown, indent=2, ensure_ascii=False) + "\n"
    if os.environ.get("MUSTER_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_view_looks_as_it_did(sample: Sample, style: str) -> None:
    """Each view has its blocks, in both styles, and Slack takes them."""
    rendered = render(sample.view, STYLES[style])

    assert problems(rendered.blocks, rendered.text) == []
    held(f"{sample.name}-{style}", {"text": rendered.text, "blocks": rendered.blocks})


def test_pages_and_dialogs_look_as_they_did() -> None:
    """The Home tab and both dialogs have their blocks, and Slack takes them."""
    for name, view in (
        ("home", home(HOME, STYLE)),
        ("modal-edit", edit_modal(APPROVAL, CALL)),
        ("modal-reply", reply_modal(replace(QUESTION, options=()))),
    ):
        assert view_problems(view) == []
        held(name, view)
