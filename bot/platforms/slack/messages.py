"""What people write to Muster, and messages that they point to: goals, answers, hints, stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog

from agents.domain import JsonObject, Moment, Origin, ThreadRef
from agents.wording import one_line
from bot.conversation import MAX_MESSAGE_CHARS, Said, is_stop
from bot.desk import goal_key
from bot.intake import Enclosed, goal_run_id
from bot.platforms.port import PlatformBusyError, PlatformError
from bot.platforms.slack import words
from bot.platforms.slack.attachments import Fetched
from bot.platforms.slack.errors import SlackRefusedError
from bot.platforms.slack.heard import Attached, Heard, Kind
from bot.platforms.slack.reach import Reach
from bot.platforms.slack.reading import attached, message_key, readable
from jobs.planning import MESSAGE
from jobs.state import Run

log = structlog.get_logger(__name__)

MAX_THREAD_MESSAGES: Final = 50
MAX_THREAD_CHARS: Final = 8_000
MAX_SAID_CHARS: Final = 1_000
MAX_POINTED_CHARS: Final = 500
STALE_S: Final = 5.0
"""A message that waited longer than this is looked up again before it is acted on."""
WHOLE: Final = "message"
CUT_NOTE: Final = "… (the whole message is attached)"

UNREADABLE: Final = frozenset({"missing_scope", "not_in_channel", "channel_not_found"})
"""Why the bot may not see a thread; the goal stands without it."""


class Messages:
    """Acts on messages. What is said twice under one time stamp is acted on once."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def hear(self, heard: Heard) -> None:
        """Act on a message to Muster, or in a thread of one of its runs."""
        reach = self._reach
        thread = reach.thread(heard)
        runs = await reach.desk.runs_in(thread)
        if heard.kind is Kind.REPLY and not _concerns(heard, runs):
            return
        # A message may answer what only some people may decide: who they are has to be sure.
        member = await reach.who(heard, fresh=_is_asked(runs))
        if member is None:
            return
        heard = await self._as_it_is_now(heard)
        fetched = await reach.attachments.fetch(heard.team, heard.files)
        text, fetched = shortened(self._text(heard), fetched, heard)
        around = await self._around(heard, thread) if not runs else []
        if not text:
            text = words.ABOUT_FILES if fetched.files else words.ABOUT_THREAD if around else ""
        if not text:
            examples = reach.desk.present.examples()
            await reach.answering.tell(heard, words.help_text(examples, reach.emoji))
            return
        going = next((run for run in runs if not run.is_over), None)
        if going is not None and fetched.files and not is_stop(text):
            await self._keep(fetched, going)
            text = one_line_or_more(text, fetched.note)
        said = await reach.conversation.say(
            thread,
            text,
            member.person,
            key=heard.ts,
            at=heard.at,
            enclosed=Enclosed(facts_of(heard, text, fetched, around)),
            may_start=heard.kind is not Kind.REPLY,
        )
        await self._answer(heard, said, fetched)

    async def edited(self, heard: Heard) -> None:
        """Act on a change of a message: what runs for it hears of it, or it is a goal only now."""
        reach = self._reach
        thread = reach.thread(heard)
        runs = await reach.desk.runs_in(thread)
        if not runs and not heard.is_mention:
            return
        member = await reach.who(heard)
        if member is None:
            return
        person = member.person
        own = goal_run_id(goal_key(person, f"{thread.platform}:{thread.id}:{heard.ts}"))
        run = next((run for run in runs if run.id == own), None)
        text = self._text(heard)
        if run is None:
            if heard.is_mention and not _has_heard(runs, heard):
                key = message_key(heard.team, heard.channel, heard.ts)
                await self.hear(replace(heard, kind=Kind.MENTION, key=key))
                return
            run = next((one for one in runs if not one.is_over), None)
        if run is None or not text or text == run.goal.text:
            return
        if run.is_over:
            await reach.tell(heard, words.NOT_CHANGED)
            return
        if is_stop(text):
            await reach.tell_outcome(heard, await reach.desk.stop(run.id, person, "asked"))
            return
        changed = f"{person.name} changed their message to: {text}"[:MAX_MESSAGE_CHARS]
        moment = Moment(heard.at, reach.desk.clean(changed), MESSAGE)
        if await reach.desk.tell(run.id, moment) is None:
            await reach.tell(heard, words.NOT_CHANGED)

    async def pointed(self, heard: Heard) -> None:
        """Look into a message of somebody else's, with its thread."""
        reach = self._reach
        member = await reach.who(heard)
        if member is None:
            return
        try:
            heard, around = await self._looked_up(heard)
        except PlatformBusyError:
            raise
        except PlatformError as error:
            await reach.tell(heard, str(error))
            return
        if heard.is_bot:  # one of our own cards
            return
        thread = reach.thread(heard)
        runs = await reach.desk.runs_in(thread)
        if any(not run.is_over for run in runs):
            await reach.tell(heard, words.AT_IT)
            return
        fetched = await reach.attachments.fetch(heard.team, heard.files)
        text = words.plain(heard.text, heard.bot_user)
        if not text and not fetched.files:
            await reach.tell(heard, words.NOTHING_THERE)
            return
        goal = one_line(text or words.ABOUT_FILES, MAX_POINTED_CHARS)
        facts: JsonObject = {
            "message": {"author": heard.author, "text": text[:MAX_THREAD_CHARS], "at": heard.at},
            **facts_of(heard, heard.text, fetched, around),
        }
        key = f"point:{heard.team}:{heard.channel}:{heard.ts}:{len(runs)}"
        submitted = await reach.desk.goal(
            goal, member.person, thread.channel, key, thread, Enclosed(facts, Origin.SHARED)
        )
        run = await reach.desk.run(submitted.run_id) if submitted.run_id else None
        if run is None:
            sentence = words.said(submitted.sentence, submitted.choices)
            await reach.answering.tell(heard, sentence)
            return
        await self._keep(fetched, run)
        await self._left_out(heard, fetched)

    async def _as_it_is_now(self, heard: Heard) -> Heard:
        """Return a message that had to wait as it reads by now: it may have been edited."""
        if self._reach.clock() - heard.at < STALE_S or not heard.ts:
            return heard
        try:
            found = await self._replies(heard, heard.root)
        except SlackRefusedError:
            return heard
        message = next((one for one in found if one.get("ts") == heard.ts), None)
        return heard if message is None else replace(heard, text=readable(message) or heard.text)

    def _text(self, heard: Heard) -> str:
        return words.plain(heard.text, heard.bot_user)

    async def _answer(self, heard: Heard, said: Said, fetched: Fetched) -> None:
        outcome = said.outcome
        if heard.kind is Kind.REPLY and outcome.is_refusal and outcome.run is None:
            return  # people talk to each other
        if outcome.kind == "started" and outcome.run is not None:
            await self._keep(fetched, outcome.run)
        await self._reach.tell_outcome(heard, outcome, said.choices)
        await self._left_out(heard, fetched)

    async def _keep(self, fetched: Fetched, run: Run) -> None:
        """Keep the files with the run; done again it changes nothing."""
        step_id = run.plan.steps[0].id
        for evidence in fetched.evidence(run.id, step_id, self._reach.clock()):
            if not await self._reach.desk.keep_evidence(evidence):
                log.warning("slack_file_not_kept", run_id=run.id, evidence_id=evidence.id)

    async def _left_out(self, heard: Heard, fetched: Fetched) -> None:
        if fetched.left_out:
            await self._reach.tell(heard, f"Not read: {'; '.join(fetched.left_out)}.")

    async def _around(self, heard: Heard, thread: ThreadRef) -> list[Mapping[str, Any]]:
        """Return what was said in the thread before Muster was called into it."""
        if not heard.thread_ts or heard.thread_ts == heard.ts:
            return []
        try:
            return await self._replies(heard, thread.id)
        except SlackRefusedError as refused:
            if refused.code not in UNREADABLE:
                raise
            log.info("slack_thread_not_read", channel=heard.channel, reason=refused.code)
            return []

    async def _looked_up(self, heard: Heard) -> tuple[Heard, list[Mapping[str, Any]]]:
        """Return the message that was pointed to, and its thread, as Slack has them now."""
        found = await self._replies(heard, heard.thread_ts or heard.ts)
        message = next((one for one in found if one.get("ts") == heard.ts), None)
        if message is not None and not heard.thread_ts and message.get("thread_ts"):
            root = str(message["thread_ts"])
            if root != heard.ts:
                found = await self._replies(heard, root)
            heard = replace(heard, thread_ts=root)
        if message is not None:
            identity = await self._reach.clients.identity(heard.team)
            heard = replace(
                heard,
                text=readable(message),
                files=attached(message),
                author=str(message.get("user") or message.get("username") or heard.author),
                is_bot=message.get("bot_id") == identity.bot,
                bot_user=identity.user,
            )
        return heard, found

    async def _replies(self, heard: Heard, root: str) -> list[Mapping[str, Any]]:
        answer = await self._reach.clients.call(
            heard.team,
            "conversations.replies",
            channel=heard.channel,
            ts=root,
            limit=str(MAX_THREAD_MESSAGES),
        )
        listed = answer.get("messages")
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _concerns(heard: Heard, runs: Sequence[Run]) -> bool:
    """Whether a reply that does not name Muster may be for what runs in the thread."""
    is_going = any(not run.is_over for run in runs)
    return is_going and not words.is_to_somebody_else(heard.text, heard.bot_user)


