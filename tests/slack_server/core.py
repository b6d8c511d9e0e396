"""The whole of Slack in one value: workspaces, tokens, time, budgets, faults and deliveries."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.slack_server.budgets import Budgets
from tests.slack_server.clock import Clock
from tests.slack_server.deliveries import Deliveries, Delivery, Kind
from tests.slack_server.faults import Faults
from tests.slack_server.ledger import Ledger
from tests.slack_server.limits import Limits
from tests.slack_server.payloads import event_callback
from tests.slack_server.rules import EVENT_SCOPES
from tests.slack_server.state import App, Json, Message, Team, Token, User
from tests.slack_server.tickets import Tickets

BOT_SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "mpim:history",
    "mpim:read",
    "reactions:read",
    "reactions:write",
    "team:read",
    "usergroups:read",
    "users:read",
)
"""What the workspace grants when a test says nothing else."""
EVENTS = (
    "agent_session_stopped",
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "channel_archive",
    "channel_left",
    "channel_unarchive",
    "group_left",
    "member_joined_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "reaction_added",
    "tokens_revoked",
)
FIRST_ID = 1001


@dataclass(slots=True)
class Core:
    """Only the server's own loop touches it, except through `Controls`."""

    limits: Limits
    deliveries: Deliveries
    clock: Clock = field(default_factory=Clock)
    app: App = field(default_factory=App)
    teams: dict[str, Team] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    faults: Faults = field(default_factory=Faults)
    budgets: Budgets = field(default_factory=lambda: Budgets(Limits()))
    tickets: Tickets = field(default_factory=lambda: Tickets(str))
    limits_in_body: bool = False
    """Whether an exceeded budget is told as HTTP 200 instead of 429."""
    is_echoing: bool = True
    """Whether the app hears of its own messages, as it does from Slack."""
    base_url: str = ""
    socket_url: str = ""
    in_flight: int = 0
    """Calls that have not been answered yet."""
    touched: int = 0
    """Grows with everything that happens."""
    installing: str = ""
    """The workspace whose admin approves the next install."""
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(FIRST_ID))

    def __post_init__(self) -> None:
        """Let tickets and budgets use this server's ids and numbers."""
        self.tickets = Tickets(self.new_id)
        self.budgets = Budgets(self.limits)
        self.app.events |= set(EVENTS)
        self.app.commands.add("/muster")

    def new_id(self, prefix: str) -> str:
        """Return an id that nothing else has."""
        return f"{prefix}{next(self._ids):08d}"

    def add_team(self, key: str, name: str, domain: str) -> Team:
        """Add a workspace in which the app is not installed yet."""
        suffix = "" if not self.teams else key
        team = Team(key, name, domain, f"UMUSTER{suffix}", f"BMUSTER{suffix}")
        bot = User(team.bot_user, "muster", key, is_bot=True, bot_id=team.bot_id)
        team.users[bot.id] = bot
        self.teams[key] = team
        return team

    def install(self, team: Team, scopes: Iterable[str]) -> Token:
        """Install the app in a workspace; the token before stays valid, as in Slack."""
        number = self.new_id("")
        token = Token(f"xoxb-{team.id}-{number}-bot", "bot", team.id, set(scopes))
        self.tokens[token.value] = token
        team.token = token.value
        return token

    def find_message(self, ts: str) -> Message | None:
        """Return a message of any workspace and channel by its `ts`, deleted or not."""
        for team in self.teams.values():
            for messages in team.messages.values():
                if ts in messages:
                    return messages[ts]
        return None

    def bot_token(self, team: Team) -> Token | None:
        """Return the token of the app in a workspace, while it is good."""
        token = self.tokens.get(team.token)
        return None if token is None or token.is_revoked else token

    def send_event(
        self, team: Team, subscription: str, event: Json, *, is_shared: bool = False
    ) -> Delivery | None:
        """Deliver an event if the app is subscribed to it, installed and has the scope."""
        token = self.bot_token(team)
        needed = EVENT_SCOPES.get(subscription, ())
        if subscription not in self.app.events or token is None:
            return None
        if needed and not token.scopes.intersection(needed):
            return None
        event_id = self.new_id("Ev")
        body = event_callback(
            self.app, team, event, event_id, self.clock.wall(), is_shared=is_shared
        )
        return self.deliver("events_api", team, body, event_id)

    def deliver(
        self,
        kind: Kind,
        team: Team,
        payload: Json,
        key: str,
        *,
        user: str = "",
        trigger_id: str = "",
        response_url: str = "",
    ) -> Delivery:
        """Send something to the app."""
        self.touched += 1
        return self.deliveries.send(
            Delivery(key, kind, team.id, payload, user, trigger_id, response_url)
        )
