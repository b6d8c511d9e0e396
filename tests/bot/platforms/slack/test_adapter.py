"""What Slack sees of threads, cards and answers, and what it never sees twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from agents.domain import Answer, Claim, Evidence, ThreadRef
from bot.platforms.port import (
    MessageGoneError,
    MessageRef,
    PlatformBusyError,
    PlatformError,
    Presence,
    Upload,
)
from bot.platforms.slack.book import PLAIN_S
from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.scopes import SCOPES
from bot.views import AnswerView, IncidentView, NoteView, View
from tests.bot.platforms.slack.stage import Stage, on_stage
from tests.contracts.platform import CARD, FIRST, LATER
from tests.slack_server import BOT_SCOPES, SlackServer, cutting, failing, limiting, slowing

PNG = b"\x89PNG\r\n\x1a\nchart"
CHART = Evidence("ev-1", "run-1", "metrics", "chart", "Errors", "", 0.0, media_type="image/png")
ANSWER = AnswerView(
    run_id="run-1",
    title="Why does checkout fail?",
    answer=Answer("A release broke it", summary="Version 42 was the cause."),
    evidence=(CHART,),
)
LONG = replace(
    ANSWER,
    answer=replace(ANSWER.answer, claims=tuple(Claim(f"{n}: " + "x" * 200) for n in range(60))),
    evidence=(Evidence("ev-2", "run-1", "logs", "logs.search", "Logs", "a line\nanother", 0.0),),
)
INCIDENT = IncidentView(
    id="inc-1",
    title="Checkout fails",
    status="open",
    severity="critical",
    service="checkout",
    opened_at=1_700_000_000.0,
    resolved_at=None,
    alerts=(),
    folded=0,
    run_ids=(),
)


async def read_data(run_id: str, evidence_id: str) -> bytes | None:
    """Return the chart of the answer."""
    return PNG if (run_id, evidence_id) == ("run-1", "ev-1") else None


async def test_the_first_card_is_the_beginning_of_its_thread(stage: Stage) -> None:
    """An incident is one message: its thread begins with its card, and later cards are replies."""
    thread = await stage.platform.open_thread("incidents", "Checkout fails", "inc-1:thread")

    incident = await stage.platform.post(thread, INCIDENT, "incident:inc-1:card")
    run = await stage.platform.post(thread, CARD, "run-1:card")
    again = await stage.platform.post(thread, INCIDENT, "incident:inc-1:card")

    assert incident == again == MessageRef(thread, thread.id)
    assert [one.ts for one in stage.own()] == [thread.id, run.id]
    assert "Acknowledge" in stage.server.message(thread.id).shown
    assert stage.server.refused == []


async def test_a_thread_that_a_person_began_is_left_as_it_is(stage: Stage) -> None:
    """Under somebody's own message the card is a reply."""
    asked = stage.server.mention("C1", "U1", "why does checkout fail?")

    card = await stage.platform.post(ThreadRef("slack", "C1", asked.ts), CARD, "run-1:card")

    assert card.id != asked.ts
    assert [one.ts for one in stage.server.thread(asked.ts)] == [asked.ts, card.id]


async def test_titles_cannot_ping(stage: Stage) -> None:
    """What an alert says is text and nothing else."""
    await stage.platform.open_thread("C1", "<!channel> & <@U2>", "k")

    assert stage.own()[0].text == "&lt;!channel&gt; &amp; &lt;@U2&gt;"


async def test_a_channel_is_found_by_name_or_id(stage: Stage) -> None:
    """Routes may use either; threads name the id."""
    stage.server.channel("G7", "secret", kind="private")

    by_name = await stage.platform.open_thread("#incidents", "a", "k1")
    private = await stage.platform.open_thread("secret", "b", "k2")
    by_id = await stage.platform.open_thread("C1", "c", "k3")

    assert [by_name.channel, private.channel, by_id.channel] == ["C1", "G7", "C1"]
    assert len(stage.server.calls["conversations.list"]) == 2


async def test_a_person_is_written_to_directly(stage: Stage) -> None:
    """A user's id opens a thread in the direct messages with them."""
    thread = await stage.platform.open_thread("U2", "You should know", "k")

    assert thread.channel == stage.server.direct("U2")
    assert stage.platform.pace(thread).gaps_s[0] == 1.5


async def test_an_unknown_channel_says_who_can_do_what(stage: Stage) -> None:
    """The sentence says to check the name or to invite the bot; Slack is asked once a minute."""
    for _ in range(2):
        with pytest.raises(PlatformError, match=r"/invite @Muster"):
            await stage.platform.open_thread("nowhere", "a", "k")

    assert len(stage.server.calls["conversations.list"]) == 1
    assert [one.where for one in await stage.troubles.all()] == ["nowhere"]