def _is_asked(runs: Sequence[Run]) -> bool:
    """Whether something in the thread waits for an answer."""
    return any(one.is_open for run in runs for one in run.questions.values())


def _has_heard(runs: Sequence[Run], heard: Heard) -> bool:
    """Whether a run of the thread heard the message before it was changed."""
    at = float(heard.ts or 0)
    return any(
        one.kind == MESSAGE and abs(one.at - at) < 1.0 for run in runs for one in run.signals
    )


def shortened(text: str, fetched: Fetched, heard: Heard) -> tuple[str, Fetched]:
    """Return a long message as its beginning and a file: people paste logs."""
    if len(text) <= MAX_MESSAGE_CHARS:
        return text, fetched
    whole = Attached(f"{WHOLE}-{heard.ts.replace('.', '-')}", "message.txt", "text/plain")
    files = (*fetched.files, (whole, text))
    start = text[: MAX_MESSAGE_CHARS // 2].rstrip()
    return f"{start} {CUT_NOTE}", replace(fetched, files=files)


def one_line_or_more(text: str, note: str) -> str:
    """Return a message with what came with it."""
    return f"{text}\n{note}"[:MAX_MESSAGE_CHARS] if note else text


def facts_of(
    heard: Heard, text: str, fetched: Fetched, around: Sequence[Mapping[str, Any]]
) -> JsonObject:
    """Return what came with a goal: files, addresses, the thread. All of it untrusted."""
    facts: JsonObject = {}
    if fetched.files:
        facts["files"] = [dict(one) for one in fetched.facts]
    if links := words.addresses(heard.text or text):
        facts["links"] = list(links)
    if said := thread_lines(around, heard.ts):
        facts["thread"] = list(said)
    return facts


def thread_lines(around: Sequence[Mapping[str, Any]], but: str = "") -> list[JsonObject]:
    """Return what was said in a thread, oldest first: the first message and the newest ones."""
    first: list[JsonObject] = []
    newest: list[JsonObject] = []
    used = 0
    others = [one for one in around if one.get("ts") != but]
    for place, one in enumerate([*others[:1], *reversed(others[1:])]):
        text = words.plain(readable(one))[:MAX_SAID_CHARS]
        used += len(text)
        if used > MAX_THREAD_CHARS:
            break
        if text:
            author = str(one.get("user") or one.get("username") or "")
            line: JsonObject = {"author": author, "at": float(one.get("ts") or 0), "text": text}
            (newest if place else first).append(line)
    return first + newest[::-1]
