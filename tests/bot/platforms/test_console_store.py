"""The console's stores keep the same threads, messages and feed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis.asyncio as aioredis

from agents.domain import Answer, Cite, Claim, Evidence, Moment, ThreadRef
from bot.platforms.console.memory_store import MemoryConsoleStore
from bot.platforms.console.redis_store import RedisConsoleStore
from bot.platforms.console.store import (
    MAX_TITLE_CHARS,
    ConsoleChange,
    ConsoleStore,
    dump_view,
    load_view,
)
from bot.views import (
    AnswerView,
    ApprovalView,
    CallView,
    IncidentView,
    NoteView,
    QuestionView,
    RunView,
    StepView,
    View,
)
from jobs.redis_client import connect
from jobs.state import Status
from jobs.store import StoreUnavailableError

CALL = CallView("gate/call", "service.rollback", "Roll back", {"n": [1, None]}, {"type": "object"})
APPROVAL = ApprovalView(
    "ap-1", "run-1", "Roll back", "why", (CALL,), 1, "d" * 64, "pending", "oncall", 1, (), 5.0
)
RUN = RunView(
    run_id="run-1",
    title="Incident",
    goal="why",
    status=Status.RUNNING,
    headline="Reading",
    requester="Alice",
    workflow="incident",
    steps=(StepView("a", "A", "agent", Status.RUNNING, queued_at=1.25),),
    approvals=(APPROVAL,),
    questions=(QuestionView("q-1", "run-1", "Done?", ("done", "retry")),),
    started_at=1.5,
    ended_at=None,
    version=3,
)
ANSWER = AnswerView(
    "run-1",
    "Incident",
    Answer("Fixed", claims=(Claim("c", (Cite("ev", "q"),)),), timeline=(Moment(1.0, "x"),)),
    (Evidence("ev", "run-1", "a", "tool", "t", "text", 1.0),),
)
INCIDENT = IncidentView(
    "inc-1",
    "Down",
    "open",
    "page",
    "checkout",
    1.0,
    None,
    (Moment(1.0, "fires", "alert"),),
    2,
    ("run-1",),
    ThreadRef("console", "incidents", "t1"),
)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> ConsoleStore:
    """Return an empty store of each kind."""
    if request.param == "memory":
        return MemoryConsoleStore()
    client: aioredis.Redis = request.getfixturevalue("redis_client")
    return RedisConsoleStore(client)


@pytest.mark.parametrize("view", [RUN, ANSWER, INCIDENT, NoteView("hi", "error", ("bob",))])
def test_a_view_survives_storage(view: View) -> None:
    """Every kind of view comes back as it went in."""
    assert load_view(dump_view(view)) == view


async def test_threads_are_listed_by_what_moved_last(store: ConsoleStore) -> None:
    """A channel lists its own threads; the one that was posted to last comes first."""
    first = await store.open_thread("incidents", "x" * 500, "k1", 1.0)
    second = await store.open_thread("incidents", "Second", "k2", 2.0)
    await store.open_thread("reports", "Third", "k3", 3.0)
    await store.post(first.id, NoteView("moved"), "m1", 4.5)

    listed = await store.threads("incidents")

    assert [thread.id for thread in listed] == [first.id, second.id]
    assert len(listed[0].title) == MAX_TITLE_CHARS
    assert (listed[0].opened_at, listed[0].updated_at) == (1.0, 4.5)
    assert await store.channels() == ["incidents", "reports"]
    assert await store.threads("nowhere") == []
    assert await store.thread("t-nothing") is None


async def test_a_thread_takes_over_the_status_of_its_run(store: ConsoleStore) -> None:
    """The list can say which thread needs a decision without reading its messages."""
    thread = await store.open_thread("incidents", "Down", "k1", 1.0)
    await store.post(thread.id, RUN, "card", 2.0)
    await store.post(thread.id, NoteView("a note changes nothing of it"), "note", 3.0)

    found = await store.thread(thread.id)

    assert found is not None
    assert (found.status, found.waits) == ("running", True)


async def test_an_edit_makes_the_next_version(store: ConsoleStore) -> None:
    """A message counts its edits and keeps when it was posted."""
    thread = await store.open_thread("incidents", "Down", "k1", 1.0)
    message = await store.post(thread.id, RUN, "card", 2.0)
    edited = await store.edit(message.id, NoteView("now"), 3.25)

    (stored,) = await store.messages(thread.id)

    assert stored == edited
    assert (stored.version, stored.posted_at, stored.edited_at) == (2, 2.0, 3.25)


async def test_a_card_never_goes_back(store: ConsoleStore) -> None:
    """An edit by a leader that was replaced comes late and changes nothing, nor tells anybody."""
    thread = await store.open_thread("incidents", "Down", "k1", 1.0)
    message = await store.post(thread.id, RUN, "card", 2.0)
    ended = replace(RUN, version=9, status=Status.SUCCEEDED)
    await store.edit(message.id, ended, 3.0)
    cursor = await store.cursor()

    late = await store.edit(message.id, replace(RUN, version=8), 4.0)

    assert late.view == ended
    assert (await store.messages(thread.id))[0].view == ended
    assert await store.cursor() == cursor
    found = await store.thread(thread.id)
    assert found is not None
    assert found.status == "succeeded"


async def test_the_feed_tells_every_change_once(store: ConsoleStore) -> None:
    """A reader with a cursor gets what came after it, in order; repeats tell nothing."""
    thread = await store.open_thread("incidents", "Down", "k1", 1.0)
    cursor = await store.cursor()
    message = await store.post(thread.id, NoteView("one"), "m1", 2.0)
    await store.post(thread.id, NoteView("one"), "m1", 2.5)
    await store.open_thread("incidents", "Down", "k1", 2.7)
    await store.edit(message.id, NoteView("two"), 3.0)

    seen: list[ConsoleChange] = []
    async for batch in store.changes(cursor):
        seen += batch
        if len(seen) >= 2:
            break

    assert [(change.thread_id, change.message_id) for change in seen] == [
        (thread.id, message.id),
        (thread.id, message.id),
    ]
    assert seen[-1].cursor == await store.cursor()


async def test_a_quiet_feed_yields_empty_batches(store: ConsoleStore) -> None:
    """The reader is woken about once a second, so that it can look around."""
    changes = store.changes(await store.cursor())

    assert await anext(changes) == []


async def test_silent_threads_are_forgotten(store: ConsoleStore) -> None:
    """What nobody posted to or edited since then goes, the longest silent first, batch by batch."""
    threads = [await store.open_thread("incidents", f"{n}", f"k{n}", float(n)) for n in range(5)]
    kept, edited, first, second, young = threads
    message = await store.post(edited.id, NoteView("x"), "m1", 1.0)
    lost = await store.post(first.id, NoteView("y"), "m2", 2.0)
    await store.edit(message.id, NoteView("z"), 4.0)

    assert await store.forget_threads(4.0, 0, {kept.id}) == 0
    assert await store.forget_threads(4.0, 1, {kept.id}) == 1
    assert await store.thread(first.id) is None
    assert await store.thread(second.id) == second
    assert await store.forget_threads(4.0, 10, {kept.id}) == 1
    assert await store.forget_threads(4.0, 10, {kept.id}) == 0

    assert {t.id for t in await store.threads("incidents")} == {kept.id, edited.id, young.id}
    assert await store.messages(first.id) == []
    with pytest.raises(KeyError):
        await store.edit(lost.id, NoteView("z"), 5.0)
    with pytest.raises(KeyError):
        await store.post(first.id, NoteView("z"), "m3", 5.0)


async def test_a_channel_goes_with_its_last_thread(store: ConsoleStore) -> None:
    """A channel is listed as long as it has threads, and again when one is opened."""
    await store.open_thread("incidents", "1", "k1", 1.0)
    await store.open_thread("reports", "2", "k2", 9.0)

    assert await store.forget_threads(5.0, 10) == 1
    assert await store.channels() == ["reports"]
    await store.open_thread("incidents", "1", "k1", 9.0)
    assert await store.channels() == ["incidents", "reports"]


async def test_a_forgotten_thread_leaves_nothing_behind(redis_client: aioredis.Redis) -> None:
    """Of the thread, its messages and its channel only the feed is left."""
    store = RedisConsoleStore(redis_client)
    thread = await store.open_thread("incidents", "1", "k1", 1.0)
    for n in range(3):
        await store.post(thread.id, NoteView("x"), f"m{n}", 1.0)

    await store.forget_threads(2.0, 1)

    assert await redis_client.keys("*") == [b"muster:console:feed"]


async def test_kept_threads_hold_up_no_others(
    redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many must stay, those after them are found."""
    monkeypatch.setattr("bot.platforms.console.redis_store.FORGET_PAGE", 2)
    store = RedisConsoleStore(redis_client)
    threads = [await store.open_thread("incidents", f"{n}", f"k{n}", float(n)) for n in range(6)]
    keep = {thread.id for thread in threads[:4]}

    assert await store.forget_threads(9.0, 10, keep) == 2
    assert {thread.id for thread in await store.threads("incidents")} == keep


async def test_old_threads_make_room(
    redis_client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its number a channel forgets the threads that were silent longest, wholly."""
    monkeypatch.setattr("bot.platforms.console.redis_store.MAX_THREADS_KEPT", 2)
    store = RedisConsoleStore(redis_client)
    first = await store.open_thread("incidents", "1", "k1", 1.0)
    await store.post(first.id, NoteView("x"), "m1", 1.0)
    await store.open_thread("incidents", "2", "k2", 2.0)
    await store.open_thread("incidents", "3", "k3", 3.0)

    assert [thread.title for thread in await store.threads("incidents")] == ["3", "2"]
    assert await store.messages(first.id) == []
    assert not [key async for key in redis_client.scan_iter(f"*{first.id}*")]


async def test_an_unreachable_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever posts learns that it may work in a moment."""
    monkeypatch.setattr("jobs.redis_client.RETRIES", 0)
    client = connect("redis://127.0.0.1:1")
    with pytest.raises(StoreUnavailableError, match="try again"):
        await RedisConsoleStore(client).channels()
    await client.aclose()