async def test_a_lost_answer_posts_no_second_message(stage: Stage) -> None:
    """The connection is cut after Slack took the message: it is found, and not sent again."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.fault("chat.postMessage", cutting(after_write=True))

    message = await stage.platform.post(thread, FIRST, "note")

    assert stage.keys() == [f"thread:C1:{'k'}", "note"]
    assert stage.own()[-1].ts == message.id
    assert len(stage.server.calls["conversations.replies"]) == 1


async def test_a_lost_answer_opens_no_second_thread(stage: Stage) -> None:
    """The same for the message that opens a thread."""
    stage.server.fault("chat.postMessage", failing(500, after_write=True))

    thread = await stage.platform.open_thread("incidents", "Checkout fails", "k")

    assert [one.ts for one in stage.own()] == [thread.id]


async def test_a_message_that_did_not_arrive_is_sent_again(stage: Stage) -> None:
    """The connection is cut before Slack did anything: the thread is read, then it is posted."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.fault("chat.postMessage", cutting())

    message = await stage.platform.post(thread, FIRST, "note")

    assert [one.ts for one in stage.server.thread(thread.id)] == [thread.id, message.id]
    assert stage.naps == [pytest.approx(1.0, abs=0.2)]


async def test_a_slow_answer_is_not_outrun(slack: SlackServer) -> None:
    """A post that may still be on its way is not repeated at once; later it is looked for."""
    async with on_stage(slack, timeout_s=0.2) as stage:
        thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
        slack.fault("chat.postMessage", slowing(1.0))

        with pytest.raises(PlatformError, match="looked up before it is tried again"):
            await stage.platform.post(thread, FIRST, "note")
        assert len(slack.calls["chat.postMessage"]) == 2
        message = await stage.platform.post(thread, FIRST, "note")

    assert [one.ts for one in slack.thread(thread.id)] == [thread.id, message.id]


async def test_a_dead_process_leaves_no_second_message(slack: SlackServer) -> None:
    """One process posts and dies before it notes it; the next finds the message."""
    async with on_stage(slack) as first:
        thread = await first.platform.open_thread("C1", "Checkout fails", "k")
        assert await first.book.claim("note", "another machine|1|x")
        await first.clients.call(
            "",
            "chat.postMessage",
            channel="C1",
            thread_ts=thread.id,
            text="first",
            metadata={"event_type": "muster", "event_payload": {"key": "note"}},
        )
        await first.book.let_go("note", "another machine|1|x", is_unsent=False)
        book = first.book

    async with on_stage(slack, book=book) as second:
        message = await second.platform.post(thread, FIRST, "note")

    assert [one.ts for one in slack.thread(thread.id)] == [thread.id, message.id]


async def test_two_processes_post_a_key_once(slack: SlackServer) -> None:
    """Whoever comes second waits for what becomes of it."""
    async with on_stage(slack) as one, on_stage(slack, book=one.book) as two:
        thread = await one.platform.open_thread("C1", "Checkout fails", "k")
        slack.fault("chat.postMessage", slowing(0.1))

        first, second = await asyncio.gather(
            one.platform.post(thread, FIRST, "note"), two.platform.post(thread, FIRST, "note")
        )

    assert first == second
    assert len(slack.thread(thread.id)) == 2


async def test_a_cancelled_post_is_looked_for_by_the_next(stage: Stage) -> None:
    """A leader that is replaced in the middle of a post leaves no doubt behind."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.fault("chat.postMessage", slowing(5.0))
    posting = asyncio.create_task(stage.platform.post(thread, FIRST, "note"))
    await stage.server.until(lambda: len(stage.server.thread(thread.id)) == 2)

    posting.cancel()
    await asyncio.gather(posting, return_exceptions=True)
    message = await stage.platform.post(thread, FIRST, "note")

    assert [one.ts for one in stage.server.thread(thread.id)] == [thread.id, message.id]


@pytest.mark.parametrize("in_body", [False, True])
async def test_a_full_channel_holds_up_nothing_else(stage: Stage, *, in_body: bool) -> None:
    """Slack's "too much" for a post is told with its time, and is about this message only."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.fault("chat.postMessage", limiting(7.0, in_body=in_body))

    with pytest.raises(PlatformBusyError) as busy:
        await stage.platform.post(thread, FIRST, "note")

    assert busy.value.is_only_here
    assert busy.value.retry_after_s == (5.0 if in_body else 7.0)


