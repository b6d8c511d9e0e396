"""What runs and incidents do is shown as it happens, once, also after a crash."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import redis.asyncio as aioredis

from agents.domain import Answer, Finding, JsonObject, ThreadRef
from agents.plan import plan_from_workflow
from bot.intake import Intake
from bot.live.outbox import MemoryOutboxStore, Outbox, OutboxStore, RedisOutboxStore
from bot.live.progress import Progress
from bot.live.progress_store import (
    Cursors,
    MemoryProgressStore,
    ProgressStore,
    RedisProgressStore,
    SupersededError,
)
from bot.platforms.memory import MemoryPlatform
from bot.platforms.port import PlatformError
from bot.present import Presenter
from bot.views import AnswerView, IncidentView, NoteView, RunView, View
from config.specs import ApproversSpec, ServiceLevelSpec
from jobs.commands import (
    AskQuestion,
    FinishStep,
    FireTimer,
    NoteRefusal,
    PostMessage,
    RequestApproval,
    StartStep,
    StopRun,
    TimerKind,
)
from jobs.incident_store import IncidentStore, MemoryIncidentStore, RedisIncidentStore
from jobs.memory_store import MemoryStore
from jobs.redis_client import connect
from jobs.redis_store import RedisStore
from jobs.service import Runs
from jobs.state import Approval, ProposedCall, Question, Terms
from jobs.store import Store, StoreUnavailableError
from tests.bot.samples import ALICE, CATALOGUE, INCIDENT, TOOLBOX, am_alert, am_body
from tests.bot.waiting import PATIENCE_S, wait_for
from tests.contracts.progress_store import ProgressStoreContract
from tests.jobs.plans import GOAL, plan, step

PLAN = plan(step("only"))
RUN_ID = "run-1"
ANSWER: JsonObject = {"headline": "All is well", "finding": "healthy"}


class TestMemoryProgressStore(ProgressStoreContract):
    """The twin."""

    @pytest.fixture
    def memory(self) -> ProgressStore:
        """Return an empty memory."""
        return MemoryProgressStore()


class TestRedisProgressStore(ProgressStoreContract):
    """The real one, on a real server."""

    @pytest.fixture
    def memory(self, redis_client: aioredis.Redis) -> ProgressStore:
        """Return an empty memory."""
        return RedisProgressStore(redis_client)


class Stage:
    """Everything around progress. `platform` and the stores outlive any leader."""

    def __init__(
        self,
        store: Store,
        incidents: IncidentStore,
        outbox_store: OutboxStore,
        memory: ProgressStore,
    ) -> None:
        self.platform = MemoryPlatform("console")
        platforms = {"console": self.platform}
        self.runs = Runs(store, time.time)
        self.incidents = incidents
        self.outbox = Outbox(outbox_store, platforms)
        self.memory = memory
        self.intake = Intake(
            catalogue=CATALOGUE, runs=self.runs, incidents=incidents, platforms=platforms
        )
        self.progress = Progress(
            store=store,
            incidents=incidents,
            platforms=platforms,
            outbox=self.outbox,
            presenter=Presenter(CATALOGUE, TOOLBOX),
            memory=memory,
        )
        self.tokens = 0

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        """Run progress and outbox as the next leader; then kill both without a goodbye."""
        self.tokens += 1
        tasks = [
            asyncio.create_task(self.progress.run(self.tokens)),
            asyncio.create_task(self.outbox.run()),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def begin(self, run_id: str = RUN_ID) -> ThreadRef:
        """Start a run of one step in a thread of its own, and let a worker take it."""
        thread = await self.platform.open_thread("incidents", "why", run_id)
        await self.runs.start(run_id, replace(GOAL, thread=thread), PLAN)
        await self.runs.send(run_id, StartStep("only", 1, "w"))
        return thread

    async def finish(self, run_id: str = RUN_ID) -> None:
        """End the run with its answer."""
        await self.runs.send(run_id, FinishStep("only", 1, ANSWER))

    def shown(self, thread: ThreadRef, kind: type[View]) -> list[View]:
        """Return what the thread's messages of a kind show now."""
        return [view for view in self.platform.views(thread) if isinstance(view, kind)]

    def is_over(self, thread: ThreadRef) -> Callable[[], bool]:
        """Return the claim that card and answer show the end."""

        def claim() -> bool:
            cards = self.shown(thread, RunView)
            return (
                len(cards) == 1
                and isinstance(cards[0], RunView)
                and cards[0].ended_at is not None
                and len(self.shown(thread, AnswerView)) == 1
            )

        return claim

    async def closed(self) -> None:
        """Wait until nothing is open any more."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.memory.open():  # noqa: ASYNC110 - a store tells nobody
                await asyncio.sleep(0.01)


@pytest.fixture(params=["memory", "redis"])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Return a stage in memory, and one on a real server."""
    if request.param == "memory":
        yield Stage(
            MemoryStore(), MemoryIncidentStore(), MemoryOutboxStore(), MemoryProgressStore()
        )
        return
    url: str = request.getfixturevalue("redis_url")
    client = connect(url)
    yield Stage(
        RedisStore(client),
        RedisIncidentStore(client),
        RedisOutboxStore(client),
        RedisProgressStore(client),
    )
    await client.aclose()


