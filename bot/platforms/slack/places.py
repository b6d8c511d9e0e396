"""Where in Slack something is: a workspace and a conversation, as threads name them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from agents.domain import ThreadRef

NAME: Final = "slack"
CHANNEL_ID: Final = re.compile(r"[CGD][A-Z0-9]{1,20}")
PERSON_ID: Final = re.compile(r"[UW][A-Z0-9]{1,20}")
STAMP: Final = re.compile(r"\d{10,}\.\d{6}")
_DIRECT = "D"


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation of a workspace; `team` is empty where the bot serves only one.

    `channel` is an id, or a name such as `incidents` before it was looked up.
    """

    team: str
    channel: str

    @classmethod
    def of(cls, channel: str) -> Place:
        """Return the place that `T1/C1`, `C1`, `#incidents` or `incidents` names."""
        team, _, name = channel.rpartition("/")
        return cls(team, name.strip().removeprefix("#"))

    @property
    def text(self) -> str:
        """How threads and routes write it."""
        return f"{self.team}/{self.channel}" if self.team else self.channel

    @property
    def is_direct(self) -> bool:
        """Whether it is a conversation with one person."""
        return self.channel.startswith(_DIRECT) and bool(CHANNEL_ID.fullmatch(self.channel))

    @property
    def is_id(self) -> bool:
        """Whether the channel is given by its id."""
        return bool(CHANNEL_ID.fullmatch(self.channel))

    @property
    def is_person(self) -> bool:
        """Whether it is a person, to be written to directly."""
        return bool(PERSON_ID.fullmatch(self.channel))

    def thread(self, ts: str) -> ThreadRef:
        """Return the thread that begins with the message of this time stamp."""
        return ThreadRef(NAME, self.text, ts)


def is_stamp(text: str) -> bool:
    """Whether the text is the time stamp of a message: Slack's id of threads and messages."""
    return bool(STAMP.fullmatch(text))


def person_id(team: str, user: str) -> str:
    """Return the id of a Slack user in policies, votes and logs."""
    return f"{NAME}:{team}:{user}"


def named(person: str) -> tuple[str, str] | None:
    """Return the workspace and the user that a person's id names; None: of another platform."""
    platform, _, rest = person.partition(":")
    team, _, user = rest.partition(":")
    return (team, user) if platform == NAME and team and user else None