@pytest.mark.parametrize("in_body", [False, True])
async def test_too_many_edits_freeze_all_edits(stage: Stage, *, in_body: bool) -> None:
    """Edits share one budget, so the whole of it has to wait."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    card = await stage.platform.post(thread, CARD, "run-1:card")
    stage.server.fault("chat.update", limiting(7.0, in_body=in_body))

    with pytest.raises(PlatformBusyError) as busy:
        await stage.platform.edit(card, LATER)

    assert not busy.value.is_only_here


async def test_an_edit_whose_answer_was_lost_is_made_again(stage: Stage) -> None:
    """Editing twice does no harm."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    card = await stage.platform.post(thread, CARD, "run-1:card")
    stage.server.fault("chat.update", cutting(after_write=True))

    await stage.platform.edit(card, LATER)

    assert "Fixed" in stage.server.message(card.id).text


async def test_a_deleted_card_asks_for_a_new_one(stage: Stage) -> None:
    """An edit of what is gone says so; so it does when the time for edits is over."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    card = await stage.platform.post(thread, CARD, "run-1:card")
    stage.server.close_edit_window()
    with pytest.raises(MessageGoneError, match="edit_window_closed"):
        await stage.platform.edit(card, LATER)

    stage.server.delete(stage.server.message(card.id))
    with pytest.raises(MessageGoneError, match="message_not_found"):
        await stage.platform.edit(card, LATER)


async def test_a_thread_whose_beginning_was_deleted_goes_on_under_a_new_one(stage: Stage) -> None:
    """What comes next is posted in the channel, and what follows stands under it."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.delete(stage.server.message(thread.id))

    first = await stage.platform.post(thread, FIRST, "one")
    second = await stage.platform.post(thread, NoteView("more"), "two")

    assert [one.ts for one in stage.server.thread(first.id)] == [first.id, second.id]
    assert first.thread == second.thread == thread


async def test_a_card_whose_beginning_was_deleted_is_a_new_message(stage: Stage) -> None:
    """The title cannot become the card any more, so the card is posted."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.delete(stage.server.message(thread.id))

    card = await stage.platform.post(thread, CARD, "run-1:card")

    assert [one.ts for one in stage.own()] == [card.id]


async def test_an_old_workspace_gets_plain_blocks_for_a_week(stage: Stage) -> None:
    """What refuses native blocks is asked once, and again when the week is over."""
    stage.server.refuse_blocks("plan", "task_card", "markdown", "context_actions")
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")

    card = await stage.platform.post(thread, CARD, "run-1:card")
    refusals = len(stage.server.refused)
    await stage.platform.edit(card, LATER)

    assert refusals == len(stage.server.refused) == 1
    kinds = {block["type"] for block in stage.server.message(card.id).blocks}
    assert "plan" not in kinds
    assert kinds
    assert await stage.book.is_plain("")
    assert PLAIN_S == 7 * 86_400


async def test_what_no_blocks_can_show_is_said_in_words(stage: Stage) -> None:
    """When Slack takes no blocks at all, the text still arrives."""
    stage.server.refuse_blocks("plan", "section", "context", "actions", "markdown", "rich_text")
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")

    card = await stage.platform.post(thread, CARD, "run-1:card")

    assert stage.server.message(card.id).blocks == []
    assert "Looking at the metrics" in stage.server.message(card.id).text


async def test_charts_are_pictures_in_the_answer(slack: SlackServer) -> None:
    """They are uploaded once, also when the answer's post has to be repeated."""
    async with on_stage(slack, read_data=read_data) as stage:
        thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
        slack.fault("chat.postMessage", limiting(1.0))
        with pytest.raises(PlatformBusyError):
            await stage.platform.post(thread, ANSWER, "run-1:answer")
        answer = await stage.platform.post(thread, ANSWER, "run-1:answer")

    pictures = [one for one in slack.message(answer.id).blocks if one["type"] == "image"]
    file = slack.file(pictures[0]["slack_file"]["id"])
    assert (file.content, file.title, file.channels) == (PNG, "Errors", [])
    assert len(slack.calls["files.getUploadURLExternal"]) == 1
    assert slack.refused == []


async def test_an_answer_arrives_without_its_chart(slack: SlackServer) -> None:
    """A missing scope for files costs the picture only: its link is shown."""
    slack.take_scope("files:write")
    async with on_stage(slack, read_data=read_data) as stage:
        thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
        answer = await stage.platform.post(thread, ANSWER, "run-1:answer")

        assert await stage.troubles.all() == []
    assert "/runs/run-1/evidence/ev-1" in str(slack.message(answer.id).blocks)


