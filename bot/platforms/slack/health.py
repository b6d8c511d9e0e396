"""What keeps the bot from working in a workspace or channel, until somebody mends it.

A trouble is recorded when Slack refuses something that a person can mend, told once to those who
can, and forgotten as soon as something works there again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import redis.asyncio as aioredis
import structlog

from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.places import Place
from bot.views import View
from jobs.observe import report_error
from jobs.reaching import reaching
from jobs.store import StoreUnavailableError

log = structlog.get_logger(__name__)

TROUBLES: Final = "muster:slack:troubles"
EVERYWHERE: Final = "*"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that does not work. `where` is `team/channel`, or `team/*` for all of it."""

    where: str
    code: str
    sentence: str
    since: float

    @property
    def place(self) -> Place:
        """The place it is about; its channel is `*` when the whole workspace is."""
        return Place.of(self.where)

    @property
    def is_of_team(self) -> bool:
        """Whether nothing works in the whole workspace."""
        return self.where.endswith(EVERYWHERE)


class TroubleStore(Protocol):
    """Where troubles are recorded; tests/contracts/slack_troubles.py."""

    async def add(self, trouble: Trouble) -> bool:
        """Record a trouble; False when this very one is on record."""

    async def remove(self, where: str) -> bool:
        """Forget what was wrong there; whether there was something."""

    async def all(self) -> list[Trouble]:
        """Return all troubles, the oldest first."""


class MemoryTroubleStore:
    """The in-memory twin."""

    def __init__(self) -> None:
        self._troubles: dict[str, Trouble] = {}

    async def add(self, trouble: Trouble) -> bool:
        """See `TroubleStore.add`."""
        known = self._troubles.get(trouble.where)
        if known is not None and known.code == trouble.code:
            return False
        self._troubles[trouble.where] = trouble
        return True

    async def remove(self, where: str) -> bool:
        """See `TroubleStore.remove`."""
        return self._troubles.pop(where, None) is not None

    async def all(self) -> list[Trouble]:
        """See `TroubleStore.all`."""
        return sorted(self._troubles.values(), key=lambda trouble: trouble.since)


_ADD = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and cjson.decode(known)['code'] == ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


class RedisTroubleStore:
    """`TroubleStore` on Redis: one hash."""

    def __init__(self, client: aioredis.Redis) -> None:
        self._client: Any = client
        self._add: Any = client.register_script(_ADD)

    @reaching
    async def add(self, trouble: Trouble) -> bool:
        """See `TroubleStore.add`."""
        args = [trouble.where, trouble.code, json.dumps(asdict(trouble))]
        return bool(await self._add(keys=[TROUBLES], args=args))

    @reaching
    async def remove(self, where: str) -> bool:
        """See `TroubleStore.remove`."""
        return bool(await self._client.hdel(TROUBLES, where))

    @reaching
    async def all(self) -> list[Trouble]:
        """See `TroubleStore.all`."""
        stored = await self._client.hvals(TROUBLES)
        return sorted((Trouble(**json.loads(item)) for item in stored), key=lambda one: one.since)


Tell = Callable[[Trouble, View | None], Awaitable[None]]
"""Tells people of a trouble, and what could not be shown because of it."""


class Troubles:
    """Records troubles and has them told. Nothing here ever fails what it is called for."""

    def __init__(
        self,
        store: TroubleStore,
        tell: Tell | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.tell = tell
        self._store = store
        self._clock = clock
        self._seen: set[str] = set()
        """Where this process met something."""

    async def met(self, place: Place, refused: SlackRefusedError, view: View | None = None) -> None:
        """Record what was refused, if a person can mend it; tell of it the first time."""
        if not refused.is_known:
            return
        where = everywhere(place) if refused.is_of_team else place.text
        trouble = Trouble(where, refused.code, str(refused), self._clock())
        self._seen.add(where)
        try:
            if not await self._store.add(trouble):
                return
            log.error("slack_trouble", where=where, code=refused.code, reason=str(refused))
            if self.tell is not None:
                await self.tell(trouble, view)
        except StoreUnavailableError as error:
            log.warning("slack_trouble_not_recorded", where=where, reason=str(error))
        except Exception as error:  # telling must not hinder what goes on
            log.exception("slack_trouble_not_told", where=where)
            report_error(error)

    async def works(self, place: Place) -> None:
        """Forget what was wrong there: something worked."""
        try:
            for where in (place.text, everywhere(place)):
                if await self._store.remove(where):
                    log.info("slack_trouble_over", where=where)
                self._seen.discard(where)
        except StoreUnavailableError as error:
            log.warning("slack_trouble_not_recorded", where=place.text, reason=str(error))

    async def works_again(self, place: Place) -> None:
        """Like `works`, for what happens often: only looks at what this process met itself."""
        if place.text in self._seen or everywhere(place) in self._seen:
            await self.works(place)

    async def all(self) -> list[Trouble]:
        """Return what does not work now, the oldest first."""
        return await self._store.all()


def everywhere(place: Place) -> str:
    """Return the name of a place's whole workspace."""
    return Place(place.team, EVERYWHERE).text
