"""What every store promises; `tests/jobs/test_store.py` holds both to it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import partial

import pytest

from agents.domain import Evidence
from jobs import commands as c
from jobs.events import Event, RunStopped
from jobs.run import apply_all, decide
from jobs.service import Runs, UnknownRunError
from jobs.state import Run, Status
from jobs.store import MAX_EVIDENCE, ConflictError, EvidenceFullError, Lease, Store
from tests.jobs.plans import ALICE, GOAL, NOW, approve, plan, rollback_approval, step

PLAN = plan(step("a"), step("b", needs=("a",)))
RUN_ID = "run-1"


class StoreContract(ABC):
    """Inherit and give `store`."""

    @pytest.fixture
    def runs(self, store: Store) -> Runs:
        """Return a way to the runs of the store under test."""
        return Runs(store, lambda: NOW)

    async def take(self, runs: Runs, step_id: str = "a", worker: str = "w1") -> Lease:
        """Let a worker take the step, and return its lease."""
        run = await runs.get(RUN_ID)
        attempt = run.steps[step_id].attempt
        await runs.send(RUN_ID, c.StartStep(step_id, attempt, worker))
        return Lease(RUN_ID, step_id, attempt, worker)

    @abstractmethod
    async def tickets(self, store: Store) -> list[str]:
        """Return the job ids that wait in the queue; adapters say how."""

    @abstractmethod
    async def lose_tickets(self, store: Store) -> None:
        """Make the queue forget what waits in it; adapters say how."""

    @abstractmethod
    async def age_leases(self, store: Store) -> None:
        """Let enough time pass for every lease to run out; adapters say how."""

    async def test_run_is_read_back_as_it_was_stored(self, store: Store, runs: Runs) -> None:
        """Nothing of a run is lost on the way through the store."""
        run = await runs.start(RUN_ID, GOAL, PLAN)

        assert await store.load(RUN_ID) == run
        assert await store.load("run-none") is None
        with pytest.raises(UnknownRunError):
            await runs.get("run-none")

    async def test_starting_twice_gives_the_same_run(self, store: Store, runs: Runs) -> None:
        """The id decides: a second start returns what the first one made."""
        first = await runs.start(RUN_ID, GOAL, PLAN)
        await self.take(runs)

        again = await runs.start(RUN_ID, GOAL, plan(step("other")))

        assert again.plan == first.plan
        assert again.steps["a"].status is Status.RUNNING
        assert len(await self.tickets(store)) == 1

    async def test_commit_on_an_old_version_conflicts(self, store: Store, runs: Runs) -> None:
        """Of two who decided on the same version one wins, and nothing of the other is stored."""
        run = await runs.start(RUN_ID, GOAL, PLAN)
        mine = decide(run, c.StartStep("a", 1, "w1"), NOW)
        theirs = decide(run, c.StartStep("a", 1, "w2"), NOW)
        await store.commit(run, apply_all(run, theirs), theirs)

        with pytest.raises(ConflictError):
            await store.commit(run, apply_all(run, mine), mine)

        stored = await store.load(RUN_ID)
        assert stored is not None
        assert stored.steps["a"].worker == "w2"
        assert len(await store.events(RUN_ID)) == stored.version

    async def test_eight_clicks_at_once_have_one_winner(self, store: Store, runs: Runs) -> None:
        """Simultaneous decisions: one is stored, the others hear that it was decided."""
        await runs.start(RUN_ID, GOAL, PLAN)
        lease = await self.take(runs)
        approval = rollback_approval(await runs.get(RUN_ID), "a")
        await runs.send(RUN_ID, c.RequestApproval("a", lease.attempt, approval))

        async def click() -> str:
            try:
                await Runs(store, lambda: NOW).send(RUN_ID, approve(approval, ALICE))
            except c.Refused as refused:
                return refused.refusal
            return "won"

        outcomes = await asyncio.gather(*(click() for _ in range(8)))

        assert sorted(outcomes) == ["already_decided"] * 7 + ["won"]

    async def test_each_event_has_its_number(self, store: Store, runs: Runs) -> None:
        """Events are numbered from 1 without gaps, and can be read from any number on."""
        await runs.start(RUN_ID, GOAL, PLAN)
        await self.take(runs)

        stored = await store.events(RUN_ID)

        assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
        assert await store.events(RUN_ID, after_seq=1) == stored[1:]

    async def test_queued_step_has_a_ticket(self, store: Store, runs: Runs) -> None:
        """What a commit queues is in the job queue with it."""
        await runs.start(RUN_ID, GOAL, PLAN)
        lease = await self.take(runs)
        await runs.send(RUN_ID, c.FinishStep("a", lease.attempt, None))

        assert await self.tickets(store) == ["run-1_S_a_A1", "run-1_S_b_A1"]

    async def test_lost_ticket_is_written_again(self, store: Store, runs: Runs) -> None:
        """A queue that forgot its tickets gets them back, once."""
        await runs.start(RUN_ID, GOAL, PLAN)
        assert await store.requeue_lost_tickets() == 0
        await self.lose_tickets(store)

        assert await store.requeue_lost_tickets() == 1
        assert await store.requeue_lost_tickets() == 0
        assert await self.tickets(store) == ["run-1_S_a_A1"]

    async def test_lease_is_held_renewed_and_given_up(self, store: Store, runs: Runs) -> None:
        """A lease lasts as long as the step runs in that attempt."""
        await runs.start(RUN_ID, GOAL, PLAN)
        lease = await self.take(runs)
        assert await store.renew_leases([lease]) == []
        assert await store.expired_leases() == []

        await runs.send(RUN_ID, c.FinishStep("a", lease.attempt, None))

        assert await store.renew_leases([lease]) == [lease]

    async def test_lease_runs_out(self, store: Store, runs: Runs) -> None:
        """A lease that nobody renews is found, and losing the step ends it."""
        await runs.start(RUN_ID, GOAL, PLAN)
        lease = await self.take(runs)
        await self.age_leases(store)

        assert await store.expired_leases() == [lease]
        await runs.send(RUN_ID, c.LoseStep("a", lease.attempt))
        assert await store.expired_leases() == []

    async def test_dead_worker_loses_all_its_leases(self, store: Store, runs: Runs) -> None:
        """Only the named worker's leases end."""
        await runs.start(RUN_ID, GOAL, plan(step("a"), step("b")))
        dead = await self.take(runs, "a", "w1")
        await self.take(runs, "b", "w11")

        assert await store.expire_worker("w1") == 1
        assert await store.expired_leases() == [dead]
        await store.drop_lease(dead)
        assert await store.expired_leases() == []

    async def test_journal_takes_only_the_owner(self, store: Store, runs: Runs) -> None:
        """An attempt that lost the step cannot write to its journal."""
        await runs.start(RUN_ID, GOAL, PLAN)
        lease = await self.take(runs)
        assert await store.append_journal(lease, {"key": "x", "n": 1})
        await runs.send(RUN_ID, c.LoseStep("a", lease.attempt))

        assert not await store.append_journal(lease, {"key": "y"})
        assert await store.journal(RUN_ID, "a") == [{"key": "x", "n": 1}]
        assert await store.journal(RUN_ID, "b") == []

    async def test_open_approvals_are_listed_until_decided(self, store: Store, runs: Runs) -> None:
        """The list holds what waits for a person; the index remembers the rest."""
        await runs.start(RUN_ID, GOAL, PLAN)
        lease = await self.take(runs)
        approval = rollback_approval(await runs.get(RUN_ID), "a")
        await runs.send(RUN_ID, c.RequestApproval("a", lease.attempt, approval))
        assert await store.open_approvals() == [(RUN_ID, approval.id)]

        await runs.send(RUN_ID, approve(approval))

        assert await store.open_approvals() == []
        assert await store.run_of_approval(approval.id) == RUN_ID
        assert await store.run_of_approval("ap-none") is None

    async def test_timers_come_due_and_go_with_their_cause(self, store: Store, runs: Runs) -> None:
        """An approval's expiry is due at its time, and gone once it is decided."""
        await runs.start(RUN_ID, GOAL, PLAN)
        lease = await self.take(runs)
        approval = rollback_approval(await runs.get(RUN_ID), "a")
        await runs.send(RUN_ID, c.RequestApproval("a", lease.attempt, approval))
        assert await store.due_timers(NOW + 599) == []

        due = await store.due_timers(NOW + 600)
        assert [(timer.kind, timer.key) for timer in due] == [("expiry", approval.id)]
        await runs.send(RUN_ID, approve(approval))
        assert await store.due_timers(NOW + 600) == []
        wall = await store.due_timers(NOW + 10_000)
        assert [timer.kind for timer in wall] == ["wall"]
        await store.drop_timer(wall[0])
        assert await store.due_timers(NOW + 10_000) == []

    async def test_runs_are_listed_newest_first(self, store: Store, runs: Runs) -> None:
        """All runs, or only those that are not over."""
        clock = iter(range(1, 10))
        several = Runs(store, lambda: NOW + next(clock))
        for n in (1, 2, 3):
            await several.start(f"run-{n}", GOAL, PLAN)
        await several.send("run-2", c.StopRun(ALICE))

        assert await store.run_ids() == ["run-3", "run-2", "run-1"]
        assert await store.run_ids(active=True) == ["run-3", "run-1"]
        assert await store.run_ids(limit=1) == ["run-3"]

    async def test_feed_tells_every_change_once(self, store: Store, runs: Runs) -> None:
        """A reader with a cursor sees each commit, also those made while it was away."""
        run: Run = await runs.start(RUN_ID, GOAL, PLAN)
        feed = store.changes("0")
        first = await anext(feed)
        await self.take(runs)
        second = await anext(feed)
        resumed = await anext(store.changes(first[-1].cursor))

        assert [(x.run_id, x.first_seq, x.last_seq) for x in first] == [(RUN_ID, 1, run.version)]
        assert [x.first_seq for x in second] == [run.version + 1]
        assert resumed == second

    async def test_feed_from_now_on_leaves_out_the_past(self, store: Store, runs: Runs) -> None:
        """A cursor of "$" begins with what comes next; quiet times give empty batches."""
        await runs.start(RUN_ID, GOAL, PLAN)
        feed = store.changes("$")
        assert await anext(feed) == []
        await self.take(runs)

        assert [x.run_id for x in await anext(feed)] == [RUN_ID]

    async def test_evidence_is_kept_with_its_file(self, store: Store) -> None:
        """Evidence is found by run and id; storing it again replaces it."""
        evidence = Evidence("ev-1", RUN_ID, "a", "chart.errors", "Errors", "5 %", NOW)
        await store.put_evidence(evidence, b"\x89PNG")
        await store.put_evidence(evidence, b"\x89PNG2")

        assert dict(await store.evidence(RUN_ID)) == {"ev-1": evidence}
        assert await store.evidence_data(RUN_ID, "ev-1") == b"\x89PNG2"
        assert await store.evidence_data(RUN_ID, "ev-2") is None

    async def test_evidence_of_an_attempt_that_lost_its_step_is_not_kept(
        self, store: Store, runs: Runs
    ) -> None:
        """With a lease, only the owner of the step stores evidence."""
        await runs.start(RUN_ID, GOAL, PLAN)
        lease = await self.take(runs)
        evidence = Evidence("ev-1", RUN_ID, "a", "look.at", "Look", "first", NOW)
        assert await store.put_evidence(evidence, lease=lease)
        await runs.send(RUN_ID, c.LoseStep("a", lease.attempt))

        late = replace(evidence, text="late")

        assert not await store.put_evidence(late, b"data", lease=lease)
        assert (await store.evidence(RUN_ID))["ev-1"].text == "first"
        assert await store.evidence_data(RUN_ID, "ev-1") is None

    async def test_evidence_of_a_run_is_bounded(self, store: Store) -> None:
        """A full run takes no more pieces, but those it has can be replaced."""
        pieces = [
            Evidence(f"ev-{n}", RUN_ID, "a", "look.at", "Look", "text", NOW)
            for n in range(MAX_EVIDENCE + 1)
        ]
        for piece in pieces[:-1]:
            await store.put_evidence(piece)

        with pytest.raises(EvidenceFullError, match=str(MAX_EVIDENCE)):
            await store.put_evidence(pieces[-1])

        assert await store.put_evidence(replace(pieces[0], text="new"))
        assert len(await store.evidence(RUN_ID)) == MAX_EVIDENCE

    async def test_runs_of_a_thread_are_found(self, store: Store) -> None:
        """The newest runs of a conversation come oldest first, without those of others."""
        thread = GOAL.thread
        for number, place in enumerate((thread, replace(thread, id="t-2"), thread, thread)):
            runs = Runs(store, partial(float, NOW + number))
            await runs.start(f"run-{number}", replace(GOAL, thread=place), PLAN)
        await runs.send("run-0", c.StopRun(ALICE))

        assert await store.runs_of_thread(thread) == ["run-0", "run-2", "run-3"]
        assert await store.runs_of_thread(thread, limit=2) == ["run-2", "run-3"]
        await store.forget_runs(NOW + 100)
        assert await store.runs_of_thread(thread) == ["run-2", "run-3"]
        assert await store.runs_of_thread(replace(thread, channel="none")) == []

    async def test_old_runs_are_forgotten_with_all_that_is_theirs(
        self, store: Store, runs: Runs
    ) -> None:
        """Nothing of a run that ended before the given time stays; younger and open ones do."""
        for run_id in ("run-old", "run-young", "run-open"):
            await runs.start(run_id, GOAL, plan(step("a")))
        old = await runs.send("run-old", c.StartStep("a", 1, "w1"))
        await store.append_journal(Lease("run-old", "a", 1, "w1"), {"key": "x"})
        await store.put_evidence(Evidence("ev", "run-old", "a", "t", "t", "t", NOW), b"data")
        approval = rollback_approval(old, "a")
        await runs.send("run-old", c.RequestApproval("a", 1, approval))
        await Runs(store, lambda: NOW + 10).send("run-old", c.StopRun(ALICE))
        await Runs(store, lambda: NOW + 20).send("run-young", c.StopRun(ALICE))

        assert await store.forget_runs(NOW + 10) == 0
        assert await store.forget_runs(NOW + 15, limit=0) == 0
        assert await store.forget_runs(NOW + 15) == 1

        assert await store.load("run-old") is None
        assert await store.events("run-old") == []
        assert await store.evidence("run-old") == {}
        assert await store.evidence_data("run-old", "ev") is None
        assert await store.journal("run-old", "a") == []
        assert await store.run_of_approval(approval.id) is None
        assert sorted(await store.run_ids()) == ["run-open", "run-young"]
        assert await store.run_ids(active=True) == ["run-open"]
        assert await store.forget_runs(NOW + 1e9) == 1

    async def test_forgotten_run_cannot_be_changed(self, store: Store, runs: Runs) -> None:
        """Who still holds the value of a forgotten run learns that it is gone."""
        await runs.start(RUN_ID, GOAL, PLAN)
        await runs.send(RUN_ID, c.StopRun(ALICE))
        run = await runs.get(RUN_ID)
        await store.forget_runs(NOW + 1)
        happened: list[Event] = [RunStopped(at=NOW, by="nobody")]

        with pytest.raises(ConflictError):
            await store.commit(run, apply_all(run, happened), happened)