async def test_a_long_answer_comes_as_a_file_too(stage: Stage) -> None:
    """What a message has no room for stands in the thread as a file, once."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")

    for _ in range(2):
        await stage.platform.post(thread, LONG, "run-1:answer")

    shared = [one for one in stage.server.thread(thread.id) if one.files]
    text = (stage.server.file(shared[0].files[0]).content or b"").decode()
    assert len(shared) == 1
    assert "59: xxx" in text
    assert "    a line\n    another" in text


async def test_a_shared_file_whose_answer_was_lost_is_not_shared_twice(stage: Stage) -> None:
    """The file's id is known before it is shown, so it is looked up."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    upload = Upload("log.txt", "The log", b"a line")
    stage.server.fault("files.completeUploadExternal", cutting(after_write=True))

    with pytest.raises(PlatformError):
        await stage.platform.upload(thread, upload, "log")
    file_id = await stage.platform.upload(thread, upload, "log")

    shared = [one.files for one in stage.server.thread(thread.id) if one.files]
    assert shared == [[file_id]]


async def test_an_upload_that_was_cut_off_begins_anew(stage: Stage) -> None:
    """A file that was announced and never completed is not taken for one that is there."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    stage.server.fault("files.completeUploadExternal", cutting())

    with pytest.raises(PlatformError):
        await stage.platform.upload(thread, Upload("log.txt", "The log", b"x"), "log")
    file_id = await stage.platform.upload(thread, Upload("log.txt", "The log", b"x"), "log")

    assert stage.server.file(file_id).is_complete


async def test_presence_is_slacks_own(stage: Stage) -> None:
    """Working, waiting for a person, done: as Slack calls it."""
    asked = stage.server.mention("C1", "U1", "why?")
    thread = ThreadRef("slack", "C1", asked.ts)

    for presence in Presence:
        await stage.platform.presence(thread, presence, "Checkout")
        await stage.platform.presences.settled()

    session = stage.server.session(asked)
    assert session is not None
    assert session.history == ["processing", "suspended", "closed"]
    assert session.title == "Checkout"


async def test_the_shipped_scopes_are_enough(slack: SlackServer) -> None:
    """With what the manifest asks for, everything that is spoken outward works."""
    slack.take_scope(*BOT_SCOPES)
    slack.grant(*SCOPES)
    views: list[View] = [INCIDENT, CARD, ANSWER, LONG]
    async with on_stage(slack, read_data=read_data) as stage:
        thread = await stage.platform.open_thread("incidents", "Checkout fails", "k")
        slack.fault("chat.postMessage", cutting(after_write=True))
        for number, view in enumerate(views):
            message = await stage.platform.post(thread, view, f"k{number}")
            await stage.platform.edit(message, view)
        await stage.platform.presence(thread, Presence.WORKING)
        await stage.platform.presences.settled()
        await stage.platform.open_thread("U2", "You should know", "k")

    assert slack.refused == []
    assert slack.calls["agents.sessions.setStatus"][0].is_ok


async def test_presence_is_dropped_where_slack_does_not_know_it(stage: Stage) -> None:
    """A workspace that refuses it is left alone for an hour."""
    stage.server.take_scope("assistant:write")
    asked = stage.server.mention("C1", "U1", "why?")
    thread = ThreadRef("slack", "C1", asked.ts)

    for _ in range(3):
        await stage.platform.presence(thread, Presence.WORKING)
        await stage.platform.presences.settled()

    assert len(stage.server.calls["agents.sessions.setStatus"]) == 1


async def test_pings_reach_people_and_groups(stage: Stage) -> None:
    """A note pings by id whom the bot chose, and names the others."""
    thread = await stage.platform.open_thread("C1", "Checkout fails", "k")
    note = NoteView("Still undecided.", "warning", ("slack:T1:U2", "group:soncall", "group:dba"))

    message = await stage.platform.post(thread, note, "note")

    shown = str(stage.server.message(message.id).blocks)
    assert "<@U2>" in shown
    assert "<!subteam^SONCALL>" in shown
    assert "dba" in shown
    assert "<!subteam^dba>" not in shown


async def test_a_workspace_is_named_where_there_are_several(slack: SlackServer) -> None:
    """Channels after their workspace go there, and share that workspace's budget."""
    async with on_stage(slack) as stage:
        thread = await stage.platform.open_thread("T1/incidents", "Checkout fails", "k")
        message = await stage.platform.post(thread, FIRST, "note")

        assert thread.channel == "T1/C1"
        assert message.thread == thread
        assert stage.platform.pool(thread) == "slack:T1"
        stage.clients.installs = _NoInstalls()
        with pytest.raises(SlackRefusedError, match="not installed"):
            await stage.platform.open_thread("T2/C1", "x", "k2")


class _NoInstalls:
    """A store without installations."""

    async def async_find_bot(
        self,
        *,
        enterprise_id: str | None,
        team_id: str | None,
        is_enterprise_install: bool | None = False,
    ) -> None:
        """Find nothing."""
