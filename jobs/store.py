"""The port to what lasts: one atomic `commit`, and the reads that everything else is made of.

`jobs.memory_store` and `jobs.redis_store` keep this promise under one contract suite
(tests/contracts/store.py). All text is redacted before it gets here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.domain import Evidence, JsonObject, ThreadRef
from jobs.commands import TimerKind
from jobs.events import Event
from jobs.state import Run

MAX_EVIDENCE = 500
"""How many pieces of evidence one run may keep."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with its place in its run's log (1, 2, 3 …, equal to the run's version)."""

    run_id: str
    seq: int
    event: Event


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the feed: a run's events `first_seq..last_seq` were committed together."""

    cursor: str
    run_id: str
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A timer whose time has come."""

    run_id: str
    kind: TimerKind
    key: str
    due_at: float


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on one attempt of a step."""

    run_id: str
    step_id: str
    attempt: int
    worker: str = ""


class ConflictError(Exception):
    """The run moved on since it was read: decide again."""


class EvidenceFullError(Exception):
    """The run keeps as much evidence as a run may keep; what is there can still be replaced."""

    def __init__(self) -> None:
        super().__init__(
            f"this run keeps {MAX_EVIDENCE} pieces of evidence, and that is the most: ask for less"
        )


class StoreUnavailableError(Exception):
    """The store cannot be reached now; whoever sent the work should send it again."""


class Store(Protocol):
    """What lasts. Every method may raise StoreUnavailableError."""

    async def commit(self, before: Run | None, after: Run, events: Sequence[Event]) -> None:
        """Store the events and the run they lead to, with all that follows from the change.

        Tickets, leases, timers, the list of open approvals and the feed change in the same
        atomic step (see `jobs.consequences`). `before` is None for a new run. ConflictError
        when the stored run is not at `before.version` (or, for a new run, exists already).
        Sending the same commit twice is harmless.
        """

    async def load(self, run_id: str) -> Run | None:
        """Return the run, or None."""

    async def events(self, run_id: str, after_seq: int = 0) -> list[StoredEvent]:
        """Return the run's events with `seq > after_seq`, in order."""

    async def run_ids(self, limit: int = 100, *, active: bool = False) -> list[str]:
        """Return run ids, newest first; only those that are not over when `active`."""

    async def runs_of_thread(self, thread: ThreadRef, limit: int = 20) -> list[str]:
        """Return the ids of the newest runs that report in the thread, oldest first."""

    async def open_approvals(self) -> list[tuple[str, str]]:
        """Return (run id, approval id) of each approval that is pending, oldest first."""

    async def run_of_approval(self, approval_id: str) -> str | None:
        """Return the run that the approval belongs to, decided or not; None when unknown."""

    def changes(self, cursor: str) -> AsyncIterator[list[Change]]:
        """Yield batches of the feed after the cursor ("0" all that is kept, "$" from now on).

        Yields an empty batch at least once a second, so that the caller can look around.
        """

    async def due_timers(self, now: float, limit: int = 100) -> list[DueTimer]:
        """Return timers with `due_at <= now`; they stay until a commit removes them."""

    async def drop_timer(self, timer: DueTimer) -> None:
        """Remove a timer that no longer applies."""

    async def expired_leases(self, limit: int = 100) -> list[Lease]:
        """Return the leases that ran out, by the store's own clock."""

    async def renew_leases(self, leases: Sequence[Lease]) -> list[Lease]:
        """Prolong the leases; return those that are no longer held (fenced off)."""

    async def expire_worker(self, worker: str) -> int:
        """End all leases of a dead worker at once; return how many."""

    async def drop_lease(self, lease: Lease) -> None:
        """Remove a lease that no longer applies."""

    async def append_journal(self, lease: Lease, entry: JsonObject) -> bool:
        """Append to the step's journal; False when that attempt no longer owns the step."""

    async def journal(self, run_id: str, step_id: str) -> list[JsonObject]:
        """Return the step's journal, oldest first."""

    async def put_evidence(
        self, evidence: Evidence, data: bytes | None = None, *, lease: Lease | None = None
    ) -> bool:
        """Store evidence and, for a chart, its bytes. The same id again replaces it.

        False, and nothing is stored, when the attempt that the lease stands for no longer owns
        its step. EvidenceFullError when the run keeps MAX_EVIDENCE pieces already.
        """

    async def evidence(self, run_id: str) -> Mapping[str, Evidence]:
        """Return the run's evidence by id."""

    async def evidence_data(self, run_id: str, evidence_id: str) -> bytes | None:
        """Return the file stored with the evidence, or None."""

    async def requeue_lost_tickets(self) -> int:
        """Write a ticket for each queued step that has none; return how many."""

    async def forget_runs(self, before: float, limit: int = 100) -> int:
        """Remove up to `limit` runs that ended before then, with all that belongs to them.

        Returns how many; runs that are not over stay, however old they are.
        """
