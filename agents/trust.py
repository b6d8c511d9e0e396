"""What of a piece of evidence nobody outside can have written: it may shape a write untainted."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from agents.domain import Evidence

RELEASE_LINE = re.compile(r"  release [0-9a-f]{40,64}(?:, before [0-9a-f]{40,64})?")


def trusted_part(evidence: Evidence) -> str:
    """Return the text of a trusted tool, and of others what stands there by their own doing."""
    if evidence.is_trusted:
        return evidence.text
    part = _PARTS.get(evidence.tool)
    return part(evidence.text) if part else ""


def releases(text: str) -> str:
    """Return the ids of releases among what git says of deploys.

    Whoever may propose a change writes its subject, and names its files; ids are git's own.
    """
    return "\n".join(line for line in text.split("\n") if RELEASE_LINE.fullmatch(line))


_PARTS: Mapping[str, Callable[[str], str]] = {"deploys.recent": releases}
