"""What every incident store promises; `tests/jobs/test_incident_store.py` holds both to it."""

from __future__ import annotations

import asyncio

import pytest

from agents.domain import ThreadRef
from jobs import incidents
from jobs.incident_store import IncidentStore
from jobs.incidents import MAX_SHOWN, Change
from jobs.store import ConflictError
from tests.jobs.alerts import NOW, arrivals, firing, resolved

THREAD = ThreadRef("console", "incidents", "t1")


class IncidentStoreContract:
    """Inherit and give `incident_store`."""

    async def test_accepted_alert_makes_a_due_incident(self, incident_store: IncidentStore) -> None:
        """What was accepted can be read back, and waits for its run."""
        (outcome,) = await incident_store.accept(arrivals(firing()), NOW)

        incident = await incident_store.get(outcome.incident_id)
        assert incident is not None
        assert incident.needs_run
        assert incident.alerts[firing().key].alert == firing()
        assert incident.version == 1
        assert await incident_store.due() == (incident,)
        assert list(await incident_store.list()) == [incident]
        assert await incident_store.get("inc-none") is None

    async def test_alerts_fold_across_deliveries(self, incident_store: IncidentStore) -> None:
        """A second delivery meets what the first one left, by group."""
        (first,) = await incident_store.accept(arrivals(firing()), NOW)
        outcomes = await incident_store.accept(
            arrivals(firing(), firing("Slow"), firing(service="payments")), NOW + 1
        )

        assert [outcome.changes for outcome in outcomes] == [
            (Change.REPEATED,),
            (Change.JOINED,),
            (Change.OPENED,),
        ]
        assert outcomes[0].incident_id == outcomes[1].incident_id == first.incident_id
        assert len(await incident_store.list()) == 2
        due = await incident_store.due()
        assert [*await incident_store.due(1), *await incident_store.due(5, skip=1)] == list(due)
        assert await incident_store.due(skip=2) == ()

    async def test_resolution_arrives(self, incident_store: IncidentStore) -> None:
        """The last resolved alert resolves the incident for everybody who asks."""
        (outcome,) = await incident_store.accept(arrivals(firing()), NOW)
        before = await incident_store.incident(outcome.incident_id)
        await incident_store.accept(arrivals(resolved()), NOW + 9)
        after = await incident_store.incident(outcome.incident_id)

        assert before is not None
        assert before.resolved_at is None
        assert after is not None
        assert after.resolved_at == NOW + 5
        assert await incident_store.incident("inc-none") is None

    async def test_settled_incident_is_no_longer_due(self, incident_store: IncidentStore) -> None:
        """Noting thread, run and signals takes it off the list of what is due."""
        (outcome,) = await incident_store.accept(arrivals(firing()), NOW)
        before = await incident_store.get(outcome.incident_id)
        assert before is not None
        after = incidents.with_thread(before, THREAD)
        after = incidents.run_started(after, before.next_run_id)
        after = incidents.told(after, before.unsent)

        kept = await incident_store.update(before, after)

        assert kept.version == before.version + 1
        assert await incident_store.due() == ()
        assert await incident_store.get(before.id) == kept

    async def test_update_of_an_old_value_is_refused(self, incident_store: IncidentStore) -> None:
        """An alert that came in between is not overwritten."""
        (outcome,) = await incident_store.accept(arrivals(firing()), NOW)
        before = await incident_store.get(outcome.incident_id)
        assert before is not None
        await incident_store.accept(arrivals(firing("Slow")), NOW + 1)

        with pytest.raises(ConflictError):
            await incident_store.update(before, incidents.with_thread(before, THREAD))

        now = await incident_store.get(outcome.incident_id)
        assert now is not None
        assert (now.total, now.thread) == (2, None)

    async def test_due_incidents_come_oldest_first(self, incident_store: IncidentStore) -> None:
        """Nobody is overtaken for ever."""
        for number in (1, 2, 3):
            await incident_store.accept(arrivals(firing(service=f"s{number}")), NOW + number)

        due = await incident_store.due(2)

        assert [incident.service for incident in due] == ["s1", "s2"]

    async def test_large_incident_keeps_every_alert(self, incident_store: IncidentStore) -> None:
        """Only the first alerts are read with it, but each one is there when it is needed."""
        many = [firing(f"A{number}") for number in range(MAX_SHOWN + 20)]
        outcomes = await incident_store.accept(arrivals(*many), NOW)
        incident = await incident_store.get(outcomes[0].incident_id)
        assert incident is not None
        assert (len(incident.alerts), incident.total) == (MAX_SHOWN, len(many))

        ends = [resolved(f"A{number}") for number in range(MAX_SHOWN + 20)]
        await incident_store.accept(arrivals(*ends), NOW + 10)

        ended = await incident_store.get(incident.id)
        assert ended is not None
        assert ended.is_resolved
        assert ended.total == len(many)

    async def test_deliveries_at_once_lose_nothing(self, incident_store: IncidentStore) -> None:
        """Fifty deliveries at the same moment make one incident with fifty alerts."""
        outcomes = await asyncio.gather(
            *(incident_store.accept(arrivals(firing(f"A{n}")), NOW) for n in range(50))
        )

        assert len({outcome.incident_id for (outcome,) in outcomes}) == 1
        incident = await incident_store.get(outcomes[0][0].incident_id)
        assert incident is not None
        assert incident.total == 50

    async def test_starts_are_limited_by_place_and_minute(
        self, incident_store: IncidentStore
    ) -> None:
        """A full place refuses new runs, not the ones it has let in; a minute later it is free."""
        claim = incident_store.claim_start

        assert await claim("console:incidents", "run-1", NOW, 2)
        assert await claim("console:incidents", "run-2", NOW, 2)
        assert not await claim("console:incidents", "run-3", NOW, 2)
        assert await claim("console:incidents", "run-1", NOW + 1, 2)
        assert await claim("console:other", "run-3", NOW, 2)
        assert await claim("console:incidents", "run-3", NOW + 61, 2)

    async def test_threads_of_open_incidents_are_known(self, incident_store: IncidentStore) -> None:
        """Until its incident is resolved, and again when it comes back, a thread is named."""
        (outcome, _) = await incident_store.accept(
            arrivals(firing(), firing(service="payments")), NOW
        )
        incident = await incident_store.get(outcome.incident_id)
        assert incident is not None
        assert await incident_store.open_threads() == set()
        await incident_store.update(incident, incidents.with_thread(incident, THREAD))

        assert await incident_store.open_threads() == {THREAD}
        await incident_store.accept(arrivals(resolved()), NOW + 9)
        assert await incident_store.open_threads() == set()
        await incident_store.accept(arrivals(firing(starts_at=NOW + 10)), NOW + 11)
        assert await incident_store.open_threads() == {THREAD}

    async def test_feed_names_what_changed(self, incident_store: IncidentStore) -> None:
        """A reader sees each incident that changed after its cursor, and a quiet part after."""
        (one,) = await incident_store.accept(arrivals(firing()), NOW)
        feed = incident_store.changes("0")
        first = await anext(feed)
        (two,) = await incident_store.accept(arrivals(firing(service="payments")), NOW)
        second = await anext(feed)
        later = await anext(incident_store.changes(first.cursor))

        assert first.incident_ids == (one.incident_id,)
        assert second.incident_ids == later.incident_ids == (two.incident_id,)

    async def test_open_incidents_are_those_not_resolved(
        self, incident_store: IncidentStore
    ) -> None:
        """Tools see which other incidents go on, newest first."""
        over = resolved("Old", starts_at=NOW - 500, ends_at=NOW - 400)
        await incident_store.accept(arrivals(firing()), NOW)
        await incident_store.accept(arrivals(firing(service="payments"), over), NOW + 1)

        facts = await incident_store.open_incidents()

        assert [fact.service for fact in facts] == ["payments", "checkout"]
        assert all(fact.resolved_at is None for fact in facts)

    async def test_related_alerts_are_those_of_the_service(
        self, incident_store: IncidentStore
    ) -> None:
        """Tools see the service's alerts that fire or fired lately, newest first."""
        old = resolved("Old", starts_at=NOW - 5_000, ends_at=NOW - 4_000)
        alerts = [firing(), firing("Newer", starts_at=NOW), firing(service="payments"), old]
        await incident_store.accept(arrivals(*alerts), NOW)

        facts = await incident_store.related("checkout", NOW - 3_600)

        assert [fact.title for fact in facts] == ["Newer", "HighErrors"]
        assert facts[0].ended_at is None
        assert facts[0].incident_id
