"""The short-lived things Slack hands out: triggers, response addresses, socket tickets, codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.slack_server.errors import Refused
from tests.slack_server.limits import (
    CODE_S,
    RESPONSE_URL_S,
    RESPONSE_URL_USES,
    TICKET_S,
    TRIGGER_S,
)


@dataclass(slots=True)
class Trigger:
    """What lets an app open one modal for a user. `view` is the modal it came from."""

    team: str
    user: str
    expires: float
    view: str = ""
    is_used: bool = False


@dataclass(slots=True)
class ResponseUrl:
    """Where an app may answer an interaction. `ts` is the message it came from, if any."""

    team: str
    channel: str
    user: str
    ts: str
    thread_ts: str
    expires: float
    is_ephemeral: bool = False
    uses: int = 0


@dataclass(slots=True)
class Code:
    """What an install hands to the app to exchange for a token."""

    team: str
    scopes: tuple[str, ...]
    redirect_uri: str
    user: str
    expires: float


@dataclass(slots=True)
class Tickets:
    """All that was handed out. `new_id` makes ids that nobody had before."""

    new_id: Callable[[str], str]
    triggers: dict[str, Trigger] = field(default_factory=dict)
    response_urls: dict[str, ResponseUrl] = field(default_factory=dict)
    sockets: dict[str, float] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)

    def trigger(self, team: str, user: str, now: float, view: str = "") -> str:
        """Hand out a trigger id, good for 3 s and one use."""
        name = self.new_id("12345.98765.")
        self.triggers[name] = Trigger(team, user, now + TRIGGER_S, view)
        return name

    def use_trigger(self, name: str, team: str, now: float) -> Trigger:
        """Use a trigger up."""
        trigger = self.triggers.get(name)
        if trigger is None or trigger.team != team:
            raise Refused("invalid_trigger_id")
        if trigger.is_used:
            raise Refused("exchanged_trigger_id")
        if now > trigger.expires:
            raise Refused("expired_trigger_id")
        trigger.is_used = True
        return trigger

    def response_url(
        self,
        team: str,
        channel: str,
        user: str,
        now: float,
        *,
        ts: str = "",
        thread_ts: str = "",
        is_ephemeral: bool = False,
    ) -> str:
        """Hand out the key of an address that takes 5 answers in 30 minutes."""
        name = self.new_id("R")
        self.response_urls[name] = ResponseUrl(
            team, channel, user, ts, thread_ts, now + RESPONSE_URL_S, is_ephemeral
        )
        return name

    def use_response_url(self, name: str, now: float) -> ResponseUrl:
        """Count one answer."""
        found = self.response_urls.get(name)
        if found is None:
            raise Refused("invalid_url")
        if now > found.expires:
            raise Refused("expired_url")
        if found.uses >= RESPONSE_URL_USES:
            raise Refused("used_url")
        found.uses += 1
        return found

    def socket(self, now: float) -> str:
        """Hand out the ticket of one socket."""
        name = self.new_id("ticket-")
        self.sockets[name] = now + TICKET_S
        return name

    def use_socket(self, name: str, now: float) -> bool:
        """Use a ticket up; whether it was good."""
        return self.sockets.pop(name, 0.0) > now

    def code(
        self, team: str, scopes: tuple[str, ...], redirect_uri: str, user: str, now: float
    ) -> str:
        """Hand out a code of an install."""
        name = self.new_id("code-")
        self.codes[name] = Code(team, scopes, redirect_uri, user, now + CODE_S)
        return name

    def use_code(self, name: str, redirect_uri: str, now: float) -> Code:
        """Exchange a code, once."""
        code = self.codes.pop(name, None)
        if code is None or now > code.expires:
            raise Refused("invalid_code")
        if code.redirect_uri and redirect_uri and code.redirect_uri != redirect_uri:
            raise Refused("bad_redirect_uri")
        return code
