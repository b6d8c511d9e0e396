"""What a button, a menu or a dialog sends back: all that a click means, in the click itself.

So a click is understood by another process, after a restart and after an upgrade: the meaning
of what was once posted stays, and new fields have a default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

PREFIX: Final = "muster:"
APPROVE: Final = "approve"
EDIT: Final = "edit"
DENY: Final = "deny"
ANSWER: Final = "answer"
"""One of the options of a question; `choice` is its text."""
REPLY: Final = "reply"
"""Wants to write an answer: opens a dialog."""
STOP: Final = "stop"
ACKNOWLEDGE: Final = "acknowledge"
TAKE: Final = "take"
MUTE: Final = "mute"
FEEDBACK: Final = "feedback"
"""`choice` is up or down."""
OPEN: Final = "open"
"""A link to a page: nothing to do but to acknowledge it."""


@dataclass(frozen=True, slots=True)
class Click:
    """What somebody clicked. `id` is that of the approval, question, run or incident."""

    action: str
    id: str
    run_id: str = ""
    revision: int = 0
    digest: str = ""
    call_key: str = ""
    choice: str = ""

    @property
    def action_id(self) -> str:
        """What Slack calls the button; each button of a row has another one."""
        return f"{PREFIX}{self.action}"

    @property
    def value(self) -> str:
        """What Slack keeps with the button and sends back."""
        said = {_SHORT[name]: given for name, given in asdict(self).items() if given}
        return json.dumps(said, separators=(",", ":"))


_SHORT: Final[Mapping[str, str]] = {
    "action": "do",
    "id": "id",
    "run_id": "run",
    "revision": "rev",
    "digest": "sha",
    "call_key": "call",
    "choice": "say",
}
_TYPES: Final = {field.name: int if field.type == "int" else str for field in fields(Click)}


def read_click(value: str) -> Click | None:
    """Return what a button's value means; None when it is none of ours."""
    try:
        said: Any = json.loads(value)
    except ValueError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("do"), str):
        return None
    known = {name: said[short] for name, short in _SHORT.items() if short in said}
    if any(not _is_of(given, _TYPES[name]) for name, given in known.items()):
        return None
    return Click(**{"id": "", **known})


def _is_of(given: object, type_: type) -> bool:
    return isinstance(given, type_) and not isinstance(given, bool)
