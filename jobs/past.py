"""Past runs as memory reads them: the newest that ended, each read once: they never change.

What is read is limited to what whoever reads the asking run could have read themselves.
"""

from __future__ import annotations

from collections import OrderedDict

from agents.domain import Origin
from agents.longterm import Past, may_recall
from agents.memory import MAX_CLAIMS
from jobs.state import Run
from jobs.store import Store

MAX_RUNS = 200
"""How far back a search looks."""


class StoredRuns:
    """`agents.longterm.PastRuns` over the store."""

    def __init__(self, store: Store, most: int = MAX_RUNS) -> None:
        self._store = store
        self._most = most
        self._known: OrderedDict[str, Past | None] = OrderedDict()

    async def past(self, run_id: str) -> list[Past]:
        """See `PastRuns.past`."""
        asking = await self._store.load(run_id)
        if asking is None:
            return []  # Nobody knows who would read it.
        place = asking.goal.thread
        ids = [one for one in await self._store.run_ids(self._most) if one != run_id]
        found = [await self._one(one) for one in ids]
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return [one for one in found if one and may_recall(one, place.platform, place.channel)]

    async def has_evidence(self, run_id: str, evidence_id: str) -> bool:
        """See `PastRuns.has_evidence`."""
        return evidence_id in await self._store.evidence(run_id)

    async def _one(self, run_id: str) -> Past | None:
        if run_id in self._known:
            self._known.move_to_end(run_id)
            return self._known[run_id]
        run = await self._store.load(run_id)
        past = _past(run) if run is not None else None
        if run is None or run.is_over:
            self._known[run_id] = past
        return past


class NoRuns:
    """Where there is no store: the tools are only described, never called."""

    async def past(self, run_id: str) -> list[Past]:
        """Return nothing."""
        del run_id
        return []

    async def has_evidence(self, run_id: str, evidence_id: str) -> bool:
        """Return False."""
        del run_id, evidence_id
        return False


def _past(run: Run) -> Past | None:
    """Return what is remembered of a run; None before its end, or when it found nothing out."""
    if run.answer is None or run.ended_at is None or run.stopped_by:
        return None
    claims = tuple(claim.text for claim in run.answer.claims if not claim.is_struck)
    return Past(
        run_id=run.id,
        goal=run.goal.text,
        headline=run.answer.headline,
        at=run.ended_at,
        summary=run.answer.summary,
        claims=claims[:MAX_CLAIMS],
        platform=run.goal.thread.platform,
        channel=run.goal.thread.channel,
        is_from_alert=run.goal.origin is Origin.ALERT,
    )
