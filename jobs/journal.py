"""The journal of one step: what its agent did, appended as it happens, read after a takeover.

An entry is a JSON object with a `key` that is unique in the step; the store fences appends, so
that only the attempt that owns the step writes.
"""

from __future__ import annotations

import asyncio

from agents.domain import JsonObject
from jobs.patience import patiently
from jobs.state import StepState
from jobs.store import Lease, Store


class FencedOff(Exception):
    """Another attempt owns the step: stop without a word."""


class StepJournal:
    """The journal of the step that the lease is for."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store = store
        self._lease = lease
        self._reading = asyncio.Lock()
        self._entries: dict[str, JsonObject] | None = None

    async def get(self, key: str) -> JsonObject | None:
        """Return the entry of that key, or None."""
        return (await self.entries()).get(key)

    async def entries(self) -> dict[str, JsonObject]:
        """Return all entries by key, oldest first; nobody else writes while we own the step."""
        async with self._reading:
            if self._entries is None:
                is_first = self._lease.attempt == 1
                stored = [] if is_first else await patiently(self._stored)
                self._entries = {str(entry.get("key")): entry for entry in stored}
            return self._entries

    async def put(self, entry: JsonObject) -> None:
        """Append an entry; FencedOff when the step is no longer ours."""
        if not await patiently(lambda: self._store.append_journal(self._lease, entry)):
            raise FencedOff
        (await self.entries())[str(entry["key"])] = entry

    async def _stored(self) -> list[JsonObject]:
        return await self._store.journal(self._lease.run_id, self._lease.step_id)


def leg_of(state: StepState) -> str:
    """Return who works on the step, told apart from their earlier turn at it by the hops since."""
    return leg_name(state.agent, len(state.hops))


def leg_name(agent: str, hops: int) -> str:
    """Return the name of an agent's turn at a step that was passed on so often before it."""
    return f"{agent}~{hops}" if hops else agent