async def test_run_has_one_card_and_one_answer(stage: Stage) -> None:
    """The card follows the run to its end, and the answer is a message of its own."""
    async with stage.leading():
        thread = await stage.begin()
        await wait_for(lambda: len(stage.shown(thread, RunView)) == 1)
        await stage.finish()
        await wait_for(stage.is_over(thread))
        await stage.closed()

    (answer,) = stage.shown(thread, AnswerView)
    assert isinstance(answer, AnswerView)
    assert answer.answer == Answer("All is well", finding=Finding.HEALTHY)
    (card,) = stage.shown(thread, RunView)
    assert isinstance(card, RunView)
    assert card.headline == "All is well"
    assert isinstance(stage.platform.views(thread)[0], RunView)


async def test_next_leader_repairs_the_card_and_posts_the_answer(stage: Stage) -> None:
    """What happened while nobody led is shown in the same card; nothing is posted twice."""
    async with stage.leading():
        thread = await stage.begin()
        await wait_for(lambda: len(stage.shown(thread, RunView)) == 1)
    await stage.finish()
    async with stage.leading():
        await wait_for(stage.is_over(thread))
        await stage.closed()
    async with stage.leading():
        await stage.runs.send(RUN_ID, NoteRefusal("none", ALICE, "stale"))
        await asyncio.sleep(0.05)

    assert stage.is_over(thread)()
    assert len(stage.platform.views(thread)) == 2


async def test_leader_that_dies_before_it_remembers_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash before cursors are saved repeats looks, not messages."""

    async def crash(token: int, cursors: Cursors, opened: object) -> None:
        if opened:
            raise StoreUnavailableError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(stage.memory, "save", crash)
        async with stage.leading():
            thread = await stage.begin()
            await stage.finish()
            await wait_for(stage.is_over(thread))
    async with stage.leading():
        await asyncio.sleep(0.05)
        await stage.closed()

    assert stage.is_over(thread)()
    assert len(stage.platform.views(thread)) == 2


async def test_card_of_a_leader_that_remembered_nothing_shows_the_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader posts the card and dies before it saves a cursor: the next one edits that card."""

    async def hang(token: int, cursors: Cursors, opened: object) -> None:
        if opened:
            await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(stage.memory, "save", hang)
        async with stage.leading():
            thread = await stage.begin()
            await wait_for(lambda: len(stage.shown(thread, RunView)) == 1)
    await stage.finish()
    async with stage.leading():
        await wait_for(stage.is_over(thread))

    assert len(stage.platform.views(thread)) == 2


