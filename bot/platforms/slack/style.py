"""How a workspace is written to: which blocks it takes, and where its links and pings lead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from agents.domain import ThreadRef
from bot.platforms.slack.blocks import Block, address
from bot.platforms.slack.escape import mrkdwn, one_line

MAX_NAME_CHARS: Final = 80
MAX_QUOTE_CHARS: Final = 80
_PERSON = re.compile(r"slack:(?:[^:]+:)?([UW][A-Z0-9]+)")
_PERSON_ID = re.compile(r"[UW][A-Z0-9]+")
_GROUP_ID = re.compile(r"S[A-Z0-9]+")


def part(text: str) -> str:
    """Return a text as one part of an address."""
    return quote(text, safe="", errors="replace")


@dataclass(frozen=True, slots=True)
class Style:
    """How to render. Everything in it is chosen by the bot, nothing by what it shows.

    `is_native`: with `plan`, `markdown` and feedback blocks; without, with those that every
    workspace knows. `public_url` is the console's address and `workspace_url` Slack's own
    (empty: no links). `pings` are Slack's ids of people and groups by the names in
    `NoteView.mentions`; `files` Slack's ids of uploaded files by the id of their evidence.
    """

    is_native: bool = True
    public_url: str = ""
    workspace_url: str = ""
    pings: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def run_url(self, run_id: str) -> str:
        """Return the run's page in the console; empty when nobody can open it."""
        return self._console(f"/runs/{part(run_id)}")

    def evidence_url(self, run_id: str, evidence_id: str, quoted: str = "") -> str:
        """Return the evidence's page, at the quoted words."""
        earlier, separator, own = evidence_id.partition("/")
        if separator:  # found by an earlier run of the thread
            run_id, evidence_id = earlier, own
        path = f"/runs/{part(run_id)}/evidence/{part(evidence_id)}"
        start = quoted[:MAX_QUOTE_CHARS]  # the start of a quote is found as well
        return self._console(f"{path}?quote={part(start)}#quote" if quoted else path)

    def approvals_url(self) -> str:
        """Return the console's page of what waits for a decision."""
        return self._console("/approvals")

    def thread_url(self, thread: ThreadRef | None) -> str:
        """Return the thread's address in Slack; empty when it is not there."""
        if thread is None or thread.platform != "slack" or not self.workspace_url:
            return ""
        channel = part(thread.channel.rpartition("/")[2])
        message = part(thread.id.replace(".", ""))
        return address(f"{self.workspace_url.rstrip('/')}/archives/{channel}/p{message}")

    def ping(self, mention: str) -> str:
        """Return what calls a person or a group; their name when their id is not known."""
        known = self.pings.get(mention, "")
        person = _PERSON.fullmatch(mention)
        id_ = known or (person[1] if person else "")
        if _PERSON_ID.fullmatch(id_):
            return f"<@{id_}>"
        if _GROUP_ID.fullmatch(id_):
            return f"<!subteam^{id_}>"
        name = mention.removeprefix("group:").rpartition(":")[2] or mention
        return f"*{one_line(name.replace('*', ''), MAX_NAME_CHARS, mrkdwn)}*"

    def _console(self, path: str) -> str:
        return address(f"{self.public_url.rstrip('/')}{path}") if self.public_url else ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message as Slack takes it. `text` is what notifications and old clients show.

    `facts` say what it is (`view`, `run_id`, `incident_id`, `version`): part of its metadata.
    """

    text: str
    blocks: list[Block]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Room:
    """How much of a view is shown; see `ROOMS`. Lengths are characters as Slack counts them."""

    tasks: int
    title: int
    note: int
    prose: int
    arguments: int
    asks: int
    lines: int
    full: int
    """Of an answer's text."""


ROOMS: Final = (
    Room(tasks=40, title=150, note=200, prose=1_000, arguments=2_800, asks=4, lines=14, full=7_000),
    Room(tasks=30, title=120, note=120, prose=600, arguments=2_800, asks=3, lines=12, full=5_500),
    Room(tasks=20, title=100, note=60, prose=400, arguments=2_400, asks=2, lines=10, full=4_500),
    Room(tasks=12, title=80, note=30, prose=300, arguments=1_500, asks=2, lines=8, full=3_000),
    Room(tasks=8, title=60, note=0, prose=200, arguments=800, asks=1, lines=5, full=1_800),
    Room(tasks=4, title=40, note=0, prose=120, arguments=300, asks=1, lines=3, full=700),
)
"""From all that Slack has room for down to what always fits, whatever is shown."""
