"""Proposed calls without what stands there twice."""

from __future__ import annotations

import re

from agents.wording import short
from bot.views import CallView

_LONG_SHA = re.compile(r"\b[0-9a-f]{12,64}\b")


def target(call: CallView) -> str:
    """Return what the call does it to: its title without the tool's name, long shas cut.

    The whole value stands in the table of arguments.
    """
    text = call.title.removeprefix(call.tool).strip()
    return _LONG_SHA.sub(lambda found: f"{short(found[0])}…", text)