async def test_card_that_cannot_be_shown_does_not_hold_the_answer(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three failures the card is given up and the answer posted all the same."""
    monkeypatch.setattr("bot.live.card.RETRY_S", 0.001)
    thread = await stage.begin()
    await stage.finish()
    stage.platform.refusals.extend(PlatformError("no") for _ in range(3))
    async with stage.leading():
        await wait_for(lambda: len(stage.shown(thread, AnswerView)) == 1)

    assert stage.shown(thread, RunView) == []


async def test_incident_card_comes_first_and_follows_the_alerts(stage: Stage) -> None:
    """The thread opens with the incident; its card counts repeats and shows the end."""
    async with stage.leading():
        await stage.intake.deliver("alertmanager", am_body())
        (incident,) = await stage.incidents.list()
        assert incident.thread is not None
        thread = incident.thread
        await wait_for(lambda: len(stage.platform.views(thread)) == 2)
        await stage.intake.deliver("alertmanager", am_body())
        ended = am_alert(status="resolved", ended="2026-11-20T21:31:05Z")
        await stage.intake.deliver("alertmanager", am_body(ended))

        def is_resolved() -> bool:
            (card,) = stage.shown(thread, IncidentView)
            return isinstance(card, IncidentView) and card.status == "resolved"

        await wait_for(is_resolved)

    first, second = stage.platform.views(thread)
    assert isinstance(first, IncidentView)
    assert first.folded == 1
    assert first.run_ids == incident.run_ids
    assert isinstance(second, RunView)


async def test_escalation_pings_the_next_people_once(stage: Stage) -> None:
    """When nobody decided, a note names who may decide now."""
    thread = await stage.platform.open_thread("incidents", "why", RUN_ID)
    await stage.runs.start(RUN_ID, replace(GOAL, thread=thread), plan_from_workflow(INCIDENT))
    await stage.runs.send(RUN_ID, StartStep("logs", 1, "w"))
    terms = Terms(groups=("oncall",), escalate_groups=("leads",), escalate_users=("console:bob",))
    call = ProposedCall("logs/call", "service.rollback", {"service": "checkout"}, "roll back")
    approval = Approval("ap-1", "logs", (call,), terms, time.time(), title="roll back checkout")
    await stage.runs.send(RUN_ID, RequestApproval("logs", 1, approval))
    await stage.runs.send(RUN_ID, FireTimer(TimerKind.ESCALATION, "ap-1"))
    async with stage.leading():
        await wait_for(lambda: len(stage.shown(thread, NoteView)) == 1)
        await stage.runs.send(RUN_ID, StopRun(ALICE))
        await wait_for(stage.is_over(thread))

    (note,) = stage.shown(thread, NoteView)
    assert isinstance(note, NoteView)
    assert note.mentions == ("console:bob", "group:leads")
    assert "roll back checkout" in note.text
    assert "group leads" in note.text


async def test_escalated_question_pings_the_next_people_once(stage: Stage) -> None:
    """When nobody answered, a note names who may answer now."""
    thread = await stage.platform.open_thread("incidents", "why", RUN_ID)
    await stage.runs.start(RUN_ID, replace(GOAL, thread=thread), plan_from_workflow(INCIDENT))
    await stage.runs.send(RUN_ID, StartStep("logs", 1, "w"))
    question = Question("q-1", "logs", "Did it?", groups=("oncall",), escalate_groups=("leads",))
    await stage.runs.send(RUN_ID, AskQuestion("logs", 1, question))
    await stage.runs.send(RUN_ID, FireTimer(TimerKind.ESCALATION, "q-1"))
    async with stage.leading():
        await wait_for(lambda: len(stage.shown(thread, NoteView)) == 1)
        await stage.runs.send(RUN_ID, StopRun(ALICE))
        await wait_for(stage.is_over(thread))

    (note,) = stage.shown(thread, NoteView)
    assert isinstance(note, NoteView)
    assert note.mentions == ("group:leads",)
    assert note.text == "Still unanswered: Did it? Now group leads may answer too."


async def test_messages_of_steps_are_posted_once_each_before_the_answer(stage: Stage) -> None:
    """What a step says stands in the thread with whom it pings, also after a change of leader."""
    thread = await stage.begin()
    async with stage.leading():
        await stage.runs.send(RUN_ID, PostMessage("a", "only", "Status page is up", ("group:web",)))
        await wait_for(lambda: len(stage.shown(thread, NoteView)) == 1)
    await stage.runs.send(RUN_ID, PostMessage("b", "only", "ETA 20 minutes"))
    async with stage.leading():
        await wait_for(lambda: len(stage.shown(thread, NoteView)) == 2)
        await stage.finish()
        await wait_for(stage.is_over(thread))

    first, second = stage.shown(thread, NoteView)
    assert first == NoteView("Status page is up", mentions=("group:web",))
    assert second == NoteView("ETA 20 minutes")


async def test_late_run_pings_the_next_people_once(stage: Stage) -> None:
    """A missed service level is said in the thread, and on the card."""
    thread = await stage.platform.open_thread("incidents", "why", RUN_ID)
    level = ServiceLevelSpec(within_s=1e-6, to=ApproversSpec(groups=("leads",)))
    late = replace(PLAN, service_levels=(level,))
    await stage.runs.start(RUN_ID, replace(GOAL, thread=thread), late)
    await stage.runs.send(RUN_ID, StartStep("only", 1, "w"))
    await stage.runs.send(RUN_ID, FireTimer(TimerKind.SERVICE_LEVEL, ""))
    async with stage.leading():
        await wait_for(lambda: len(stage.shown(thread, NoteView)) == 1)
        await stage.finish()
        await wait_for(stage.is_over(thread))

    (note,) = stage.shown(thread, NoteView)
    assert isinstance(note, NoteView)
    assert note.mentions == ("group:leads",)
    assert "Now group leads may decide what waits." in note.text
    (card,) = stage.shown(thread, RunView)
    assert isinstance(card, RunView)
    assert card.late is not None
    assert card.late.people == "group leads"


async def test_many_runs_at_once_each_have_one_card_and_answer(stage: Stage) -> None:
    """Thirty runs share the leader, and each one is shown to its end."""
    async with stage.leading():
        threads = [await stage.begin(f"run-{number}") for number in range(30)]
        await asyncio.gather(*(stage.finish(f"run-{number}") for number in range(30)))
        for thread in threads:
            await wait_for(stage.is_over(thread))
        await stage.closed()

    assert all(len(stage.platform.views(thread)) == 2 for thread in threads)


async def test_superseded_leader_stops_writing(stage: Stage) -> None:
    """When a newer leader has saved, the older one ends with an error."""
    await stage.memory.save(9, Cursors(), ())

    with pytest.raises(SupersededError):
        await stage.progress.run(1)
