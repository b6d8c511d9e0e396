"""Slack's own sign of what the bot does in a thread: working, waiting for a person, done.

It is an ornament: told in the background, the latest only, and not at all where Slack does not
know it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from bot.live.budgets import Budget, Pace, Urgency
from bot.platforms.port import PlatformBusyError, PlatformError, Presence
from bot.platforms.slack.clients import SlackClients
from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.places import Place

log = structlog.get_logger(__name__)

METHOD: Final = "agents.sessions.setStatus"
STATUSES: Final[Mapping[Presence, str]] = {
    Presence.WORKING: "processing",
    Presence.WAITING: "suspended",
    Presence.DONE: "closed",
}
PACE: Final = Pace(gaps_s=(0.0, 0.0, 0.0), rate_per_s=40 / 60, burst=5.0)
OF_WORKSPACE: Final = frozenset(
    {"unknown_method", "method_deprecated", "missing_scope", "not_allowed_token_type"}
    | {"feature_not_enabled", "access_denied", "team_not_enabled"}
)
"""Answers of workspaces in which no thread can show it."""
OFF_S: Final = 3_600.0
"""How long such a workspace is left alone."""
MAX_TITLE_CHARS: Final = 200
MAX_WAITING: Final = 1_000

Session = tuple[Place, str]


class PresenceTeller:
    """Tells presences in the background. `clock` gives seconds."""

    def __init__(self, clients: SlackClients, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = clients
        self._clock = clock
        self._waiting: dict[Session, tuple[Presence, str]] = {}
        self._budgets: dict[str, Budget] = {}
        self._off_until: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def tell(self, place: Place, ts: str, presence: Presence, title: str) -> None:
        """Tell it soon; what is told of the same thread before then is not told at all."""
        is_off = self._clock() < self._off_until.get(place.team, 0.0)
        if is_off or len(self._waiting) >= MAX_WAITING:
            return
        self._waiting[(place, ts)] = (presence, title[:MAX_TITLE_CHARS])
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell_all(), name="slack-presence")

    async def settled(self) -> None:
        """Wait until all is told."""
        if self._task is not None:
            await self._task

    async def aclose(self) -> None:
        """Stop telling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _tell_all(self) -> None:
        while self._waiting:
            session = next(iter(self._waiting))
            team = session[0].team
            budget = self._budgets.get(team) or Budget.full(PACE, self._clock())
            wait_s = budget.wait_s(self._clock(), Urgency.FINAL)
            if wait_s > 0:
                await asyncio.sleep(wait_s)
                continue
            self._budgets[team] = budget.spend(self._clock())
            await self._tell(session, *self._waiting.pop(session))

    async def _tell(self, session: Session, presence: Presence, title: str) -> None:
        place, ts = session
        try:
            await self._clients.call(
                place.team,
                METHOD,
                channel_id=place.channel,
                thread_ts=ts,
                status=STATUSES[presence],
                title=title or None,
            )
        except PlatformBusyError as busy:
            budget = self._budgets[place.team]
            self._budgets[place.team] = budget.freeze(self._clock(), busy.retry_after_s)
            self._waiting.setdefault(session, (presence, title))
        except SlackRefusedError as refused:
            if refused.code in OF_WORKSPACE:
                self._off_until[place.team] = self._clock() + OFF_S
            log.info("slack_presence_refused", team=place.team, reason=refused.code)
        except PlatformError as error:
            log.info("slack_presence_failed", team=place.team, reason=str(error))
